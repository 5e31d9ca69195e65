"""A path follows the argmax of each row, whatever ties and however long."""

import numpy as np
import pytest
from hypothesis import given
from walks import Case, cases

from ensemble.tuning import blocks
from ensemble.tuning.paths import Beside, walk


@given(case=cases())
def test_a_path_is_the_argmax_at_every_place(case: Case) -> None:
    _, start, end = case
    path = walk(start, end)
    for place in np.linspace(0.013, 0.987, 9):
        labels = path.start.copy()
        for at, row, new in zip(path.places, path.rows, path.new, strict=True):
            if at <= place:
                labels[row] = new
        values = start + place * (end - start)
        reached = np.take_along_axis(values, labels[:, None], 1)[:, 0]
        np.testing.assert_allclose(reached, values.max(1), atol=1e-9)


@given(case=cases())
def test_the_changes_of_a_path_come_in_order_and_each_leaves_where_the_last_arrived(
    case: Case,
) -> None:
    path = walk(*case[1:])
    assert (np.diff(path.places) >= 0).all()
    labels = path.start.copy()
    for row, old, new in zip(path.rows, path.old, path.new, strict=True):
        assert labels[row] == old != new
        labels[row] = new


def test_of_classes_that_tie_at_the_start_the_steepest_wins() -> None:
    path = walk(np.array([[0.5, 0.5]]), np.array([[0.2, 0.8]]))
    assert (path.start.tolist(), path.places.tolist()) == ([1], [])


def test_one_class_never_changes() -> None:
    path = walk(np.ones((3, 1)), np.zeros((3, 1)))
    assert (path.start.tolist(), path.places.tolist()) == ([0, 0, 0], [])


def test_a_class_that_is_passed_for_an_instant_is_no_stop() -> None:
    """Three lines through one point: the label goes from the first to the steepest."""
    path = walk(np.array([[0.75, 0.5, 0.25]]), np.array([[0.25, 0.5, 0.75]]))
    assert (path.old.tolist(), path.new.tolist()) == ([0], [2])
    assert path.places == pytest.approx([0.5])


def test_rows_in_blocks_are_followed_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    start, end = rng.random((100, 5)), rng.random((100, 5))
    monkeypatch.setattr(blocks, "_CELLS", 1)
    monkeypatch.setattr(blocks, "_LEAST_ROWS", 7)
    found = walk(start, end)
    alone = [walk(start[[row]], end[[row]]) for row in range(100)]
    assert found.start.tolist() == [int(path.start[0]) for path in alone]
    for row, path in enumerate(alone):
        own = found.rows == row
        assert found.places[own].tolist() == path.places.tolist()
        assert found.new[own].tolist() == path.new.tolist()
    assert (np.diff(found.places) >= 0).all()


def test_an_end_of_float32_is_followed_as_its_float64() -> None:
    rng = np.random.default_rng(5)
    start, end = rng.random((40, 3)), rng.random((40, 3)).astype(np.float32)
    np.testing.assert_array_equal(walk(start, end).places, walk(start, end.astype(float)).places)


def test_a_path_among_other_rows_has_their_labels_and_its_own_rows() -> None:
    rows = np.array([False, True, False, True])
    own = walk(np.array([[0.6, 0.4], [0.3, 0.7]]), np.array([[0.2, 0.8], [0.2, 0.8]]))
    path = Beside(np.array([1, 0, 0, 0]), rows).path(own)
    assert path.start.tolist() == [1, 0, 0, 1]
    assert (path.rows.tolist(), path.new.tolist()) == ([1], [1])
