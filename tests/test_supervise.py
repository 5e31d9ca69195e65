"""The command's process and its worker: deaths, poison, signals."""

import csv
import os
import signal
import time
from pathlib import Path

import pytest
from commands import finish, start
from conftest import save_images, save_member, toy_card, toy_model

from ensemble.cli.supervise import is_supervised, resume_line
from ensemble.watch import WATCH

DEATH = """
import os, pathlib, signal, threading
from ensemble.session import OnnxScorer
score, seen, one_lane = OnnxScorer.score, [], threading.Lock()
def dying(self, images):
    with one_lane:
        seen.append(1)
        log = pathlib.Path("deaths")
        died = log.read_text() if log.exists() else ""
        if len(seen) > 1 and len(died) < {deaths}:
            log.write_text(died + "x")
            os.kill(os.getpid(), signal.{name})
    return score(self, images)
OnnxScorer.score = dying
"""
POISON = """
import os, ensemble.decode as d
decode = d.Image.open
def poisoned(stream, **more):
    if b"POISON" in stream.getvalue():
        os.abort()
    return decode(stream, **more)
d.Image.open = poisoned
"""
SLOW = """
import time, pathlib
from ensemble.session import OnnxScorer
score = OnnxScorer.score
def slow(self, images):
    pathlib.Path("scoring").touch()
    time.sleep(0.3)
    return score(self, images)
OnnxScorer.score = slow
"""


@pytest.fixture
def run_args(tmp_path: Path) -> list[str]:
    """A run of one member over twelve images in shards of two."""
    card = toy_card("ant-f0")
    save_member(tmp_path / "folds", card, toy_model(card))
    save_images(tmp_path / "images", 12)
    return ["run", "--members", "folds", "--output", "probs", "--shard-size", "2",
            "--device", "cpu", "--threads", "2", "--out"]  # fmt: skip


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV"])
def test_a_worker_that_dies_is_started_again_and_no_byte_changes(
    tmp_path: Path, run_args: list[str], name: str
) -> None:
    assert finish(start(tmp_path, *run_args, "whole", "--store", "other"))[0] == 0
    code, said = finish(start(tmp_path, *run_args, "out", faults=DEATH.format(deaths=2, name=name)))
    assert code == 0, said
    assert f"ended by {name} at shard" in said
    expected = (tmp_path / "whole" / "submission.csv").read_bytes()
    assert (tmp_path / "out" / "submission.csv").read_bytes() == expected


@pytest.mark.parametrize(("name", "cause"), [("SIGKILL", "memory"), ("SIGABRT", "natively")])
def test_a_shard_at_which_three_workers_die_is_named(
    tmp_path: Path, run_args: list[str], name: str, cause: str
) -> None:
    faults = DEATH.format(deaths=9, name=name).replace("len(seen) > 1", "len(seen) > 0")
    code, said = finish(start(tmp_path, *run_args, "out", faults=faults))
    assert code == 1
    assert f"died 3 times at shard 0, member ant-f0, the last time of {name}" in said
    assert cause in said
    assert "ensemble run --members folds" in said
    assert (tmp_path / "deaths").read_text() == "xxx"


def test_images_that_crash_the_decoder_are_quarantined_and_their_neighbours_do_not_change(
    tmp_path: Path, run_args: list[str]
) -> None:
    assert finish(start(tmp_path, *run_args, "whole"))[0] == 0
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
    kept = (tmp_path / "whole" / "submission.csv").read_text().splitlines()
    bad = tuple(f"img{n}," for n in (3, 4, 9, 11))
    found = (tmp_path / "out" / "submission.csv").read_text().splitlines()
    assert [r for r in found if not r.startswith(bad)] == [r for r in kept if not r.startswith(bad)]


def test_out_of_fold_predictions_are_supervised_too(tmp_path: Path, run_args: list[str]) -> None:
    ids = "".join(f"img{n},0\n" for n in range(1, 13))
    (tmp_path / "folds.csv").write_text("id,fold\n" + ids)
    args = ("oof", *run_args[1:3], *run_args[5:], "oof.parquet", "--images", "images")
    faults = DEATH.format(deaths=1, name="SIGKILL")
    code, said = finish(start(tmp_path, *args, "--folds", "folds.csv", faults=faults))
    assert code == 0, said
    assert "started again" in said
    assert (tmp_path / "oof.parquet").exists()


@pytest.mark.parametrize(("order", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_run_and_the_same_command_goes_on(
    tmp_path: Path, run_args: list[str], order: signal.Signals, expected: int
) -> None:
    process = start(tmp_path, *run_args, "out", faults=SLOW)
    wait_for(tmp_path / "scoring")
    process.send_signal(order)
    code, said = finish(process)
    assert code == expected, said
    assert "once more to quit at once" in said
    assert "ensemble run --members folds" in said
    assert "Traceback" not in said
    assert finish(start(tmp_path, *run_args, "out"))[0] == 0


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


def test_two_runs_on_one_key_do_not_mix(tmp_path: Path, run_args: list[str]) -> None:
    first = start(tmp_path, *run_args, "out", faults=SLOW.replace("0.3", "600"))
    wait_for(tmp_path / "scoring")
    code, said = finish(start(tmp_path, *run_args, "other"))
    assert code == 2
    assert f"another run, process {first.pid}," in said
    first.kill()
    finish(first)
    assert finish(start(tmp_path, *run_args, "other"))[0] == 0


@pytest.mark.parametrize(
    ("size", "path"), [(200, ".ensemble/predictions/"), (1600, "out/predictions.parquet")]
)
def test_a_file_size_limit_ends_the_run_naming_the_path_and_leaves_nothing_half_written(
    tmp_path: Path, run_args: list[str], size: int, path: str
) -> None:
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
    code, said = finish(start(tmp_path, *run_args, "out", faults=limit))
    assert code == 1
    assert f"cannot write {path}" in said
    assert "File too large" in said
    assert not list(tmp_path.rglob(".tmp-*"))
    assert {p.name for p in tmp_path.glob("out/*")} <= {"run.json"}  # and no _SUCCESS
