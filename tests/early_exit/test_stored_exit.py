"""An early-exit run is read back from its folder and the store that it names, or another."""

from pathlib import Path

import pytest
from exit_runs import COUNT, broken, record, submit

from ensemble.early_exit.plan import ENDS
from ensemble.early_exit.stored_exit import everyone, read_exit
from ensemble.errors import UsageError

pytestmark = pytest.mark.usefixtures("alike")


def test_the_keys_are_those_that_the_run_says(sharp: list[Path], many: Path) -> None:
    told = record(submit(sharp, many, "early", early_exit="20%"))
    found = read_exit(Path("early"))
    assert found.calibration is not None
    assert (found.partition.key, found.calibration.key) == (told["key"], told["calibration"])
    assert len(found.plan.evaluations) == told["stages"]


def test_a_store_that_was_moved_is_named(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    Path(".ensemble").rename("moved")
    with pytest.raises(UsageError, match="name the right --store"):
        read_exit(Path("early"))
    assert read_exit(Path("early"), Path("moved")).calibration is None


def test_everyone_has_those_without_a_label_in_their_places(sharp: list[Path], many: Path) -> None:
    broken(many, range(2, 4))
    submit(sharp, many, "early", early_exit="lossless", fill="cat")
    ends = read_exit(Path("early")).partition.read(ENDS)
    assert len(ends.ids) == COUNT - 2
    assert everyone(ends) == [f"img{number}" for number in range(1, COUNT + 1)]
