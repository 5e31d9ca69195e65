"""`ensemble store list`, `verify` and `gc`, and `ensemble verify-exit`."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from kept import RUNS, STORE, a_part, files, refused
from toys import ensemble

from ensemble.predictions.inventory import inventory

pytestmark = pytest.mark.usefixtures("a_run")


@pytest.mark.parametrize("command", ["list", "verify", "gc"])
def test_a_store_that_cannot_be_listed_exits_1_with_what_mends_it(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "scandir", refused)  # root may list anything
    assert ensemble("store", command) == 1
    assert "cannot list .ensemble/predictions: Permission denied" in capsys.readouterr().err


def test_verify_exits_1_where_a_part_is_torn(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("store", "verify") == 0
    a_part().write_bytes(b"")
    assert ensemble("store", "verify") == 1
    assert "computed again" in capsys.readouterr().out


def test_the_list_is_json_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("store", "list", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_the_list_has_a_line_of_fields_for_each_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("store", "list") == 0
    said = capsys.readouterr()
    lines = [line.split("\t") for line in said.out.splitlines()]
    assert [line[0] for line in lines] == [held.key for held in inventory(STORE, RUNS)]
    assert {tuple(line[4:9]) for line in lines} == {("none", "mean", "fp32", "CPU", "12")}
    assert {line[-1] for line in lines} == {"submissions/first"}
    assert "2 keys" in said.err


@pytest.mark.parametrize("columns", [80, 200])
def test_the_list_on_a_terminal_is_a_table_that_fits(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert ensemble("store", "list") == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert len(shown) == 3
    assert max(map(len, shown)) <= columns
    keys = {held.key for held in inventory(STORE, RUNS)}
    assert {line.split()[0] for line in shown} == {"key", *keys}


@pytest.mark.parametrize("command", ["list", "verify", "gc"])
def test_a_store_that_is_not_there_is_no_empty_store(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("store", command, "--store", "nowhere") == 2
    assert "--store nowhere: no such folder" in capsys.readouterr().err


def test_what_no_run_refers_to_is_listed_and_deleted_on_request_only() -> None:
    Path("submissions/first/run.json").unlink()
    before = files()
    assert ensemble("store", "gc") == 0
    assert files() == before
    assert ensemble("store", "gc", "--yes") == 0
    assert list((STORE / "predictions").iterdir()) == []


def test_the_sweep_says_where_it_looked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("submissions/first/run.json").unlink()
    assert ensemble("store", "gc") == 0
    said = capsys.readouterr().err
    assert (
        "no run under submissions refers to what is kept under 2 keys; --runs names other folders"
        in said
    )
