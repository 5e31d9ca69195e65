"""What run.json says of an early exit, and how certain that is."""

from pathlib import Path
from typing import Any

import pytest
from exit_runs import record, submit
from toys import save_images

from ensemble.api.results import verify_exit
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
