"""A part counts when it is as it was written; whatever else lies there never answers."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ensemble import Submission
from ensemble.api import predict
from ensemble.arrays import Probs
from ensemble.errors import StoreError, UsageError
from ensemble.files.atomic import SUCCESS
from ensemble.predictions import store
from ensemble.predictions.store import (
    LOCK,
    Partition,
    hold,
    is_key,
    key_of,
    load_partition,
    open_partition,
)
from ensemble.records import MemberId, Quarantined


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def submit(members: list[Path], images: Path, out: str = "out", **more: Any) -> Submission:
    """Run on the CPU."""
    return predict.run(members, images, out=out, device="cpu", **more)


def test_a_torn_shard_is_done_again_and_never_used(members: list[Path], images: Path) -> None:
    submit(members, images, "one", shard_size=5)
    torn = sorted(Path(".ensemble").rglob("part-00001.parquet"))[0]
    data = bytearray(torn.read_bytes())
    data[len(data) // 2] ^= 0xFF
    torn.write_bytes(bytes(data))
    again = submit(members, images, "two")
    assert again.record["evaluations"] == 5
    assert Path("one/submission.csv").read_bytes() == Path("two/submission.csv").read_bytes()


@pytest.mark.parametrize("change", ["null", "rows", "quarantined"])
def test_an_edited_part_is_computed_again(members: list[Path], images: Path, change: str) -> None:
    whole = submit(members, images, "one")
    mark = next(Path(".ensemble").rglob("part-*.json"))
    record = json.loads(mark.read_text())
    record |= {"rows": 7} if change == "rows" else {"quarantined": [1]}
    mark.write_text("null" if change == "null" else json.dumps(record))
    again = submit(members, images, "two")
    assert again.record["evaluations"] == 12
    np.testing.assert_array_equal(again.probs, whole.probs)


@pytest.mark.parametrize("edit", [{"shard_size": 5}, {"images": 11}])
def test_an_edited_key_never_answers(
    members: list[Path], images: Path, edit: dict[str, int]
) -> None:
    whole = submit(members, images, "one")
    key = next(Path(".ensemble").rglob("key.json"))
    key.write_text(json.dumps({**json.loads(key.read_text()), **edit}))
    try:
        again = submit(members, images, "two")
    except StoreError as error:
        assert "was edited" in str(error)
    else:
        assert again.record["evaluations"] == 12
        np.testing.assert_array_equal(again.probs, whole.probs)


# ---- a key by itself

FINGERPRINT: dict[str, Any] = {
    "member": "ab" * 32,
    "heads": [{"name": "label", "classes": ["cat", "dog"]}, {"name": "age", "classes": ["y"]}],
}
STORE = Path("store")
LOST = Quarantined("img7", "img7.png", "decode", "truncated", "ends early", "cd" * 32, 12)


def opened(images: int = 7, shard_size: int = 3, **more: Any) -> Partition:
    return open_partition(STORE, FINGERPRINT, images=images, shard_size=shard_size, **more)


def numbers(shard: int, rows: int, columns: int) -> Probs:
    return np.random.default_rng(shard).random((rows, columns)).astype(np.float32)


def commit(partition: Partition, shard: int, lost: Sequence[Quarantined] = ()) -> list[str]:
    """Commit a shard of made-up numbers, and return its ids."""
    rows = partition.rows(shard)
    ids = [f"img{n}" for n in range(rows.start + 1, rows.stop + 1 - len(lost))]
    heads = {"label": numbers(shard, len(ids), 2), "age": numbers(shard, len(ids), 1)}
    partition.commit(shard, ids, heads, lost)
    return ids


def filled() -> Partition:
    """Seven images in three shards, the last of them quarantined."""
    partition = opened()
    for shard in partition.shards:
        commit(partition, shard, [LOST] if shard == 2 else [])
    return partition


def test_what_was_committed_is_read_in_order() -> None:
    scores = filled().read("label")
    assert scores.ids == tuple(f"img{n}" for n in range(1, 7))
    assert scores.quarantined == (LOST,)
    np.testing.assert_array_equal(scores.probs, [*numbers(0, 3, 2), *numbers(1, 3, 2)])


def test_shards_may_be_committed_in_any_order() -> None:
    expected = filled().read("label")
    Path("store").rename("first")
    partition = opened()
    for shard in (2, 0, 1):
        commit(partition, shard, [LOST] if shard == 2 else [])
    found = partition.read("label")
    assert found.ids == expected.ids
    np.testing.assert_array_equal(found.probs, expected.probs)


def test_heads_are_read_together_or_alone() -> None:
    partition = filled()
    together = partition.read_heads(["age", "label"])
    assert [s.probs.shape for s in together] == [(6, 1), (6, 2)]
    np.testing.assert_array_equal(together[1].probs, partition.read("label").probs)


@pytest.mark.parametrize("shards", [[0], [1, 2], [2], [2, 0]])
def test_some_shards_are_read_without_the_rest(shards: list[int]) -> None:
    partition = filled()
    found = partition.read("label", shards)
    expected = [np.zeros((0, 2)), *(numbers(s, 3, 2) for s in shards if s < 2)]
    np.testing.assert_array_equal(found.probs, np.concatenate(expected))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_keep_their_precision(dtype: type[np.floating]) -> None:
    partition = opened(images=1)
    values = np.array([[1 / 3, 2 / 3]], dtype)
    partition.commit(0, ["a"], {"label": values, "age": values[:, :1]}, [])
    found = partition.read("label").probs
    assert found.dtype == dtype
    assert found.tobytes() == values.tobytes()


@pytest.mark.parametrize("name", ["NA", "", "größe", "a\nb", "=1", "a/b", "x" * 5000])
def test_any_id_comes_back(name: str) -> None:
    partition = opened(images=1)
    partition.commit(0, [name], {"label": numbers(0, 1, 2), "age": numbers(0, 1, 1)}, [])
    assert partition.read("label").ids == (name,)


@pytest.mark.parametrize(("images", "size"), [(0, 3), (1, 3), (3, 3), (4, 3), (7, 1), (2, 1000)])
def test_shards_are_the_images_cut_in_order(images: int, size: int) -> None:
    partition = opened(images=images, shard_size=size)
    rows = [row for shard in partition.shards for row in range(images)[partition.rows(shard)]]
    assert rows == list(range(images))
    assert all(0 < len(range(images)[partition.rows(s)]) <= size for s in partition.shards)


def test_a_shard_of_quarantined_images_only_counts() -> None:
    partition = opened(images=1)
    commit(partition, 0, [LOST])
    assert partition.complete()
    found = partition.read("label")
    assert (found.ids, found.probs.shape, found.quarantined) == ((), (0, 2), (LOST,))


# ---- what counts


def test_a_shard_that_was_not_begun_is_neither_whole_nor_torn() -> None:
    partition = opened()
    assert (partition.begun(0), partition.whole(0), partition.torn(0)) == (False,) * 3
    with pytest.raises(StoreError, match="part-00000.parquet is missing or torn; run again to"):
        partition.read("label")


def test_a_part_without_its_record_was_never_begun() -> None:
    partition = filled()
    partition.part(1).with_suffix(".json").unlink()
    assert (partition.begun(1), partition.torn(1), partition.complete()) == (False,) * 3


@pytest.mark.parametrize("name", ["part-00001.parquet", "part-00001.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "short", "flipped", "another's"])
def test_a_damaged_shard_is_not_whole(name: str, damage: str) -> None:
    partition = filled()
    path = partition.folder / name
    data = path.read_bytes()
    other = path.with_name(name.replace("1", "0")).read_bytes()
    flipped = data[:90] + bytes([data[90] ^ 1]) + data[91:]
    path.unlink()
    if damage != "gone":
        path.write_bytes({"empty": b"", "short": data[:-2], "flipped": flipped}.get(damage, other))
    assert [partition.whole(shard) for shard in partition.shards] == [True, False, True]
    assert not partition.complete()
    with pytest.raises(StoreError, match="part-00001.parquet is missing or torn"):
        partition.read("label")
    assert len(partition.read("label", [0]).ids) == 3


def test_every_bit_of_a_record_counts() -> None:
    partition = filled()
    mark = partition.part(0).with_suffix(".json")
    data = mark.read_bytes()
    for at in range(len(data)):
        mark.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        harmless = _same(data, mark.read_bytes())
        assert partition.whole(0) == harmless, at


def _same(one: bytes, other: bytes) -> bool:
    """Whether two texts are the same JSON, as where a space became another."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@pytest.mark.parametrize("text", ["null", "[]", "1", '"x"', "{}", '{"check": 1}', "\udce9"])
