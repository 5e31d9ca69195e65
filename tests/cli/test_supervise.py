"""The command's process and its worker: deaths, poison, signals."""

import csv
import io
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from processes import POISON, finish, start
from toys import save_images, save_member, toy_card, toy_model

from ensemble.cli import supervise
from ensemble.cli.supervise import is_supervised, resume_line, say
from ensemble.worker import WATCH, Watch

DEATH = """
import os, pathlib, signal, threading, time
from ensemble.runtime.session import OnnxScorer
score, seen, one_lane = OnnxScorer.score, [], threading.Lock()
def dying(self, images):
    with one_lane:
        seen.append(1)
        log = pathlib.Path("deaths")
        died = log.read_text() if log.exists() else ""
        if len(seen) > 1 and len(died) < {deaths}:
            log.write_text(died + "x")
            os.kill(os.getpid(), signal.{name})
            time.sleep(60)  # another thread may take the signal: no lane writes before it does
    return score(self, images)
OnnxScorer.score = dying
"""
SLOW = """
import time, pathlib
from ensemble.runtime.session import OnnxScorer
score = OnnxScorer.score
def slow(self, images):
    pathlib.Path("scoring").touch()
    time.sleep(0.3)
    return score(self, images)
OnnxScorer.score = slow
"""
STOPPED_AT_A_START = """
import os, signal, threading
start = threading.Thread.start
def interrupted(self):
    start(self)
    if self.name.startswith("score"):
        os.kill(os.getpid(), signal.SIGUSR1)
threading.Thread.start = interrupted
"""
INTERRUPTED = """
import os, signal
install = signal.signal
def interrupting(number, handler):
    before = install(number, handler)
    if number == signal.{order} and handler is not signal.SIG_IGN:
        os.kill(os.getpid(), number)
    return before
signal.signal = interrupting
"""
POOR = """
import errno, os, subprocess
def popen(*_, **__):
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
subprocess.Popen.__init__ = popen
"""
IMPATIENT = """
import functools, ensemble.predictions.store as store
store.locked = functools.partial(store.locked, patience=0.1)
"""


def prepared(folder: Path) -> list[str]:
    """A run of one member over twelve images in shards of two, up to its --out."""
    card = toy_card("ant-f0")
    save_member(folder / "folds", card, toy_model(card))
    save_images(folder / "images", 12)
    return ["run", "--members", "folds", "--output", "probs", "--shard-size", "2",
            "--device", "cpu", "--threads", "2", "--out"]  # fmt: skip


