"""Choosing by views apart: the same whatever the order, and no more than is proven."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from views_apart import CLASSES, IDS, ROWS, TRUTH, apart, order

from ensemble.errors import UsageError
from ensemble.predictions.kept_views import KeptViews
from ensemble.progress import Quiet
from ensemble.recipe.policy import Policy, to_json
from ensemble.tuning.choose import ChooseOrder, choose
from ensemble.voting.weights import Pool

VIEWS = {"plain": 1.2, "hflip": 1.2, "vflip": -1.5}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def chosen(kept: KeptViews, asked: ChooseOrder | None = None) -> Policy:
    return choose(kept, asked or order(), Quiet())


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_rows_families_or_views_changes_a_bit(seed: int) -> None:
    kept = apart({"ant": VIEWS, "bee": VIEWS})
    rng = np.random.default_rng(seed)
    rows = rng.permutation(ROWS)
    moved = replace(
        kept,
        ids=tuple(kept.ids[row] for row in rows),
        folds=kept.folds[rows],
        columns={
            family: {view: kept.columns[family][view][rows] for view in rng.permutation([*VIEWS])}
            for family in rng.permutation([*kept.columns]).tolist()
        },
    )
    assert json.dumps(to_json(chosen(moved))) == json.dumps(to_json(chosen(kept)))


def test_views_of_noise_give_no_evidence_and_the_plain_view_alone() -> None:
    noise = {f"scale({n})": 0.0 for n in (0.7, 0.8, 0.9)}
    policy = chosen(apart({"ant": {"plain": 1.5, **noise}}))
    assert policy.families["ant"].views == ("plain",)
    assert policy.verdict.startswith("no evidence")


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "f1_macro", "brier", "auc"])
def test_every_kind_of_metric_scores_the_points(metric: str) -> None:
    policy = chosen(apart({"ant": VIEWS, "bee": {"plain": 1.0}}), order(metric))
    scores = [point.score for point in policy.frontier]
    assert scores == sorted(scores, reverse=metric in ("log_loss", "brier"))
    assert policy.weights.metric == metric


def test_grades_are_scored_by_their_own_order() -> None:
    numbers = ("2", "0", "1")
    rows = [f"{name},{numbers[label]}" for name, label in zip(IDS, TRUTH, strict=True)]
    Path("grades.csv").write_text("\n".join(["id,label", *rows]))
    kept = replace(apart({"ant": VIEWS}), classes=numbers)
    policy = chosen(kept, ChooseOrder(Path("grades.csv"), "qwk"))
    assert policy.weights.decision.order == (1, 2, 0)


def test_a_linear_pool_may_be_asked_for() -> None:
    policy = chosen(apart({"ant": VIEWS, "bee": VIEWS}), order(pool="linear"))
    assert policy.weights.pool == "linear"


@pytest.mark.parametrize(("pool", "metric"), [("rank", "auc"), ("log-linear", "brier")])
def test_a_pool_without_a_meaning_is_refused(pool: Pool, metric: str) -> None:
    with pytest.raises(UsageError, match="--pool"):
        chosen(apart({"ant": VIEWS}), order(metric, pool=pool))


def test_values_of_a_regression_are_chosen_by_their_error() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(0, 1, (ROWS, 1))
    columns = {
        "ant": {v: y + rng.normal(0, 0.5, y.shape) for v in ("plain", "hflip")},
        "bee": {"plain": y + rng.normal(0, 0.5, y.shape)},
    }
    base = apart({"ant": {"plain": 1.0, "hflip": 1.0}, "bee": {"plain": 1.0}})
    kept = replace(base, task="regression", classes=("age",), columns=columns)
    rows = [f"{name},{value}" for name, value in zip(IDS, y[:, 0], strict=True)]
    Path("ages.csv").write_text("\n".join(["id,age", *rows]))
    policy = chosen(kept, ChooseOrder(Path("ages.csv"), "rmse"))
    assert {f: set(each.views) for f, each in policy.families.items()} == {
        "ant": {"plain", "hflip"}, "bee": {"plain"},
    }  # fmt: skip


def test_labels_of_a_multilabel_head_are_chosen_by_their_loss() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (ROWS, 2))
    shown = [1 / (1 + np.exp(-(3 * (y - 0.5) + rng.normal(0, 1, y.shape)))) for _ in range(2)]
    base = apart({"ant": {"plain": 1.0, "hflip": 1.0}})
    kept = replace(base, task="multilabel", classes=("wet", "red"),
                   columns={"ant": dict(zip(("plain", "hflip"), shown, strict=True))})  # fmt: skip
    rows = [f"{name},{a},{b}" for name, (a, b) in zip(IDS, y.tolist(), strict=True)]
    Path("tags.csv").write_text("\n".join(["id,wet,red", *rows]))
    policy = chosen(kept, ChooseOrder(Path("tags.csv"), "f1"))
    assert policy.families["ant"].views == ("plain", "hflip")
    assert len(policy.weights.decision.thresholds) == 2


def test_rows_of_a_group_are_drawn_together() -> None:
    rows = [f"{name},{CLASSES[label]},g{place % 3}-{place // 12}"
            for place, (name, label) in enumerate(zip(IDS, TRUTH, strict=True))]  # fmt: skip
    Path("grouped.csv").write_text("\n".join(["id,label,patient", *rows]))
    asked = ChooseOrder(Path("grouped.csv"), "accuracy", group="patient")
    assert chosen(apart({"ant": VIEWS}), asked).frontier[0].interval is not None


def test_predictions_without_costs_are_refused() -> None:
    with pytest.raises(UsageError, match="no costs of their views: make them with"):
        chosen(replace(apart({"ant": VIEWS}), costs=None))


def test_one_fold_is_refused() -> None:
    with pytest.raises(UsageError, match="all rows lie in one fold"):
        chosen(replace(apart({"ant": VIEWS}), folds=np.zeros(ROWS, np.int64)))


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UsageError, match="metric 'rmse': for classification there are"):
        chosen(apart({"ant": VIEWS}), order("rmse"))
