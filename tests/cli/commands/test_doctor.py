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
