"""What Python is given, as the library takes it."""

import pandas as pd
import pytest

import ensemble as package
from ensemble.errors import UsageError


def test_a_frame_with_a_column_twice_is_refused() -> None:
    frame = pd.DataFrame([[0.2, 0.3, 0.5]], ["a"], ["cat", "cat", "dog"])
    with pytest.raises(UsageError, match="family 'ant': classes stand there twice: cat"):
        package.vote(predictions={"ant": frame})
