"""What run.json says of an early exit, and how certain that is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exit_runs import record, submit
from toys import save_images

from ensemble.api.results import verify_exit
from ensemble.early_exit.record import certificate_of, describe_changes, describe_spent, unlike
from ensemble.recipe.saving import Saving
from ensemble.voting.weights import Weights

pytestmark = pytest.mark.usefixtures("alike")


@pytest.mark.parametrize("pool", ["linear", "log-linear"])
def test_a_certificate_stands_in_run_json_and_holds(
    sharp: list[Path], tmp_path: Path, pool: Any
) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    how = Weights({"ant": 0.4, "bee": 0.5, "cow": 0.3}, pool=pool)
    full = submit(sharp, images, "full", store="plain", weights=how)
    early = submit(sharp, images, "early", weights=how, early_exit="5%")
    found = record(early)["certificate"]
    assert found["epsilon"] == 0.05
    assert found["calibrated"] == 50
    assert found["threshold"] is not None
    assert record(early)["evaluations_per_image"] < 12
    differ = sum(a != b for a, b in zip(early.labels, full.labels, strict=True))
    assert differ <= 15
    assert "with 95 % confidence" in record(early)["words"]
    assert not verify_exit(early).faults


def test_where_nothing_certifies_only_the_lossless_rule_ends_images(
    sharp: list[Path], many: Path
) -> None:
    full = submit(sharp, many, "full", store="plain")
    early = submit(sharp, many, "early", early_exit="0.5%")
    assert early.labels == full.labels
    assert (
        "60 images are too few for 0.5 %, so lossless was used; try 20%" in record(early)["words"]
    )
    assert record(early)["certificate"]["threshold"] is None


def test_a_budget_is_kept_also_where_nothing_can_be_certified(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="0.5%", evals_per_image=4, shard_size=8)
    assert 3.4 < record(early)["evaluations_per_image"] <= 4
    assert record(early)["certificate"] is None
    assert "nothing is certified" in record(early)["words"]


def test_a_budget_that_pays_for_more_than_the_certificate_needs_is_no_spending(
    sharp: list[Path], tmp_path: Path
) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    alone = submit(sharp, images, "alone", early_exit="5%", store="s1")
    beside = submit(sharp, images, "beside", early_exit="5%", evals_per_image=11, store="s2")
    assert record(beside)["certificate"] is not None
    assert record(beside)["evaluations_per_image"] < 11
    assert record(alone)["certificate"]["threshold"] is not None


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"early_exit": "5%", "evals_per_image": 2}, "the budget paid for 12 calibration images, "
         "and 5 % needs 50, so nothing is certified"),
        ({"early_exit": "0.5%", "evals_per_image": 3}, "300 images are too few for 0.5 %"),
        ({"early_exit": "5%", "evals_per_image": 4, "calibration": 20}, "--calibration gave 20"),
        ({"early_exit": "0.5%"}, "300 images are too few for 0.5 %, so lossless was used; try "),
    ],
)  # fmt: skip
def test_where_nothing_is_certified_the_reason_is_told(
    sharp: list[Path], tmp_path: Path, how: dict[str, Any], words: str
) -> None:
    early = submit(sharp, save_images(tmp_path / "lots", 300, seed=4), "early", **how)
    assert words in record(early)["words"]
    assert not verify_exit("early").faults


@pytest.mark.parametrize(
    "how", [{"evals_per_image": 12}, {"time_budget": "10m"}, {"early_exit": "lossless"}]
)
def test_a_budget_that_pays_for_all_is_the_lossless_rule(
    sharp: list[Path], many: Path, how: dict[str, Any]
) -> None:
    early = submit(sharp, many, "early", **how)
    assert record(early)["calibration"] is None
    assert "every label is the full ensemble's" in record(early)["words"]


def test_of_one_evaluation_nothing_is_calibrated(sharp: list[Path], many: Path) -> None:
    early = submit(sharp[:1], many, "early", tta="none", early_exit="20%")
    assert record(early)["calibration"] is None
    assert "of one evaluation, none can be left out" in record(early)["words"]


def test_stored_evaluations_are_told_apart(sharp: list[Path], many: Path) -> None:
    submit(sharp[:2], many, "some")
    early = submit(sharp, many, "early", evals_per_image=3)
    assert "from the store, of 10 evaluations an image; " in record(early)["words"]


@pytest.mark.parametrize(
    ("paid", "told"),
    [
        ([1, 1, 1, 1], "2.50 of 4 evaluations"),
        ([0, 1, 1, 1], "1.50 computed and 1 from the store, of 4 evaluations"),
        ([0, 0, 0, 0], "0.00 computed and 2.5 from the store, of 4 evaluations"),
    ],
)
def test_evaluations_of_the_store_cost_nothing_and_are_told(paid: list[int], told: str) -> None:
    assert describe_spent(np.array([1, 4]), np.array(paid, float)) == told


def test_of_no_images_no_evaluation_is_told() -> None:
    assert describe_spent(np.empty(0, np.int64), np.ones(3)) == "0.00 of 3 evaluations"


@pytest.mark.parametrize(("changes", "labels"), [(1, "1 label (50 %)"), (0, "0 labels (0 %)")])
def test_changes_are_told_by_number_and_share(changes: int, labels: str) -> None:
    assert describe_changes(changes, 2, "budget").endswith(f"this budget would change {labels}")


@pytest.mark.parametrize("told", [{"a": 1.0, "b": {"c": [2]}}, {"a": 1, "b": {"c": [2]}, "d": 4},
                                  {"a": 1 + 1e-9, "b": {"c": [2]}}])  # fmt: skip
def test_values_of_json_are_alike_but_for_rounding(told: dict[str, object]) -> None:
    assert not unlike({"a": 1.0, "b": {"c": [2]}}, told)


@pytest.mark.parametrize(
    "told", [{}, {"a": None}, {"a": "1.0"}, {"a": 1.001}, {"a": {"c": 1.0}}, {"a": float("nan")}]
)
def test_a_value_that_differs_is_named(told: dict[str, object]) -> None:
    assert [text.split()[2] for text in unlike({"a": 1.0}, told)] == ["a"]


def test_without_a_calibration_a_share_is_certified_by_no_threshold() -> None:
    assert certificate_of(Saving("lossless", None, 0.95, 0), None, 10, 0) is None
    found = certificate_of(Saving("certified", 0.05, 0.95, 0), None, 10, 0)
    assert found is not None
    assert (found.threshold, found.calibrated, found.images) == (None, 0, 10)
