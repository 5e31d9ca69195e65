"""`ensemble doctor`."""

import json
from pathlib import Path

import pytest
from toys import ensemble


def test_a_store_that_is_a_file_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert ensemble("doctor", "--json", "--store", tmp_path / "file") == 4
    (store,) = [f for f in json.loads(capsys.readouterr().out) if f["topic"] == "store"]
    assert (store["level"], store["remedy"]) == ("problem", "--store with another folder")


def test_what_was_found_is_told_a_line_each_with_what_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert ensemble("doctor", "--store", tmp_path / "file") == 4
    lines = capsys.readouterr().out.splitlines()
    (row,) = (n for n, line in enumerate(lines) if line.startswith("problem store "))
    assert lines[row + 1].strip() == "--store with another folder"
