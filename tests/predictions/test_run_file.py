"""A run's predictions.parquet is written slice by slice, and what an early exit wrote read back."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tables import CLASSES, IDS, probs, write_predictions

from ensemble.errors import StoreError, UsageError
from ensemble.files.parquet import read_lists
from ensemble.predictions.run_file import RunFile, read_labels

LABELS = ["cat", "dog", "eel", "cat"]
ABOUT = {"classes": list(CLASSES), "task": "classification", "members": {"ant": ["x"]}}


def written(path: Path, **more: Any) -> Path:
    write_predictions(path, IDS, LABELS, {"probs": probs(1), "family:ant": probs(0)}, ABOUT, **more)
    return path


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_slices_hold_the_rows_that_were_written_at_once(tmp_path: Path, size: int) -> None:
    path = tmp_path / "p.parquet"
    with path.open("wb") as sink, RunFile(sink, ABOUT) as file:
        for start in range(0, 4, size):
            at = slice(start, start + size)
            columns = {"probs": probs(1)[at], "family:ant": probs(0)[at]}
            file.add(IDS[at], LABELS[at], columns, np.arange(4)[at])
    found = pq.ParquetFile(path).read()
    assert found.column_names == ["id", "label", "probs", "family:ant", "n_evals"]
    assert found.column("id").to_pylist() == list(IDS)
    assert found.column("label").to_pylist() == LABELS
    assert found.column("n_evals").to_pylist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(
        read_lists(found.column("family:ant"), 3), probs(0).astype(np.float32)
    )


class Full(io.RawIOBase):
    """A disk that takes the beginning of a file, and no more."""

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        raise StoreError("the disk is full")


def test_why_a_vote_failed_is_told_and_not_that_its_file_has_no_end() -> None:
    def failing() -> None:
        with RunFile(Full(), ABOUT):
            raise UsageError("other classes")

    with pytest.raises(UsageError, match="other classes"):
        failing()


def test_labels_and_evaluations_of_an_early_exit_come_back(tmp_path: Path) -> None:
    counts = np.array([1, 2, 3, 1])
    path = written(tmp_path / "predictions.parquet", evaluations=counts)
    ids, labels, evaluations = read_labels(path, CLASSES)
    assert (ids, labels.tolist()) == (list(IDS), [[0], [1], [2], [0]])
    np.testing.assert_array_equal(evaluations, counts)


def test_labels_of_a_multilabel_head_come_back(tmp_path: Path) -> None:
    given = np.eye(4, 3)
    path = tmp_path / "p.parquet"
    write_predictions(path, IDS, [], {"labels": given}, ABOUT, evaluations=np.arange(4))
    assert read_labels(path, CLASSES)[1].tolist() == given.astype(int).tolist()


def test_an_early_exit_over_no_images_has_no_labels(tmp_path: Path) -> None:
    nothing = np.empty((0, 3))
    path = tmp_path / "p.parquet"
    write_predictions(path, [], [], {"labels": nothing}, ABOUT, evaluations=np.empty(0, np.int64))
    ids, labels, evaluations = read_labels(path, CLASSES)
    assert (ids, len(labels), len(evaluations)) == ([], 0, 0)


@pytest.mark.parametrize("classes", [("cat", "dog"), ("a", "b", "c")])
def test_labels_of_other_classes_are_refused(tmp_path: Path, classes: tuple[str, ...]) -> None:
    path = written(tmp_path / "p.parquet", evaluations=np.arange(4))
    with pytest.raises(UsageError, match="p.parquet: not what an early exit wrote"):
        read_labels(path, classes)


@pytest.mark.parametrize("kind", ["gone", "damaged", "plain"])
def test_what_no_early_exit_wrote_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "p.parquet"
    if kind == "plain":
        written(path)
    elif kind == "damaged":
        path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="p.parquet: not what an early exit wrote"):
        read_labels(path, CLASSES)
