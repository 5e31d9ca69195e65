"""What Python is given, as the library takes it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ensemble as package
from ensemble.api.arguments import by_id, oof_of, path_of, rows_of, texts_of, weights_of
from ensemble.errors import UsageError
from ensemble.voting.weights import Weights


def test_a_frame_with_a_column_twice_is_refused() -> None:
    frame = pd.DataFrame([[0.2, 0.3, 0.5]], ["a"], ["cat", "cat", "dog"])
    with pytest.raises(UsageError, match="family 'ant': classes stand there twice: cat"):
        package.vote(predictions={"ant": frame})


def test_one_path_is_not_taken_for_its_letters() -> None:
    assert texts_of("folds") == texts_of(Path("folds")) == ("folds",)
    assert texts_of(path for path in ("a", Path("b"))) == ("a", "b")
    assert (path_of(None), path_of("a")) == (None, Path("a"))


@pytest.mark.parametrize("given", [None, "uniform"])
def test_no_weights_and_uniform_weights_are_the_same(given: str | None) -> None:
    assert weights_of(given) is None


def test_weights_may_be_made_a_mapping_or_a_text() -> None:
    made = Weights({"ant": 0.6, "bee": 0.4})
    assert weights_of(made) is made
    assert weights_of({"ant": 0.6, "bee": 0.4}) == weights_of("ant=0.6,bee=0.4") == made


def test_columns_of_labels_take_the_order_of_the_classes() -> None:
    frame = pd.DataFrame([[1, 0], [0, 1]], ["x", "y"], ["dog", "cat"])
    assert rows_of(frame, ("cat", "dog")) == {"x": (0, 1), "y": (1, 0)}
    with pytest.raises(UsageError, match="the classes are cat, eel"):
        rows_of(frame, ("cat", "eel"))


def test_frames_are_joined_by_their_index_and_columns() -> None:
    one = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]], ["x", "y"], ["cat", "dog"])
    joined = oof_of({"ant": one, "bee": one.iloc[::-1, ::-1]})
    assert oof_of(joined) is joined
    np.testing.assert_array_equal(joined.families["ant"], joined.families["bee"])


def test_numbers_that_are_ids_are_texts_and_stand_once() -> None:
    assert by_id({7: "cat"}, "labels") == {"7": "cat"}  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="labels: id '7' stands there twice"):
        by_id({7: "cat", "7": "dog"}, "labels")  # type: ignore[dict-item]
