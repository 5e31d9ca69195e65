"""Files of predictions are joined by id and class name, never by position."""

import numpy as np
import pytest
from tables import CLASSES, IDS, oof, probs

from ensemble.errors import UsageError
from ensemble.predictions.join import join
from ensemble.predictions.table import Oof


def test_files_are_joined_by_id_and_class_name() -> None:
    rows, columns = [2, 0, 3, 1], [1, 2, 0]
    shuffled = Oof(
        tuple(IDS[r] for r in rows),
        tuple(CLASSES[c] for c in columns),
        {"ant": probs(1)[rows][:, columns]},
        np.array([9, 7, 8, 6])[rows],
    )
    joined = join([oof("bee"), shuffled])
    assert list(joined.families) == ["ant", "bee"]
    np.testing.assert_array_equal(joined.families["ant"], probs(1))
    np.testing.assert_array_equal(joined.folds, [9, 7, 8, 6])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Oof((*IDS[:3], "z"), CLASSES, {"bee": probs()}), "only the first has b; only the second"),
        (Oof(IDS, ("cat", "dog", "fox"), {"bee": probs()}), "other classes"),
        (Oof(IDS, CLASSES, {"ant": probs()}), "'ant' is given twice"),
        (Oof(IDS, CLASSES, {"bee": probs()}, np.array([0, 1, 1, 1])), "'1e5' is in fold 1"),
    ],
)
def test_files_that_do_not_fit_are_refused(other: Oof, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        join([oof(folds=np.array([0, 1, 0, 1])), other])
