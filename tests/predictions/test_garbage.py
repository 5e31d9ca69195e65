"""The sweep takes what no run refers to, and nothing else."""

from functools import partial
from pathlib import Path

import pytest
from kept import RUNS, STORE, a_part, files

from ensemble.api import predict
from ensemble.errors import StoreError, UsageError
from ensemble.predictions import garbage as sweep
from ensemble.predictions import store
from ensemble.predictions.garbage import collect, garbage
from ensemble.predictions.inventory import inventory
from ensemble.predictions.store import hold, load_partition

pytestmark = pytest.mark.usefixtures("a_run")


def test_what_a_run_refers_to_is_kept() -> None:
    assert garbage(STORE, RUNS).keys == ()


def test_without_a_folder_of_runs_nothing_is_swept() -> None:
    Path("submissions").rename("moved")
    with pytest.raises(UsageError, match="--runs submissions: no such folder"):
        garbage(STORE)


def test_what_a_write_left_behind_goes() -> None:
    left = a_part().with_name(".tmp-left")
    left.write_bytes(b"x")
    found = garbage(STORE, RUNS)
    assert (found.keys, found.temporaries) == ((), (left,))
    before = files()
    collect(STORE, found)
    assert files() == {name: data for name, data in before.items() if name != str(left)}


def test_no_link_is_followed_and_nothing_else_is_deleted(tmp_path: Path) -> None:
    Path("submissions/first/run.json").unlink()
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "part-00000.json").write_text("x")
    (STORE / "predictions" / ("0" * 16)).symlink_to(precious)
    (STORE / "predictions" / "notes").mkdir()
    inside = a_part().with_name("link.json")
    inside.symlink_to(precious / "part-00000.json")
    collect(STORE, garbage(STORE, RUNS))
    assert (precious / "part-00000.json").read_text() == "x"
    left = {path.name for path in (STORE / "predictions").iterdir()}
    assert left == {"0" * 16, "notes"}


def test_a_key_that_a_run_holds_stops_the_sweep_before_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "locked", partial(store.locked, patience=0.1))
    Path("submissions/first/run.json").unlink()
    before = files()
    last = garbage(STORE, RUNS).keys[-1].key
    with hold(STORE, [last], 4711), pytest.raises(UsageError, match="process 4711"):
        collect(STORE, garbage(STORE, RUNS))
    assert files() == before


def test_a_folder_within_a_key_stops_the_sweep() -> None:
    Path("submissions/first/run.json").unlink()
    a_part().with_name("mine").mkdir()
    before = files()
    with pytest.raises(StoreError, match="holds folders"):
        collect(STORE, garbage(STORE, RUNS))
    assert files() == before


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"members": [], "early_exit": "x"}',
        '{"members": [], "early_exit": {"stored": 1}}',
    ],
)
def test_a_damaged_record_stops_the_sweep(text: str) -> None:
    Path("submissions/first/run.json").write_text(text)
    with pytest.raises(UsageError, match="damaged"):
        garbage(STORE, RUNS)


def test_no_folder_of_runs_stops_the_sweep() -> None:
    with pytest.raises(UsageError, match="no such folder"):
        garbage(STORE, [Path("elsewhere")])


def test_the_sweep_says_how_many_bytes_are_free_now() -> None:
    Path("submissions/first/run.json").unlink()
    found = garbage(STORE, RUNS)
    before = sum(p.stat().st_size for p in (STORE / "predictions").rglob("*") if p.is_file())
    assert collect(STORE, found) == before > 0


def test_a_key_of_another_run_is_kept_to_the_byte(members: list[Path], images: Path) -> None:
    predict.run(members[2], images, out="submissions/second", device="cpu")
    kept = {n: d for n, d in files().items() if n.startswith(".ensemble/predictions")}
    for held in inventory(STORE, RUNS):
        if "submissions/second" not in held.runs:
            kept = {n: d for n, d in kept.items() if held.key not in n}
    Path("submissions/first/run.json").unlink()
    collect(STORE, garbage(STORE, RUNS))
    assert {n: d for n, d in files().items() if n.startswith(".ensemble/predictions")} == kept
    assert kept


def test_a_key_without_a_record_of_its_own_goes_too() -> None:
    odd = STORE / "predictions" / ("f" * 16)
    odd.mkdir()
    (odd / "part-00000.parquet").write_bytes(b"x")
    found = garbage(STORE, RUNS)
    assert [held.key for held in found.keys] == ["f" * 16]
    assert collect(STORE, found) == 1
    assert not odd.exists()


def test_a_sweep_of_nothing_frees_nothing() -> None:
    before = files()
    assert collect(STORE, garbage(STORE, RUNS)) == 0
    assert files() == before


def test_a_sweep_that_is_cut_off_leaves_no_shard_that_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("submissions/first/run.json").unlink()
    found, removed = garbage(STORE, RUNS), []

    def cut(path: Path) -> None:
        if len(removed) == 4:
            raise StoreError("cut off")
        removed.append(path)
        path.unlink()

    monkeypatch.setattr(sweep, "remove", cut)
    with pytest.raises(StoreError, match="cut off"):
        collect(STORE, found)
    partition = load_partition(STORE, removed[0].parent.name)
    assert partition is not None
    assert not any(partition.begun(shard) for shard in partition.shards)


def test_the_folders_that_were_looked_in_are_told() -> None:
    assert garbage(STORE, RUNS).places == tuple(RUNS)
