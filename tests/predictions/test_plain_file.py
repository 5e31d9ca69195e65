"""A plain Parquet file gives slice by slice what `formats.read` reads of it at once."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from tables import CLASSES, IDS, oof, probs, write_predictions

from ensemble.errors import UsageError
from ensemble.files.parquet import list_column
from ensemble.predictions import oof_file
from ensemble.predictions import plain_file as module
from ensemble.predictions.formats import read
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.plain_file import PlainFile, plain_file
from ensemble.records import Task

NO_HINTS = ForeignHints()


def wide(path: Path, values: NDArray[np.float64] | None = None, **more: object) -> Path:
    """A column a class, in row groups of three rows."""
    numbers = probs() if values is None else values
    columns = {name: numbers[:, n] for n, name in enumerate(CLASSES)}
    pq.write_table(pa.table({"id": IDS, **columns, **more}), path, row_group_size=3)
    return path


def lists(path: Path) -> Path:
    pq.write_table(pa.table({"id": IDS, "probs": list_column(probs(), np.float64)}), path)
    return path


def of_run(path: Path) -> Path:
    about = {"classes": list(CLASSES), "task": "classification", "members": {"bee": ["x"]}}
    columns = {"probs": probs(1), "family:ant": probs(0), "family:bee": probs(2)}
    write_predictions(path, IDS, [], columns, about)
    return path


def of_oof(path: Path) -> Path:
    oof_file.write(path, oof("ant", 3))
    return path


def looked_at(path: Path, told: ForeignHints = NO_HINTS) -> PlainFile:
    found = plain_file(path, None, told)
    assert found is not None
    return found


FORMS = (wide, lists, of_run, of_oof)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("form", FORMS)
def test_slices_are_what_is_read_at_once(
    tmp_path: Path, form: Callable[[Path], Path], rows: int
) -> None:
    whole, found = read(form(tmp_path / "ant.parquet")), looked_at(tmp_path / "ant.parquet")
    assert (tuple(found.ids.to_pylist()), found.about.classes) == (whole.ids, whole.classes)
    assert (found.about.members, found.about.rescaled) == (whole.members, whole.rescaled)
    parts = list(found.slices(rows))
    assert [len(next(iter(part.values()))) for part in parts[:-1]] == [rows] * (len(parts) - 1)
    for name, numbers in whole.families.items():
        own = np.concatenate([found.pooled(part[name]) for part in parts])
        np.testing.assert_array_equal(own, numbers)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_sum_to_1_and_those_that_did_not_are_counted(
    tmp_path: Path, dtype: type[np.floating]
) -> None:
    path = wide(tmp_path / "ant.parquet", probs().astype(dtype))
    (some,) = looked_at(path).slices(4)
    np.testing.assert_allclose(looked_at(path).pooled(some["ant"]).sum(1), 1, atol=1e-15)
    assert looked_at(path).about.rescaled == read(path).rescaled


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_values_and_labels_are_not_divided(tmp_path: Path, task: Task) -> None:
    path, told = wide(tmp_path / "ant.parquet", probs() / 2), ForeignHints(task=task)
    found = looked_at(path, told)
    (some,) = found.slices(4)
    np.testing.assert_array_equal(found.pooled(some["ant"]), probs() / 2)


def test_a_family_is_named(tmp_path: Path) -> None:
    found = plain_file(of_run(tmp_path / "p.parquet"), "bee", NO_HINTS)
    assert found is not None
    assert (list(found.columns), list(found.about.families)) == (["bee"], ["bee"])


def test_ids_that_are_known_are_shared(tmp_path: Path) -> None:
    first = looked_at(wide(tmp_path / "ant.parquet"))
    again = plain_file(lists(tmp_path / "bee.parquet"), None, NO_HINTS, first.ids)
    assert again is not None
    assert again.ids is first.ids


def test_ids_that_are_numbers_are_texts(tmp_path: Path) -> None:
    path = wide(tmp_path / "ant.parquet", id=pa.array([7, 10, 2, 3]))
    assert looked_at(path).ids.to_pylist() == ["7", "10", "2", "3"]


ROUNDED = np.round(np.full((4, 3), 1 / 3), 2)
PERCENT = probs() * 100
NAN = np.where(np.eye(4, 3) == 1, np.nan, probs())


@pytest.mark.parametrize("values", [ROUNDED, PERCENT, NAN, np.zeros((4, 3)), -probs()])
def test_numbers_that_want_a_second_look_are_not_plain(
    tmp_path: Path, values: NDArray[np.float64]
) -> None:
    assert plain_file(wide(tmp_path / "ant.parquet", values), None, NO_HINTS) is None


@pytest.mark.parametrize(
    "more",
    [
        {"fold": [0, 1, 0, 1]},
        {"label": ["cat", "dog", "eel", "cat"]},
        {"index": [0, 1, 2, 3]},
        {"id": ["a", "a", "b", "c"]},
        {"id": ["a", "", "b", "c"]},
        {"id": ["a", None, "b", "c"]},
        {"id": [0.5, 1.5, 2.5, 3.5]},
    ],
)
def test_rows_and_columns_that_want_a_second_look_are_not_plain(
    tmp_path: Path, more: dict[str, object]
) -> None:
    assert plain_file(wide(tmp_path / "ant.parquet", **more), None, NO_HINTS) is None


def test_lists_of_variable_length_are_not_plain(tmp_path: Path) -> None:
    path = tmp_path / "ant.parquet"
    pq.write_table(pa.table({"id": IDS, "probs": probs().tolist()}), path)
    assert plain_file(path, None, NO_HINTS) is None


def test_what_is_damaged_or_of_another_kind_is_not_plain(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    (tmp_path / "a.csv").write_text("id,cat,dog\na,0.5,0.5\n")
    for name in ("a.parquet", "a.csv", "gone.parquet"):
        assert plain_file(tmp_path / name, None, NO_HINTS) is None


def test_a_file_that_was_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = wide(tmp_path / "ant.parquet")
    found = looked_at(path)
    os.utime(path, ns=(0, 0))
    with pytest.raises(UsageError, match=r"ant\.parquet was changed while it was read"):
        list(found.slices(2))


def test_a_file_that_is_replaced_as_it_is_opened_is_not_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = wide(tmp_path / "ant.parquet"), wide(tmp_path / "other.parquet", probs(1))
    opened = module._opened

    @contextmanager
    def replaced(name: Path) -> Iterator[pq.ParquetFile]:
        with opened(name) as file:
            other.replace(path)
            yield file

    monkeypatch.setattr(module, "_opened", replaced)
    assert plain_file(path, None, NO_HINTS) is None


def test_a_file_that_is_gone_meanwhile_is_named(tmp_path: Path) -> None:
    path = wide(tmp_path / "ant.parquet")
    found = looked_at(path)
    path.unlink()
    with pytest.raises(UsageError, match=r"ant\.parquet: cannot read the predictions"):
        list(found.slices(2))
