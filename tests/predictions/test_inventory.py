"""The store seen from outside: listed, and hashed again."""

import json
import os
from contextlib import nullcontext
from os import scandir
from pathlib import Path
from typing import Any

import pytest
from kept import RUNS, STORE, a_part, refused

from ensemble.api import predict
from ensemble.predictions.inventory import inventory, verify
from ensemble.predictions.store import load_partition

pytestmark = pytest.mark.usefixtures("a_run")


def test_a_key_is_listed_with_its_member_images_shards_and_runs() -> None:
    held = inventory(STORE, RUNS)
    assert sorted((h.member, h.family, h.fold) for h in held) == [
        ("ant-f0", "ant", 0), ("ant-f1", "ant", 1),
    ]  # fmt: skip
    assert {(h.images, h.shards, h.total, h.tta, h.runs) for h in held} == {
        (12, 3, 3, "none", ("submissions/first",))
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


def test_a_file_that_a_run_renames_meanwhile_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = [held.bytes for held in inventory(STORE, RUNS)]
    monkeypatch.setattr(os, "scandir", gone)
    assert [held.bytes for held in inventory(STORE, [])] == sizes


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


def test_keys_that_differ_in_views_merge_or_precision_only_are_told_apart(
    members: list[Path], images: Path
) -> None:
    for how in ({"merge": "gmean"}, {"tta": "hflip"}, {"tta": "vflip"}, {"tta": "d4"}):
        predict.run(members[0], images, out=f"out/{len(list(Path('out').glob('*')))}", device="cpu",
                **how)  # type: ignore[arg-type]  # fmt: skip
    seen = [(h.member, h.tta, h.merge, h.precision) for h in inventory(STORE)]
    assert len(set(seen)) == len(seen) == 6
    assert ("ant-f0", "hflip", "mean", "fp32") in seen
