"""Work on all cores: in order, and on one core without threads."""

import os
import threading
import time
from collections.abc import Iterator

import numpy as np  # noqa: F401 - loads a BLAS
import pytest
from threadpoolctl import threadpool_info

from ensemble import cores


def test_a_process_counts_the_processors_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert cores.processors() == [0, 3, 5]
    assert cores.cores() == 3


def test_where_a_system_tells_no_processors_one_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.cores() == 1


@pytest.mark.parametrize("count", [1, 3])
def test_what_comes_of_pieces_comes_in_their_order(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_first(piece: int) -> int:
        time.sleep(0.02 if piece == 0 else 0)
        return piece * piece

    monkeypatch.setattr(cores, "cores", lambda: count)
    assert cores.each(slow_first, range(5)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(("count", "pieces"), [(1, 4), (4, 1)])
def test_one_core_or_one_piece_needs_no_thread(
    count: int, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "cores", lambda: count)
    found = set(cores.each(lambda _: threading.current_thread(), range(pieces)))
    assert found == {threading.current_thread()}


def test_several_cores_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "cores", lambda: 3)
    together = threading.Barrier(3, timeout=30)  # breaks unless three wait for one another
    assert sorted(cores.each(lambda _: together.wait(), range(3))) == [0, 1, 2]


def test_threads_of_blas_do_not_compete_with_those_of_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def threads(_: int) -> set[int]:
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    monkeypatch.setattr(cores, "cores", lambda: 2)
    before = threads(0)
    assert cores.each(threads, range(2)) == [{1}, {1}]
    assert threads(0) == before


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_piece_raises_is_raised(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(piece: int) -> float:
        return 1 / piece

    monkeypatch.setattr(cores, "cores", lambda: count)
    with pytest.raises(ZeroDivisionError):
        cores.each(work, [1, 0, 2])


def test_pieces_come_in_their_order_and_the_next_is_made_meanwhile() -> None:
    made: list[int] = []
    second = threading.Event()

    def pieces() -> Iterator[int]:
        for piece in range(3):
            made.append(piece)
            if piece == 1:
                second.set()
            yield piece

    coming = cores.ahead(pieces())
    assert next(coming) == 0
    assert second.wait(30)
    assert 2 not in made
    assert list(coming) == [1, 2]


def test_what_making_a_piece_raises_is_raised_in_its_place() -> None:
    def pieces() -> Iterator[float]:
        yield 1.0
        yield 1 / 0

    coming = cores.ahead(pieces())
    assert next(coming) == 1
    with pytest.raises(ZeroDivisionError):
        next(coming)


def test_of_no_pieces_none_comes() -> None:
    assert list(cores.ahead(iter(()))) == []
