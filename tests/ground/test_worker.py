"""A worker tells its supervisor line by line, and knows what it was told itself."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from ensemble.worker import CRASHES, WATCH, Watch, crashes, read_watch


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe: to read from, and to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def heard(end: int) -> list[object]:
    """The lines that stand in a pipe."""
    return [json.loads(line) for line in os.read(end, 65_536).splitlines()]


def told(**more: object) -> dict[str, str]:
    """An environment with a watch in it."""
    record = {"pipe": 7, "pid": 11, "began": 2.5, "suspects": [], "poison": []}
    return {WATCH: json.dumps({**record, **more})}


def test_what_is_told_is_a_line_of_json(pipe: tuple[int, int]) -> None:
    watch = Watch(pipe[1])
    watch.tell("next", "", "img1")
    watch.tell("shard", 3)
    assert heard(pipe[0]) == [["next", "", "img1"], ["shard", 3]]


@pytest.mark.parametrize("name", ["größe", "a\nb", '"', "\u2028", "\U0001f600", "\udce9"])
def test_any_id_is_one_line(pipe: tuple[int, int], name: str) -> None:
    Watch(pipe[1]).tell("next", name)
    assert heard(pipe[0]) == [["next", name]]


def test_lines_of_several_threads_do_not_mix(pipe: tuple[int, int]) -> None:
    watch = Watch(pipe[1])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: watch.tell("next", f"{n}" * 20), range(200)))
    expected = sorted(f"{n}" * 20 for n in range(200))
    assert sorted(line[1] for line in heard(pipe[0])) == expected  # type: ignore[index]


def test_a_supervisor_that_is_dead_is_no_fault(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    Watch(pipe[1]).tell("next", "a")


def test_a_descriptor_that_is_none_is_a_fault(pipe: tuple[int, int]) -> None:
    os.close(pipe[1])
    with pytest.raises(OSError, match="Bad file descriptor"):
        Watch(pipe[1]).tell("next", "a")


def test_a_run_that_nobody_watches_tells_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    Watch().tell("next", "a")
    assert capfd.readouterr() == ("", "")


# ---- what a worker is told


def test_without_a_word_nobody_watches() -> None:
    watch = read_watch({})
    assert (watch.pipe, watch.pid) == (-1, os.getpid())
    assert not watch.suspects | watch.poison


def test_what_a_supervisor_said_is_read() -> None:
    watch = read_watch(told(suspects=["a", "b"], poison=["a"]))
    assert watch == Watch(7, 11, 2.5, frozenset({"a", "b"}), frozenset({"a"}))


def test_a_watch_survives_its_way_through_the_environment() -> None:
    watch = Watch(3, 4711, 1.25, frozenset({"größe", "a\nb"}), frozenset({" "}))
    record = {k: sorted(v) if isinstance(v, frozenset) else v for k, v in asdict(watch).items()}
    assert read_watch(told(**record)) == watch


def test_the_environment_of_another_program_is_no_watch() -> None:
    assert read_watch({f"{WATCH}ER": "{}", "PATH": "/bin"}).pipe == -1


# ---- crashes


def test_what_comes_back_does_not_crash() -> None:
    assert not crashes(abs, -1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV"])
def test_a_signal_of_native_code_is_a_crash(name: str) -> None:
    assert crashes(signal.raise_signal, getattr(signal, name))


def test_a_kill_is_no_crash_of_its_own() -> None:
    assert not crashes(signal.raise_signal, signal.SIGKILL)


def test_an_exit_code_is_no_signal() -> None:
    assert not crashes(os._exit, int(signal.SIGABRT))


def test_signals_that_people_and_systems_send_are_no_crashes() -> None:
    sent = {signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGXCPU}
    assert not CRASHES & sent
    assert {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS} <= CRASHES
