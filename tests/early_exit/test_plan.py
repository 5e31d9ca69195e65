"""The plan of an early exit: how many images are calibrated, and the key it stands under."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from exit_runs import record, submit
from joint_exits import ALL, tuned, vote_of

from ensemble.early_exit.plan import (
    ExitPlan,
    ExitTerms,
    calibrated_of,
    column_of,
    read_plan,
    terms_json,
    terms_of,
)
from ensemble.early_exit.stopping.order import Evaluation
from ensemble.errors import StoreError, UsageError
from ensemble.files.atomic import sha256_json
from ensemble.predictions.store import Partition
from ensemble.recipe.resolve import resolve
from ensemble.recipe.saving import Saving
from ensemble.recipe.settings import Settings
from ensemble.voting.weights import Weights

pytestmark = pytest.mark.usefixtures("alike")


def test_parts_without_their_plan_are_not_read_by_another(sharp: list[Path], many: Path) -> None:
    first = submit(sharp, many, "first", early_exit="lossless")
    Path(".ensemble/predictions", record(first)["key"], "plan.json").unlink()
    with pytest.raises(StoreError, match="plan.json cannot be read"):
        submit(sharp, many, "first", early_exit="lossless")


def test_another_rule_or_vote_never_uses_what_an_early_exit_kept(
    sharp: list[Path], many: Path
) -> None:
    others: list[dict[str, Any]] = [
        {}, {"confidence": "90%"}, {"early_exit": "30%"}, {"voting": "hard"}, {"tta": "vflip"},
        {"weights": {"ant": 0.5, "bee": 0.3, "cow": 0.2}}, {"evals_per_image": 5},
    ]  # fmt: skip
    keys = [
        record(submit(sharp[::2], many, f"out{n}", **{"early_exit": "20%", **how}))["key"]
        for n, how in enumerate(others)
    ]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("early_exit", "budget", "images", "stages", "expected"),
    [
        ("lossless", {}, 1000, 20, 0),
        ("0.5%", {}, 10_000, 20, 570),
        ("0.5%", {"calibration": 80}, 10_000, 20, 80),
        ("0.5%", {}, 100, 20, 0),
        ("off", {"time_budget": "5m"}, 10_000, 20, 300),
        ("off", {"evals_per_image": 2}, 1000, 20, 25),
        ("off", {"evals_per_image": 2}, 100, 20, 2),
        ("off", {"evals_per_image": 4}, 100, 20, 7),
        ("off", {"evals_per_image": 5}, 100, 20, 8),
        ("off", {"evals_per_image": 1.2}, 1000, 20, 5),
        ("off", {"evals_per_image": 1.0}, 1000, 20, 1),
        ("off", {"evals_per_image": 3}, 1000, 1, 0),
        ("5%", {}, 1000, 1, 0),
        ("5%", {"calibration": 100}, 1000, 1, 0),
        ("1%", {"evals_per_image": 8}, 1000, 20, 238),
        ("1%", {"evals_per_image": 6.5}, 1000, 20, 238),
        ("1%", {"evals_per_image": 5}, 1000, 20, 62),
        ("off", {"evals_per_image": 19}, 1000, 20, 237),
        ("off", {"evals_per_image": 20}, 1000, 20, 0),
        ("off", {"time_budget": "10m"}, 300, 20, 0),
        ("0.5%", {"evals_per_image": 2}, 10_000, 20, 250),
        ("0.5%", {"evals_per_image": 4}, 10_000, 20, 570),
        ("0.5%", {"time_budget": "12.1s"}, 10_000, 20, 55),
        ("off", {"time_budget": "0.1s"}, 3, 20, 1),
    ],
)
def test_as_few_images_are_calibrated_as_will_do(
    early_exit: str, budget: dict[str, Any], images: int, stages: int, expected: int
) -> None:
    saving = resolve(Settings((), (), early_exit=early_exit, **budget)).saving
    assert saving is not None
    evaluations = [Evaluation(str(n), "ant", 0, 1.0, 0.001) for n in range(stages)]
    assert calibrated_of(saving, images, evaluations) == expected


PLANNED = ExitPlan((Evaluation("ant-f0", "ant", 0, 0.4), Evaluation("bee-f0", "bee", 1, 0.6, 2.0)),
                   1e-7, 5, {"bee-f0": "key"})  # fmt: skip


def kept(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Partition:
    """A partition whose plan was changed after it was written."""
    told = asdict(PLANNED)
    told = json.loads(json.dumps({**told, "check": sha256_json(told)}))
    change(told)
    (folder / "plan.json").write_text(json.dumps(told))
    return Partition(folder, "key", {}, 3, 3)


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_plan(kept(tmp_path)) == PLANNED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda told: told.update(calibrated=4), "was edited"),
        (lambda told: told["evaluations"].reverse(), "was edited"),
        (lambda told: told.update(check="ab"), "was edited"),
        (lambda told: told.pop("check"), "cannot be read"),
        (lambda told: told.clear(), "cannot be read"),
    ],
)
def test_a_plan_that_was_changed_is_refused_with_what_to_delete(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    with pytest.raises(StoreError, match=f"plan.json {words}; delete {tmp_path}"):
        read_plan(kept(tmp_path, change))


def test_terms_are_read_back_from_a_fingerprint() -> None:
    how = Weights({"ant": 0.4, "bee": 0.6}, pool="log-linear", temperature=2.0)
    terms = ExitTerms(
        Saving("certified", 0.05, 0.95, 0), "soft", how, ("cat", "dog"), "classification"
    )
    told = json.loads(json.dumps(terms_json(terms)))
    assert terms_json(terms_of(told, "here")) == terms_json(terms)
    assert (terms.width, terms.families) == (2, how.families)


@pytest.mark.parametrize("weighted", [False, True])
def test_terms_of_several_tasks_are_read_back_with_their_map_and_weights(weighted: bool) -> None:
    vote = vote_of(ALL, weights=tuned(ALL) if weighted else None)
    terms = ExitTerms(
        Saving("certified", 0.05, 0.95, 0), "soft", vote.weights, vote.label_map.labels,
        "classification", vote,
    )  # fmt: skip
    told = json.loads(json.dumps(terms_json(terms)))
    found = terms_of(told, "here")
    assert found.joint == vote
    assert terms_json(found) == terms_json(terms)
    assert (found.width, found.families) == (vote.width, vote.family_weights())


def test_a_head_of_its_own_has_no_label_map_in_its_key() -> None:
    terms = ExitTerms(
        Saving("lossless", None, 0.95, 0), "soft", Weights({"ant": 1.0}), ("a", "b"),
        "classification",
    )  # fmt: skip
    told = terms_json(terms)
    assert "joint" not in told
    assert "joint" not in dict(told["weights"])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda told: told.pop("early_exit"), KeyError),
        (lambda told: told.pop("weights"), KeyError),
        (lambda told: told["early_exit"].update(rule="other"), TypeError),
        (lambda told: told["early_exit"].update(epsilon="5%"), TypeError),
        (lambda told: told["early_exit"].update(later=1), TypeError),
        (lambda told: told.update(voting="other"), TypeError),
        (lambda told: told.update(classes="cat"), TypeError),
        (lambda told: told.update(task=None), TypeError),
        (lambda told: told["weights"].update(pool="other"), UsageError),
    ],
)
def test_a_fingerprint_that_is_none_of_an_early_exit_is_known(
    change: Callable[[dict[str, Any]], object], error: type[Exception]
) -> None:
    terms = ExitTerms(
        Saving("lossless", None, 0.95, 0), "soft", Weights({"ant": 1.0}), ("a", "b"),
        "classification",
    )  # fmt: skip
    told = json.loads(json.dumps(terms_json(terms)))
    change(told)
    with pytest.raises(error):
        terms_of(told, "here")


def test_the_columns_of_evaluations_are_told_apart() -> None:
    assert [column_of(each) for each in PLANNED.evaluations] == ["ant-f0/0", "bee-f0/1"]
