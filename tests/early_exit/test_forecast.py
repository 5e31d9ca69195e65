"""What an early exit will take, told before the work."""

from pathlib import Path
from typing import Any

import pytest
from exit_runs import COUNT, record, submit
from toys import ensemble

from ensemble.errors import UsageError
from ensemble.pipeline.plan import RunPlan, plan_run
from ensemble.recipe.settings import Settings

pytestmark = pytest.mark.usefixtures("alike")


def test_a_dry_run_tells_how_many_images_are_calibrated_and_writes_nothing(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu"]
    assert ensemble(*args, "--early-exit", "20%", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "early exit: 12 images get all 12 evaluations" in said
    assert "ant-f0: 120 evaluations" in said
    assert not Path(".ensemble").exists()


def foreseen(**how: Any) -> RunPlan:
    """Plan an early exit over the images of `many`."""
    recipe = Settings(("folds",), ("many",), tta="hflip", device="cpu", shard_size=10, **how)
    return plan_run(recipe)


def most(plan: RunPlan) -> int:
    return sum(member.evaluations for member in plan.members)


def test_a_dry_run_counts_the_evaluations_of_the_images_that_are_left(
    sharp: list[Path], many: Path
) -> None:
    before = foreseen(early_exit="20%")
    assert most(before) == 12 * COUNT
    assert before.members[0].seconds == pytest.approx(0.002 * COUNT)
    early = submit(sharp, many, "early", early_exit="20%", shard_size=10)
    done = foreseen(early_exit="20%")
    assert most(done) == 0
    assert all(member.evaluations_stored == 2 * COUNT for member in done.members)
    folder = Path(".ensemble/predictions")
    (folder / record(early)["key"] / "part-00002.json").unlink()
    one = foreseen(early_exit="20%")
    assert 0 < most(one) <= 12 * 10
    (folder / record(early)["calibration"] / "part-00000.json").unlink()
    assert most(foreseen(early_exit="20%")) == most(one) + 12 * 10


def test_a_dry_run_needs_room_for_the_parts_of_the_early_exit_alone(
    sharp: list[Path], many: Path
) -> None:
    before = foreseen(early_exit="20%")
    assert before.early_exit is not None
    assert sum(member.bytes for member in before.members) == 0
    numbers = 8 * COUNT * (3 + 3) + 4 * 12 * 12 * 3  # sums and ends; and the calibration
    assert numbers < before.early_exit.bytes < 2 * numbers
    submit(sharp, many, "early", early_exit="20%", shard_size=10)
    after = foreseen(early_exit="20%").early_exit
    assert after is not None
    assert after.bytes == 0


def test_a_dry_run_counts_nothing_of_stored_members_and_half_a_member_as_nothing(
    sharp: list[Path], many: Path
) -> None:
    submit(sharp[:2], many, "some", shard_size=10)
    plan = foreseen(early_exit="lossless")
    assert plan.early_exit is not None
    assert plan.early_exit.stages == 2 + 8
    assert most(plan) == 8 * COUNT
    key = plan.members[0].key
    Path(".ensemble/predictions", key, "part-00001.json").unlink()
    assert most(foreseen(early_exit="lossless")) == 10 * COUNT


def test_a_dry_run_with_every_prediction_stored_is_that_of_a_plain_run(
    sharp: list[Path], many: Path
) -> None:
    submit(sharp, many, "full")
    plan = foreseen(early_exit="lossless")
    assert plan.early_exit is None
    assert most(plan) == 0


def test_a_dry_run_refuses_what_the_run_would(sharp: list[Path], many: Path) -> None:
    with pytest.raises(UsageError, match="give 3.75 or more"):
        foreseen(evals_per_image=2, calibration=15)
    with pytest.raises(UsageError, match="can certify nothing"):
        foreseen(early_exit="1%", calibration=2)
    with pytest.raises(UsageError, match="lossless keeps every label"):
        foreseen(early_exit="lossless", time_budget="1h")