@pytest.fixture
def run_args(tmp_path: Path) -> list[str]:
    """The run, in a folder of the test's own."""
    return prepared(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The submission of a run that nothing breaks."""
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start(folder, *prepared(folder), "out"))[0] == 0
    return (folder / "out" / "submission.csv").read_text()


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_worker_that_dies_is_started_again_and_no_byte_changes(
    tmp_path: Path, whole: str
) -> None:
    processes = {}
    for name, deaths in (("SIGKILL", 2), ("SIGSEGV", 1)):
        folder = tmp_path / name
        faults = DEATH.format(deaths=deaths, name=name)
        processes[name] = start(folder, *prepared(folder), "out", faults=faults)
    for name, process in processes.items():
        code, said = finish(process)
        assert code == 0, said
        assert f"ended by {name} at shard" in said
        assert (tmp_path / name / "out" / "submission.csv").read_text() == whole


def test_a_worker_that_a_library_ends_is_started_again(
    tmp_path: Path, run_args: list[str], whole: str
) -> None:
    by_signal = "os.kill(os.getpid(), signal.SIGKILL)"
    faults = DEATH.format(deaths=1, name="SIGKILL").replace(by_signal, "os._exit(1)")
    code, said = finish(start(tmp_path, *run_args, "out", faults=faults))
    assert code == 0, said
    assert "the worker was ended by a library, with exit code 1 at shard" in said
    assert (tmp_path / "out" / "submission.csv").read_text() == whole


@pytest.mark.parametrize(("command", "told"), [("run", "goes on"), ("folds", "begins anew")])
def test_a_command_goes_on_only_where_it_commits_what_is_done(command: str, told: str) -> None:
    assert told in resume_line("stopped", [command, "--images", "a"])


@pytest.mark.slow
def test_a_shard_at_which_three_workers_die_is_named(tmp_path: Path) -> None:
    processes = {}
    for name, cause in (("SIGKILL", "memory"), ("SIGABRT", "natively")):
        folder = tmp_path / name
        faults = DEATH.format(deaths=9, name=name).replace("len(seen) > 1", "len(seen) > 0")
        processes[name, cause] = start(folder, *prepared(folder), "out", faults=faults)
    for (name, cause), process in processes.items():
        code, said = finish(process)
        assert code == 1
        assert f"died 3 times at shard 0, member ant-f0, the last time of {name}" in said
        assert cause in said
        assert "ensemble run --members folds" in said
        assert (tmp_path / name / "deaths").read_text() == "xxx"


@pytest.mark.slow
def test_images_that_crash_the_decoder_are_quarantined_and_their_neighbours_do_not_change(
    tmp_path: Path, run_args: list[str], whole: str
) -> None:
    for number in (3, 4, 9, 11):
        with (tmp_path / "images" / f"img{number}.png").open("ab") as stream:
            stream.write(b"POISON")
    code, said = finish(start(tmp_path, *run_args, "out", "--fill", "0", faults=POISON))
    assert code == 3, said
    with (tmp_path / "out" / "quarantine.csv").open() as stream:
        lost = list(csv.DictReader(stream))
    assert [q["id"] for q in lost] == ["img3", "img4", "img9", "img11"]
    assert {(q["stage"], q["error_class"]) for q in lost} == {("decode", "crash")}
    assert all(q["sha256"] for q in lost)
    kept = whole.splitlines()
    bad = tuple(f"img{n}," for n in (3, 4, 9, 11))
    found = (tmp_path / "out" / "submission.csv").read_text().splitlines()
    assert [r for r in found if not r.startswith(bad)] == [r for r in kept if not r.startswith(bad)]


@pytest.mark.slow
def test_out_of_fold_predictions_are_supervised_too(tmp_path: Path, run_args: list[str]) -> None:
    ids = "".join(f"img{n},0\n" for n in range(1, 13))
    (tmp_path / "folds.csv").write_text("id,fold\n" + ids)
    args = ("oof", *run_args[1:3], *run_args[5:], "oof.parquet", "--images", "images")
    faults = DEATH.format(deaths=1, name="SIGKILL")
    code, said = finish(start(tmp_path, *args, "--folds", "folds.csv", faults=faults))
    assert code == 0, said
    assert "started again" in said
    assert (tmp_path / "oof.parquet").exists()


def test_a_signal_stops_the_run_and_the_same_command_goes_on(tmp_path: Path, whole: str) -> None:
    processes = {}
    for order, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        folder = tmp_path / order.name
        slower = SLOW.replace("0.3", "1")
        processes[order, expected] = start(folder, *prepared(folder), "out", faults=slower)
    for (order, _), process in processes.items():
        wait_for(tmp_path / order.name / "scoring")
        process.send_signal(order)
    for (_, expected), process in processes.items():
        code, said = finish(process)
        assert code == expected, said
        assert "once more to quit at once" in said
        assert "ensemble run --members folds" in said
        assert "Traceback" not in said
    folder = tmp_path / "SIGINT"
    assert finish(start(folder, *prepared(folder), "out"))[0] == 0
    assert (folder / "out" / "submission.csv").read_text() == whole


def test_a_worker_that_is_stopped_while_it_starts_a_thread_does_not_wait_for_it(
    tmp_path: Path, run_args: list[str]
) -> None:
    code, said = finish(start(tmp_path, *run_args, "out", faults=STOPPED_AT_A_START))
    assert code == 130, said
    assert "Traceback" not in said


def test_a_signal_before_the_first_worker_stops_the_run_too(
    tmp_path: Path, run_args: list[str]
) -> None:
    code, said = finish(
        start(tmp_path, *run_args, "out", faults=INTERRUPTED.format(order="SIGINT"))
    )
    assert code == 130, said
    assert "ensemble run --members folds" in said
    assert "Traceback" not in said


def test_a_worker_that_cannot_be_started_is_told_with_what_goes_on(
    tmp_path: Path, run_args: list[str]
) -> None:
    code, said = finish(start(tmp_path, *run_args, "out", faults=POOR))
    assert code == 1
    assert "error: no worker can be started: Resource temporarily unavailable" in said
    assert "ensemble run --members folds" in said
    assert "Traceback" not in said


def test_a_second_signal_quits_at_once(tmp_path: Path, run_args: list[str]) -> None:
    endless = SLOW.replace("0.3", "600")
    process = start(tmp_path, *run_args, "out", faults=endless)
    wait_for(tmp_path / "scoring")
    process.send_signal(signal.SIGINT)
    while "once more" not in process.stderr.readline():  # type: ignore[union-attr]
        pass
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130


def test_a_worker_does_not_outlive_its_supervisor(tmp_path: Path, run_args: list[str]) -> None:
    faults = SLOW.replace("0.3", "600").replace(".touch()", ".write_text(str(os.getpid()))")
    process = start(tmp_path, *run_args, "out", faults="import os\n" + faults)
    wait_for(tmp_path / "scoring")
    time.sleep(0.05)
    worker = int((tmp_path / "scoring").read_text())
    assert worker != process.pid
    process.kill()
    finish(process)
    until = time.monotonic() + 10
    while is_running(worker):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody has reaped."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize("unread", [b"", b"a line that nobody read"])
def test_the_end_of_the_pipe_ends_the_worker_however_the_supervisor_left_it(
    monkeypatch: pytest.MonkeyPatch, unread: bytes
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(supervise.os, "kill", lambda _, number: sent.append(number))
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.send(unread)
        ours.close()
        supervise._die_with(theirs.fileno())
    assert sent == [signal.SIGKILL]


def test_a_supervisor_that_is_dead_is_told_nothing() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        Watch(pipe=theirs.fileno()).tell("commit")


def test_both_stop_when_a_terminal_signals_the_whole_group(
    tmp_path: Path, run_args: list[str]
) -> None:
    process = start(tmp_path, *run_args, "out", faults=SLOW)
    wait_for(tmp_path / "scoring")
    for pid in (process.pid, *children(process.pid)):
        os.kill(pid, signal.SIGINT)
    code, said = finish(process)
    assert code == 130, said
    assert "Traceback" not in said


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_work_is_done_in_the_process_itself_on_request(
    tmp_path: Path, run_args: list[str]
) -> None:
    faults = DEATH.format(deaths=9, name="SIGKILL")
    process = start(tmp_path, *run_args, "out", faults=faults, ENSEMBLE_SUPERVISE="0")
    assert finish(process)[0] == -signal.SIGKILL


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["run", "--tta", "flip"], True),
        (["--debug", "oof"], True),
        (["vote", "run"], False),
        ([], False),
    ],
)
def test_runs_and_out_of_fold_predictions_are_supervised(args: list[str], expected: bool) -> None:
    assert is_supervised(args) == expected


def test_a_worker_is_not_supervised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WATCH, "{}")
    assert not is_supervised(["run"])


def test_the_command_that_goes_on_can_be_pasted() -> None:
    assert resume_line("stopped", ["run", "--images", "a b"]).endswith(
        "\n  ensemble run --images 'a b'"
    )


@pytest.mark.parametrize(("terminal", "before"), [(True, "\r\x1b[K"), (False, "")])
def test_what_the_supervisor_says_takes_the_place_of_a_bar(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, before: str
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    say("it is started again")
    assert stream.getvalue() == f"{before}it is started again\n"


def test_two_runs_on_one_key_do_not_mix(tmp_path: Path, run_args: list[str]) -> None:
    first = start(tmp_path, *run_args, "out", faults=SLOW.replace("0.3", "600"))
    wait_for(tmp_path / "scoring")
    code, said = finish(start(tmp_path, *run_args, "other", faults=IMPATIENT))
    assert code == 2
    assert f"another run, process {first.pid}," in said
    first.kill()
    finish(first)
    assert finish(start(tmp_path, *run_args, "other"))[0] == 0


def test_a_file_size_limit_ends_the_run_naming_the_path_and_leaves_nothing_half_written(
    tmp_path: Path,
) -> None:
    processes = {}
    for size, path in ((200, ".ensemble/predictions/"), (1800, "out/predictions.parquet")):
        folder = tmp_path / str(size)
        limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        processes[folder, path] = start(folder, *prepared(folder), "out", faults=limit)
    for (folder, path), process in processes.items():
        code, said = finish(process)
        assert code == 1
        assert f"cannot write {path}" in said
        assert "File too large; raise the limit" in said
        assert not list(folder.rglob(".tmp-*"))
        assert {p.name for p in folder.glob("out/*")} <= {"run.json"}  # and no _SUCCESS
