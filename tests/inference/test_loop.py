"""The loop over shards: what is torn is told, and a part that is refused ends it."""

from concurrent.futures import Future
from pathlib import Path

import pytest
from assignments import COLUMNS, assigned, run

from ensemble.errors import StoreError
from ensemble.images.loader import Shard, _Loaded
from ensemble.images.reading import Hashed
from ensemble.runtime.session import FakeScorer


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
