"""What files do not say themselves is told beside them, and only where it is needed."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.predictions.hints import ForeignHints, hints_for


def test_rows_are_told_for_an_array_only() -> None:
    with pytest.raises(UsageError, match=r"--rows-of goes with a \.npy"):
        hints_for([Path("a.csv")], Path("t.csv"), (), None)
    found = hints_for([Path("a.csv"), Path("b.npy")], Path("t.csv"), ["x"], None, "name")
    assert found == ForeignHints(Path("t.csv"), ("x",), None, "name")


def test_what_does_not_say_its_task_is_a_classification() -> None:
    assert ForeignHints().expected == "classification"
    assert ForeignHints(task="regression").expected == "regression"
