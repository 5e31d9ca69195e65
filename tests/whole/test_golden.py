"""What the commands write does not change: files made before, compared name by name."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys import ensemble
from whole.make_golden import GOLDEN, make

_KERNELS = 1e-5
"""How far another processor's kernels may move a probability."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder, here = tmp_path_factory.mktemp("golden"), Path.cwd()
    os.chdir(folder)
    try:
        return make(folder, ensemble)
    finally:
        os.chdir(here)


def test_the_same_files_are_written(made: dict[str, bytes]) -> None:
    golden = {str(p.relative_to(GOLDEN)) for p in GOLDEN.rglob("*") if p.is_file()}
    assert set(made) == golden


def test_text_is_as_it_was(made: dict[str, bytes]) -> None:
    for name, content in made.items():
        golden = (GOLDEN / name).read_bytes()
        if name.endswith("submission.csv") and not name.startswith("weighted"):
            assert content == golden, name
        elif name.endswith(("json", "_SUCCESS")):
            _check_alike(json.loads(content), json.loads(golden), name)


def test_tables_are_as_they_were(made: dict[str, bytes]) -> None:
    for name, content in made.items():
        if not name.endswith(".parquet"):
            continue
        found, golden = (pq.read_table(io.BytesIO(c)) for c in (content, _golden(name)))
        assert found.schema.equals(golden.schema, check_metadata=True), name
        for column in golden.column_names:
            _check_column(found[column], golden[column], f"{name}: {column}")


def test_probabilities_in_text_are_as_they_were(made: dict[str, bytes]) -> None:
    found, golden = (
        [row.split(",") for row in content.decode().splitlines()]
        for content in (made["weighted/submission.csv"], _golden("weighted/submission.csv"))
    )
    assert [row[0] for row in found] == [row[0] for row in golden]
    assert found[0] == golden[0]
    numbers = [np.array([row[1:] for row in rows[1:]], float) for rows in (found, golden)]
    np.testing.assert_allclose(*numbers, atol=_KERNELS)


def test_the_golden_files_are_made_by_one_command() -> None:
    script = GOLDEN.parent / "make_golden.py"
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, check=True)
    assert b"writes them anew" in done.stdout


def _golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def _check_alike(found: object, golden: object, where: str) -> None:
    """Hold JSON values to be equal, the order of keys too, and numbers up to other kernels."""
    if isinstance(golden, dict):
        assert isinstance(found, dict)
        assert list(found) == list(golden), where
        for key in golden:
            hashed = key == "submission_sha256" and where.startswith("weighted")
            if not hashed:  # its cells are compared as numbers
                _check_alike(found[key], golden[key], f"{where}: {key}")
    elif isinstance(golden, list):
        assert isinstance(found, list)
        assert len(found) == len(golden), where
        for number, (one, other) in enumerate(zip(found, golden, strict=True)):
            _check_alike(one, other, f"{where}: {number}")
    elif isinstance(golden, float):
        assert found == pytest.approx(golden, abs=1e-4), where
    else:
        assert (type(found), found) == (type(golden), golden), where


def _check_column(found: pa.ChunkedArray, golden: pa.ChunkedArray, where: str) -> None:
    if pa.types.is_floating(golden.type):
        np.testing.assert_allclose(found.to_numpy(), golden.to_numpy(), atol=_KERNELS)
    elif pa.types.is_list(golden.type) or pa.types.is_fixed_size_list(golden.type):
        rows = (np.array(column.to_pylist(), float) for column in (found, golden))
        np.testing.assert_allclose(*rows, atol=_KERNELS, err_msg=where)
    else:
        assert found.to_pylist() == golden.to_pylist(), where
