"""Files read slice by slice are joined as files that are read at once are, to the bit."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tables import CLASSES, IDS, oof, probs

from ensemble.errors import UsageError
from ensemble.files.csv_tables import csv_bytes
from ensemble.predictions import file_slices, oof_file, table
from ensemble.predictions.file_slices import read_in_slices
from ensemble.predictions.formats import read_all

Files = list[tuple[str | None, Path]]


def written(
    path: Path, ids: tuple[str, ...], classes: tuple[str, ...], values: NDArray[np.floating]
) -> Path:
    columns = {name: values[:, n] for n, name in enumerate(classes)}
    pq.write_table(pa.table({"id": list(ids), **columns}), path, row_group_size=5)
    return path


def assert_same(files: Files, classes: tuple[str, ...], rows: int) -> None:
    """What is read slice by slice is what is read at once, its hashes included."""
    whole = table.identified(table.in_order(read_all(files, None), classes))
    found, slices = read_in_slices(files, None, classes)
    assert (found.ids, found.classes, found.sources) == (whole.ids, whole.classes, whole.sources)
    assert (found.rescaled, found.notes, found.ordered, found.families) == (
        whole.rescaled, whole.notes, whole.ordered, {},
    )  # fmt: skip
    parts = list(slices(rows))
    assert [[b.name for b in part] for part in parts] == [list(whole.families)] * len(parts)
    for n, probs_of in enumerate(whole.families.values()):
        own = np.concatenate([part[n].probs for part in parts])
        np.testing.assert_array_equal(own, probs_of)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 40), width=st.integers(2, 40), size=st.integers(1, 41),
    seed=st.integers(0, 1 << 20), moved=st.booleans(), turned=st.booleans(),
)  # fmt: skip
def test_files_are_joined_as_at_once(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    width: int,
    size: int,
    seed: int,
    moved: bool,
    turned: bool,
) -> None:
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(seed)
    ids = tuple(f"img{n}" for n in range(rows))
    classes = tuple(f"c{n}" for n in range(width))
    files: Files = []
    for name, dtype in (("ant", np.float64), ("bee", np.float32), ("cow", np.float16)):
        order = rng.permutation(rows) if moved and files else np.arange(rows)
        places = rng.permutation(width) if turned and files else np.arange(width)
        values = rng.dirichlet(np.ones(width), rows)[order][:, places].astype(dtype)
        own = tuple(ids[n] for n in order), tuple(classes[n] for n in places)
        files.append((None, written(folder / f"{name}.parquet", *own, values)))
    assert_same(files, (), size)
    assert_same(files, classes[::-1], size)


def test_files_of_several_kinds_are_joined(tmp_path: Path) -> None:
    oof_file.write(tmp_path / "oof.parquet", oof("ant", 0))
    order = [2, 0, 3, 1]
    rows = [[IDS[n], *probs(1)[n]] for n in order]
    (tmp_path / "mate.csv").write_bytes(csv_bytes([["id", *CLASSES], *rows]))
    written(tmp_path / "plain.parquet", IDS, CLASSES, probs(2))
    names = ("oof.parquet", "mate.csv", "plain.parquet")
    assert_same([(None, tmp_path / name) for name in names], (), 3)
    assert_same([(None, tmp_path / name) for name in names[::-1]], (), 3)


def test_numbers_are_hashed_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_slices, "_ROWS", 3)
    path = written(tmp_path / "ant.parquet", IDS, CLASSES, probs())
    other = written(tmp_path / "bee.parquet", IDS[::-1], CLASSES, probs(1))
    assert_same([(None, path), ("bee", other)], CLASSES[::-1], 2)


@pytest.mark.parametrize(
    ("name", "ids", "classes", "message"),
    [
        ("bee", (*IDS[:3], "z"), CLASSES, "only the first has b; only the second has z"),
        ("bee", IDS, ("cat", "dog", "fox"), "other classes"),
        ("ant", IDS, CLASSES, "'ant' is given twice"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, ids: tuple[str, ...], classes: tuple[str, ...], message: str
) -> None:
    first = written(tmp_path / "a.parquet", IDS, CLASSES, probs())
    other = written(tmp_path / "b.parquet", ids, classes, probs(1))
    with pytest.raises(UsageError, match=message):
        read_in_slices([("ant", first), (name, other)], None, ())
