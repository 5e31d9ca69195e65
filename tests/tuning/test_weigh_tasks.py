"""Weights of several tasks: of one task they are those of `tune-weights`."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ensemble.arrays import Indices
from ensemble.errors import UsageError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.progress import Quiet
from ensemble.tuning.weigh import TuneOrder, weigh
from ensemble.tuning.weigh_tasks import weigh_tasks
from ensemble.voting.weights import Weights, from_record, to_json

KIND, AGE = LabelTask("kind", ("bag", "shoe", "top")), LabelTask("age", ("<30", ">=30"), (30.0,))
PAIRS = LabelMap(
    tuple("012345"), (AGE, KIND), tuple((a, k) for a in AGE.classes for k in KIND.classes)
)
ALONE = LabelMap(KIND.classes, (KIND,), tuple((name,) for name in KIND.classes))
ROWS = 240
Y = np.random.default_rng(0).choice(6, ROWS, p=[0.3, 0.1, 0.1, 0.1, 0.1, 0.3])


def order(metric: str = "log_loss", **more: object) -> TuneOrder:
    return replace(TuneOrder((), Path("none"), metric), **more)  # type: ignore[arg-type]


def part(head: str, classes: tuple[str, ...], truth: Indices, **families: float) -> Predictions:
    """Families that know so much of a truth."""
    rng = np.random.default_rng(len(head))

    def knows(how: float) -> np.ndarray:
        scores = how * np.eye(len(classes))[truth] + rng.normal(0, 1, (ROWS, len(classes)))
        shares = np.exp(scores)
        return np.asarray(shares / shares.sum(1, keepdims=True))

    return Predictions(
        tuple(map(str, range(ROWS))),
        classes,
        {name: knows(how) for name, how in families.items()},
        np.arange(ROWS) % 4,
        output=head,
    )


def tasks() -> TaskPredictions:
    values = np.random.default_rng(9).normal(0, 12, ROWS) + np.where(Y >= 3, 45, 15)
    years = Predictions(
        tuple(map(str, range(ROWS))), ("age",), {"three": values[:, None]}, np.arange(ROWS) % 4,
        task="regression", output="age",
    )  # fmt: skip
    kinds = part("kind", KIND.classes, Y % 3, three=1.5, kinds=0.5)
    return join_tasks([kinds, years, part("label", PAIRS.labels, Y, joint=1.5)], PAIRS)


def tuned(metric: str = "log_loss", **more: object) -> Weights:
    return weigh_tasks(tasks(), Y, order(metric, **more), None, Quiet())


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "f1_macro"])
def test_of_one_task_they_are_the_weights_of_its_families(metric: str) -> None:
    given = part("kind", KIND.classes, Y % 3, ant=1.5, bee=1.0, cow=0.3)
    plain = weigh(given, Y % 3, order(metric), None, Quiet())
    found = weigh_tasks(join_tasks([given], ALONE), Y % 3, order(metric), None, Quiet())
    assert found.families == pytest.approx(plain.families, abs=1e-9)
    assert (found.pool, found.decision) == (plain.pool, plain.decision)
    assert found.temperature == pytest.approx(plain.temperature, abs=1e-9)
    for name in ("uniform", "nested", "gain", "verdict", "candidates"):
        assert found.evidence.get(name) == plain.evidence.get(name)


def test_the_report_has_the_blends_the_families_and_the_tasks() -> None:
    found = tuned()
    seen = found.evidence
    assert [each["blend"] for each in seen["candidates"]] == ["mean", "best", "log-linear"]
    assert set(seen["singles"]) == set(found.families) == {
        "joint", "kinds", "three/age", "three/kind",
    }  # fmt: skip
    assert set(seen["loss_without"]) == {"joint", "kinds", "three"}
    assert set(seen["tasks"]) == {"age", "kind"}
    low, high = seen["gain_ci95"] or (1, 0)
    assert low <= (seen["gain"] or 0) <= high
    for scores in seen["tasks"].values():
        assert (scores["nested"] or 9) < (scores["uniform"] or 0)


def test_a_task_is_scored_by_its_own_classes() -> None:
    singles = tuned().evidence["singles"]
    own = {each.name: each.probs for each in tasks().columns()}
    rows = np.arange(ROWS)
    expected = -np.log(own["kinds"][rows, Y % 3]).mean()
    assert singles["kinds"] == pytest.approx(expected)


def test_weights_survive_their_json() -> None:
    found = tuned()
    again = from_record(json.loads(json.dumps(to_json(found))), "weights.json")
    assert again.joint == found.joint
    assert again.families == found.families


def test_macro_f1_gets_a_rule_over_the_labels() -> None:
    found = tuned("f1_macro", write="tuned")
    assert len(found.decision.prior) in (0, 6)
    assert any("rule" in each["blend"] for each in found.evidence["candidates"])


def test_write_mean_writes_the_product_of_the_tasks_means() -> None:
    found = tuned(write="mean")
    assert found.pool == "linear"
    assert len(set(found.families.values())) == 1


def test_a_family_that_a_task_cannot_do_without_has_no_loss() -> None:
    given = part("kind", KIND.classes, Y % 3, kinds=1.0)
    ages = part("age", AGE.classes, Y // 3, ages=1.0, more=0.5)
    found = weigh_tasks(join_tasks([given, ages], PAIRS), Y, order(), None, Quiet())
    losses: Mapping[str, float | None] = found.evidence["loss_without"]
    assert losses["kinds"] is None
    assert losses["ages"] is not None


@pytest.mark.parametrize(
    ("metric", "more", "said"),
    [
        ("qwk", {}, "labels of several tasks have no order"),
        ("log_loss", {"pool": "linear"}, "are for one task"),
        ("accuracy", {"polish": "always"}, "are for one task"),
    ],
)
def test_what_has_no_meaning_for_several_tasks_is_refused(
    metric: str, more: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        tuned(metric, **more)
