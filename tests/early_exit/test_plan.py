"""The plan of an early exit: how many images are calibrated, and the key it stands under."""

from pathlib import Path
from typing import Any

import pytest
from exit_runs import record, submit

from ensemble.early_exit.plan import calibrated_of
from ensemble.early_exit.stopping.order import Evaluation
from ensemble.errors import StoreError
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings

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
