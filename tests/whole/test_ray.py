"""On a cluster of Ray the bytes are those of one process, whatever is killed meanwhile."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import finish as finished
from processes import start
from toys import save_images, save_member, toy_card, toy_model

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from campaigns.machines import Machines, cluster, kill

pytestmark = pytest.mark.slow
COMMAND = ["run", "--members", "folds", "--images", "images", "--output", "probs", "--device",
           "cpu", "--shard-size", "2", "--batch-size", "2", "--out"]  # fmt: skip


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    with cluster() as found:
        yield found


@pytest.fixture(autouse=True)
def _quick(machines: Machines) -> Iterator[None]:
    yield
    machines.slow(False)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code of a command and what it said; Ray's processes take a while to start."""
    return finished(process, 400)


def prepared(folder: Path) -> Path:
    """Two members, and twelve images: in shards of two twelve parts."""
    for seed, name in enumerate(("ant-f0", "bee-f0")):
        card = toy_card(name)
        save_member(folder / "folds", card, toy_model(card, seed=seed))
    save_images(folder / "images", 12)
    return folder


def written(folder: Path, out: str = "out") -> dict[str, bytes]:
    """The submission and all parts of a run, by their names."""
    parts = sorted(folder.glob(".ensemble/predictions/*/part-*"))
    found = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in parts}
    return {**found, "submission.csv": (folder / out / "submission.csv").read_bytes()}


def begun(folder: Path, machines: Machines, **environment: str) -> subprocess.Popen[str]:
    return start(folder, *COMMAND, "out", "--executor", "ray", "--ray-address", machines.address,
                 **environment)  # fmt: skip


def committed(folder: Path) -> dict[Path, int]:
    """The parts that are committed, and when they were."""
    return {p: p.stat().st_mtime_ns for p in folder.glob(".ensemble/predictions/*/part-*.json")}


@dataclass(frozen=True, slots=True)
class Met:
    """A run that is met: a machine and the process of its actor, and what was committed then."""

    process: subprocess.Popen[str]
    machine: int
    pid: int
    parts: dict[Path, int]


def met(folder: Path, machines: Machines, actors: int = 2, **environment: str) -> Met:
    """Begin a run on so many slow actors, and meet one in a shard when others are committed."""
    machines.have(actors)
    machines.slow(True)
    process = begun(prepared(folder), machines, **environment)
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        if committed(folder) and (found := machines.at_work()):
            return Met(process, *found[-1], committed(folder))
        time.sleep(0.02)
    raise AssertionError(f"nothing was met: {finish(process)}")


def right(
    folder: Path, process: subprocess.Popen[str], whole: dict[str, bytes], parts: dict[Path, int]
) -> str:
    """Check that a run ends with the bytes of one process, and that parts are as they were."""
    code, said = finish(process)
    assert code == 0, said
    assert written(folder) == whole
    assert {path: at for path, at in committed(folder).items() if path in parts} == parts
    return said


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run of one process writes."""
    folder = prepared(tmp_path_factory.mktemp("whole"))
    assert finish(start(folder, *COMMAND, "out"))[0] == 0
    return written(folder)


@pytest.mark.parametrize("actors", [1, 3])
def test_the_bytes_are_those_of_one_process(
    tmp_path: Path, machines: Machines, whole: dict[str, bytes], actors: int
) -> None:
    machines.have(actors)
    said = right(prepared(tmp_path), begun(tmp_path, machines), whole, {})
    assert "started again" not in said


def test_on_a_ray_of_this_machine_too(tmp_path: Path, whole: dict[str, bytes]) -> None:
    process = start(prepared(tmp_path), *COMMAND, "out", "--executor", "ray", RAY_ADDRESS="")
    right(tmp_path, process, whole, {})


def test_an_actor_that_is_killed_is_replaced(
    tmp_path: Path, machines: Machines, whole: dict[str, bytes]
) -> None:
    run = met(tmp_path, machines)
    kill(run.pid)
    said = right(tmp_path, run.process, whole, run.parts)
    assert said.count("was ended by the end of its process at shard") == 1


def test_the_others_go_on_when_a_machine_is_lost(
    tmp_path: Path, machines: Machines, whole: dict[str, bytes]
) -> None:
    run = met(tmp_path, machines)
    machines.lose(run.machine)
    said = right(tmp_path, run.process, whole, run.parts)
    # Ray tells now of the machine, now of the process that it ran
    ended = re.findall("was ended by the (loss of its machine|end of its process) at shard", said)
    assert len(ended) == 1


def test_a_machine_that_is_added_takes_the_place_of_the_last_that_was_lost(
    tmp_path: Path, machines: Machines, whole: dict[str, bytes]
) -> None:
    run = met(tmp_path, machines, actors=1)
    machines.lose(run.machine)
    machines.have(1)
    right(tmp_path, run.process, whole, run.parts)


def test_a_driver_that_is_killed_goes_on_and_computes_nothing_again_that_was_committed(
    tmp_path: Path, machines: Machines, whole: dict[str, bytes]
) -> None:
    process = met(tmp_path, machines, ENSEMBLE_SUPERVISE="0").process
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    parts = committed(tmp_path)
    machines.slow(False)
    right(tmp_path, begun(tmp_path, machines), whole, parts)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert 0 < record["evaluations"] == 2 * 12 - 2 * len(parts)


def test_images_that_crash_the_decoder_are_set_aside(
    tmp_path: Path, machines: Machines, whole: dict[str, bytes]
) -> None:
    machines.have(2)
    prepared(tmp_path)
    with (tmp_path / "images" / "img4.png").open("ab") as stream:
        stream.write(b"POISON")
    args = ("--fill", "0", "--executor", "ray", "--ray-address", machines.address)
    code, said = finish(start(tmp_path, *COMMAND, "out", *args))
    assert code == 3, said
    with (tmp_path / "out" / "quarantine.csv").open() as stream:
        lost = [(each["id"], each["error_class"]) for each in csv.DictReader(stream)]
    assert lost == [("img4", "crash")]
    rows = (tmp_path / "out" / "submission.csv").read_bytes().splitlines()
    expected = whole["submission.csv"].splitlines()
    changed = [b for a, b in zip(expected, rows, strict=True) if a != b]
    assert [row.split(b",")[0] for row in changed] == [b"img4"]


@pytest.mark.parametrize("seeing", [0, 1])
def test_a_machine_that_does_not_see_the_images_is_named_and_left_out(
    tmp_path: Path, machines: Machines, whole: dict[str, bytes], seeing: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    machines.have(seeing)
    with monkeypatch.context() as patch:
        patch.setenv("BLIND", "1")
        machines.have(seeing + 1)
    code, said = finish(begun(prepared(tmp_path), machines))
    machines.have(0)
    assert "is not there as the command sees it: No such file" in said
    assert (code, "the others go on without it" in said) == ((0, True) if seeing else (4, False))
    assert not seeing or written(tmp_path) == whole