def test_a_record_of_another_kind_is_none(text: str) -> None:
    partition = filled()
    partition.part(0).with_suffix(".json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert partition.torn(0)


def test_the_record_of_another_key_does_not_count() -> None:
    partition = filled()
    other = open_partition(STORE, {**FINGERPRINT, "member": "ef"}, images=7, shard_size=3)
    for suffix in (".parquet", ".json"):
        path = partition.part(0).with_suffix(suffix)
        other.part(0).with_suffix(suffix).write_bytes(path.read_bytes())
    assert other.torn(0)


@pytest.mark.parametrize(
    ("stage", "sha256", "committed"),
    [("decode", "cd" * 32, True), ("read", "cd" * 32, False), ("read", "", True)],
)
def test_a_file_that_the_scan_read_and_the_run_could_not_is_tried_again(
    stage: str, sha256: str, committed: bool
) -> None:
    partition = opened(images=1)
    commit(partition, 0, [replace(LOST, stage=stage, sha256=sha256)])
    assert partition.whole(0)
    assert partition.committed(0) == committed


def test_a_shard_that_is_committed_again_replaces_the_first() -> None:
    partition = opened(images=1)
    commit(partition, 0, [replace(LOST, stage="read")])
    commit(partition, 0)
    assert (partition.committed(0), partition.read("label").quarantined) == (True, ())


def test_the_mark_of_a_key_counts_its_shards_and_images() -> None:
    partition = filled()
    partition.finish()
    assert json.loads((partition.folder / SUCCESS).read_text()) == {"shards": 3, "images": 7}


def test_nothing_temporary_is_left_in_a_key() -> None:
    names = {path.name for path in filled().folder.iterdir()}
    parts = {f"part-0000{n}.{kind}" for n in range(3) for kind in ("parquet", "json")}
    assert names == parts | {"key.json"}


# ---- keys


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3)))
def test_a_key_does_not_depend_on_the_order_of_its_fields(record: dict[str, object]) -> None:
    key = key_of(record)
    assert key_of(dict(reversed(record.items()))) == key
    assert is_key(key)


