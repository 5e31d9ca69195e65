"""The store seen from outside: listed, and hashed again."""

import json
import os
import re
import sys
from contextlib import nullcontext
from os import scandir
from pathlib import Path
from typing import Any

import pytest
from toys import ensemble

from ensemble.api import predict
from ensemble.predictions.inventory import inventory, verify
from ensemble.predictions.store import LOCK, load_partition

pytestmark = pytest.mark.usefixtures("a_run")

STORE, RUNS = Path(".ensemble"), [Path("submissions")]


def files() -> dict[str, bytes]:
    found = (p for p in sorted(Path().rglob("*")) if p.is_file() and p.name != LOCK)
    return {str(p): p.read_bytes() for p in found}


def a_part() -> Path:
    return sorted(STORE.rglob("part-00001.parquet"))[0]


def test_a_key_is_listed_with_its_member_images_shards_and_runs() -> None:
    held = inventory(STORE, RUNS)
    assert sorted((h.member, h.family, h.fold) for h in held) == [
        ("ant-f0", "ant", 0), ("ant-f1", "ant", 1),
    ]  # fmt: skip
    assert {(h.images, h.shards, h.total, h.views, h.runs) for h in held} == {
        (12, 3, 3, "plain", ("submissions/first",))
    }
    for entry in held:
        folder = STORE / "predictions" / entry.key
        assert entry.bytes == sum(p.stat().st_size for p in folder.iterdir())


def test_a_key_of_an_older_version_has_no_name_and_is_read() -> None:
    path = sorted(STORE.rglob("key.json"))[0]
    record = json.loads(path.read_text())
    del record["label"]
    path.write_text(json.dumps(record))
    assert load_partition(STORE, path.parent.name) is not None
    entry = next(h for h in inventory(STORE, RUNS) if h.key == path.parent.name)
    assert entry.member == record["fingerprint"]["member"][:12]


def gone(folder: str | Path) -> Any:
    """List a folder as if a file were renamed right after."""
    left = Path(folder) / ".tmp-gone"
    left.touch()
    entries = list(scandir(folder))
    left.unlink()
    return nullcontext(entries)


def refused(folder: str | Path) -> Any:
    raise PermissionError(13, "Permission denied", str(folder))


def test_a_file_that_a_run_renames_meanwhile_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = [held.bytes for held in inventory(STORE, RUNS)]
    monkeypatch.setattr(os, "scandir", gone)
    assert [held.bytes for held in inventory(STORE, [])] == sizes


@pytest.mark.parametrize("command", ["list", "verify", "gc"])
def test_a_store_that_cannot_be_listed_exits_1_with_what_mends_it(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "scandir", refused)  # root may list anything
    assert ensemble("store", command) == 1
    assert "cannot list .ensemble/predictions: Permission denied" in capsys.readouterr().err


def test_a_key_that_cannot_be_listed_has_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def but_keys(folder: str | Path) -> Any:
        return refused(folder) if Path(folder).parent.name == "predictions" else scandir(folder)

    monkeypatch.setattr(os, "scandir", but_keys)
    held = inventory(STORE, [])
    assert len(held) == 2
    assert all("Permission denied" in entry.fault for entry in held)


def test_a_whole_store_is_verified() -> None:
    assert verify(STORE) == (6, [])


@pytest.mark.parametrize("name", ["part-00001.parquet", "part-00001.json", "key.json"])
def test_what_is_torn_is_named(name: str) -> None:
    path = a_part().with_name(name)
    path.write_bytes(path.read_bytes()[:-9])
    (torn,) = verify(STORE)[1]
    assert torn.path.with_suffix("") == path.with_suffix("")


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
    assert {tuple(line[4:9]) for line in lines} == {("plain", "mean", "fp32", "CPU", "12")}
    assert {line[-1] for line in lines} == {"submissions/first"}
    assert "2 keys" in said.err


def test_keys_that_differ_in_views_merge_or_precision_only_are_told_apart(
    members: list[Path], images: Path
) -> None:
    for how in ({"merge": "gmean"}, {"tta": "hflip"}, {"tta": "vflip"}, {"tta": "d4"}):
        predict.run(members[0], images, out=f"out/{len(list(Path('out').glob('*')))}", device="cpu",
                **how)  # type: ignore[arg-type]  # fmt: skip
    seen = [(h.member, h.views, h.merge, h.precision) for h in inventory(STORE)]
    assert len(set(seen)) == len(seen) == 6
    assert ("ant-f0", "plain, hflip", "mean", "fp32") in seen


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
