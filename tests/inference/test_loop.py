"""The loop over shards: what is torn is told, and a part that is refused ends it."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from assignments import COLUMNS, SMALL, assigned, run
from fake_workers import Told

from ensemble.errors import ScoreError, StoreError
from ensemble.images.loader import Shard, Wanted, _Loaded
from ensemble.images.reading import Hashed
from ensemble.inference.loop import Engine, Part, unfinished, work_through
from ensemble.records import DecodePolicy
from ensemble.runtime.scorer import FakeScorer


def test_what_is_committed_is_not_scored_again(tmp_path: Path, hashed: list[Hashed]) -> None:
    assert run(hashed, assigned(tmp_path, FakeScorer(COLUMNS))) == 11
    again = FakeScorer(COLUMNS)
    assert run(hashed, assigned(tmp_path, again)) == 0
    assert again.calls == []


@pytest.mark.parametrize("each", [1, 3, 8])
def test_a_shard_tells_of_the_rows_that_are_asked_for(hashed: list[Hashed], each: int) -> None:
    loaded = [_loaded(image) for image in hashed]
    runs = [loaded[start : start + each] for start in range(0, len(loaded), each)]
    shard = Shard(hashed, {}, [_done(run) for run in runs], each)
    for start in range(len(hashed)):
        for stop in range(start, len(hashed) + 1):
            assert shard.loaded(slice(start, stop)) == loaded[start:stop]


def _loaded(image: Hashed) -> _Loaded:
    return _Loaded({}, (image.source.id,))


def _done(run: list[_Loaded]) -> Future[list[_Loaded]]:
    future: Future[list[_Loaded]] = Future()
    future.set_result(run)
    return future


def test_a_part_that_the_disk_refuses_ends_the_run(tmp_path: Path, hashed: list[Hashed]) -> None:
    refused = assigned(tmp_path, FakeScorer(COLUMNS), shard=11)
    refused.partition.part(0).with_suffix(".json").mkdir()
    with pytest.raises(StoreError):
        run(hashed, refused)


def test_what_is_torn_is_to_do_and_is_told_by_its_shard(
    tmp_path: Path, hashed: list[Hashed]
) -> None:
    partition = assigned(tmp_path, FakeScorer(COLUMNS)).partition
    engine, told = listening(hashed)
    assert unfinished(engine, partition, "a") == [0, 1]
    assert told == []
    run(hashed, assigned(tmp_path, FakeScorer(COLUMNS)))
    assert unfinished(engine, partition, "a") == []
    partition.part(1).write_bytes(b"torn")
    again = assigned(tmp_path, FakeScorer(COLUMNS)).partition
    assert unfinished(engine, again, "a") == [1]
    assert [text.startswith("shard 1 of a in the store is torn") for text in told] == [True]


def test_shards_are_worked_at_in_the_order_they_are_wanted(hashed: list[Hashed]) -> None:
    engine, _ = listening(hashed)
    wanted = {n: Wanted([hashed[n]], [SMALL]) for n in (2, 0, 1)}
    seen: list[tuple[int, list[str]]] = []

    def work(number: int, shard: Shard) -> list[Part]:
        seen.append((number, list(shard.ids)))
        return []

    work_through(engine, wanted, work)
    assert seen == [(n, [hashed[n].source.id]) for n in (2, 0, 1)]


def test_what_the_work_raises_ends_the_loop_with_what_was_committed_kept(
    tmp_path: Path, hashed: list[Hashed]
) -> None:
    engine, _ = listening(hashed)
    partition = assigned(tmp_path, FakeScorer(COLUMNS)).partition
    wanted = {n: Wanted(hashed[partition.rows(n)], [SMALL]) for n in partition.shards}

    def work(number: int, shard: Shard) -> Iterator[Part]:
        if number:
            raise ScoreError("out of order")
        good = [name for name, ok in zip(shard.ids, shard.whole(), strict=True) if ok]
        rows = np.full((len(good), 3), 1 / 3, np.float32)
        yield Part(partition, number, good, {"label": rows}, shard.lost())

    with pytest.raises(ScoreError, match="out of order"):
        work_through(engine, wanted, work)
    assert [partition.committed(shard) for shard in partition.shards] == [True, False]


def listening(hashed: list[Hashed]) -> tuple[Engine, list[str]]:
    """An engine, and what it warns of."""
    told = Told()
    return Engine(hashed, DecodePolicy(), 2, told), told.said