@pytest.mark.parametrize("odd", ["", "0" * 15, "0" * 17, "A" * 16, "g" * 16, "../" * 5, 7, None])
def test_what_is_no_key_is_told(odd: object) -> None:
    assert not is_key(odd)


def test_a_key_is_opened_as_it_was_made_whatever_is_asked() -> None:
    first = opened(label=MemberId("ant-f0", "ant", 0))
    again = opened(shard_size=100, label=MemberId("other"))
    assert again == first
    assert (again.shard_size, again.label) == (3, MemberId("ant-f0", "ant", 0))
    assert load_partition(STORE, first.key) == first


def test_a_label_is_not_hashed() -> None:
    one = open_partition(Path("a"), FINGERPRINT, images=1, shard_size=1, label=MemberId("x"))
    other = open_partition(Path("b"), FINGERPRINT, images=1, shard_size=1)
    assert one.key == other.key


def test_a_key_that_is_not_there_is_none() -> None:
    assert load_partition(STORE, "0" * 16) is None


@pytest.mark.parametrize(
    "label", [None, "x", {"name": 1, "family": [], "fold": "0"}, {"other": 1}, []]
)
def test_a_label_that_is_none_is_empty(label: object) -> None:
    partition = opened()
    path = partition.folder / "key.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "label": label}))
    found = load_partition(STORE, partition.key)
    assert found is not None
    assert found.label == MemberId()


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": {}}, {"fingerprint": None}, {"shard_size": 0}, {"shard_size": "3"},
     {"images": None}, {"images": 7.0}, {"shard_size": -1}],
)  # fmt: skip
def test_a_key_that_was_edited_is_refused_with_what_to_delete(change: dict[str, object]) -> None:
    partition = opened()
    path = partition.folder / "key.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError) as caught:
        opened()
    assert str(caught.value) == f"{path} was edited; delete {partition.folder}"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_a_key_that_cannot_be_read_is_refused(data: bytes) -> None:
    partition = opened()
    (partition.folder / "key.json").write_bytes(data)
    with pytest.raises(StoreError, match="key.json cannot be read; delete "):
        load_partition(STORE, partition.key)


def test_another_number_of_images_is_another_key() -> None:
    opened()
    with pytest.raises(StoreError, match="key.json was edited; delete "):
        opened(images=8)


# ---- holding


def test_a_key_that_is_held_is_not_opened_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "locked", partial(store.locked, patience=0.0))
    told = "process 4711, is making these predictions .another --store keeps runs apart. now"
    with (
        hold(STORE, ["a", "b"], 4711),
        pytest.raises(UsageError, match=told),
        hold(STORE, ["c", "b"], 1),
    ):
        pytest.fail("it is held")
    with hold(STORE, ["a", "b", "c"], 1):
        pass


def test_a_key_that_is_named_twice_is_held_once() -> None:
    with hold(STORE, ["a", "a"], 1):
        assert (STORE / "predictions" / "a" / LOCK).read_text() == "1"


def test_what_dead_runs_left_is_cleared_away() -> None:
    partition = filled()
    (partition.folder / ".tmp-part-00003.parquet-x").write_bytes(b"half")
    before = {p.name for p in partition.folder.iterdir()}
    with hold(STORE, [partition.key], 1):
        left = {p.name for p in partition.folder.iterdir()}
    assert before - left == {".tmp-part-00003.parquet-x"}
    assert partition.complete()
