"""Whoever scores the shards, the bytes are those of one process; whatever dies meanwhile."""

import csv
import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper
from processes import POISON, finish, start
from toys import MakeMember, save_images, save_member, toy_card, toy_model

from ensemble.api import predict
from ensemble.errors import MemberError, ScoreError
from ensemble.inference.executors import started
from ensemble.inference.executors.places import Place
from ensemble.inference.executors.shard_worker import Worker
from ensemble.inference.executors.workers import Event, Replied, Started
from ensemble.inference.orders import ShardOrder, WorkerOrder
from ensemble.progress import Quiet
from ensemble.runtime.devices import available_threads

needs_two = pytest.mark.skipif(available_threads() < 2, reason="needs two processors")

DYING = """
import os, pathlib, signal, threading, time
from ensemble.runtime.session import OnnxScorer
score, seen, one_lane = OnnxScorer.score, [], threading.Lock()
def dying(self, images):
    with one_lane:
        seen.append(1)
        try:
            pathlib.Path(f"death-{len(list(pathlib.Path().glob('death-*')))}").touch(exist_ok=False)
            more = len(list(pathlib.Path().glob("death-*"))) <= DEATHS
        except FileExistsError:
            more = False
        if more:
            os.kill(os.getpid(), signal.NAME)
            time.sleep(60)
    return score(self, images)
OnnxScorer.score = dying
"""
WORKED = """
import pathlib
from ensemble.inference.executors.shard_worker import Worker
work = Worker.work
def noted(self, order, progress):
    parts = f".ensemble/predictions/*/part-{order.number:05d}.json"
    with open("worked.csv", "a") as log:
        log.write(f"{order.number},{len(list(pathlib.Path().glob(parts)))}\\n")
    return work(self, order, progress)
Worker.work = noted
"""
"""Each shard that a worker begins, and how many of its parts are committed by then."""
RANDOM = """
import os, pathlib, random, signal
from ensemble.inference.executors.shard_worker import Worker
work = Worker.work
def dying(self, order, progress):
    tried = len(list(pathlib.Path().glob(f"tried-{order.number}-*")))
    pathlib.Path(f"tried-{order.number}-{tried}").touch()
    if random.Random(f"0/{order.number}/{tried}").random() < 0.1:
        os.kill(os.getpid(), signal.SIGKILL)
    return work(self, order, progress)
Worker.work = dying
"""
DRIVER = """
import os, signal
from ensemble.predictions.store import Partition
commit, done = Partition.commit, []
def killing(self, *args):
    if len(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(commit(self, *args))
Partition.commit = killing
"""
SLOW = """
import time, pathlib
from ensemble.runtime.session import OnnxScorer
score = OnnxScorer.score
def slow(self, images):
    pathlib.Path("scoring").touch()
    time.sleep(0.5)
    return score(self, images)
OnnxScorer.score = slow
"""


def prepared(folder: Path, workers: int = 2) -> list[str]:
    """A run of two members over twelve images in shards of two, up to its --out."""
    for seed, name in enumerate(("ant-f0", "bee-f0")):
        card = toy_card(name)
        save_member(folder / "folds", card, toy_model(card, seed=seed))
    save_images(folder / "images", 12)
    return ["run", "--members", "folds", "--output", "probs", "--shard-size", "2",
            "--device", "cpu", "--threads", "2", "--workers", str(workers), "--out"]  # fmt: skip


def written(folder: Path, out: str = "out") -> dict[str, bytes]:
    """The submission and all parts of a run, by their names."""
    parts = sorted(folder.glob(".ensemble/predictions/*/part-*"))
    found = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in parts}
    return {**found, "submission.csv": (folder / out / "submission.csv").read_bytes()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run of one process writes."""
    folder = tmp_path_factory.mktemp("whole")
    assert finish(start(folder, *prepared(folder, 0), "out"))[0] == 0
    return written(folder)


@dataclass
class InReverse:
    """A worker in this process, whose shards end in reverse as far as they are there."""

    order: WorkerOrder
    names: tuple[str, ...] = ("1",)
    worker: Worker | None = None
    orders: list[ShardOrder] = field(default_factory=list)

    def start(self, worker: str) -> None:
        self.worker = Worker(self.order)

    def submit(self, worker: str, order: ShardOrder) -> None:
        self.orders.append(order)

    def end(self, worker: str) -> None:
        pass

    def wait(self) -> list[Event]:
        assert self.worker is not None
        if not self.orders:
            return [Started("1", self.worker.proven)]
        return [Replied("1", self.worker.work(self.orders.pop(), Quiet()))]

    def close(self) -> None:
        pass


def reversed_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a worker of this process take shards, so that later ones end before earlier ones."""
    monkeypatch.setattr(started, "places_of", lambda *_: (Place("1", "cpu", 1),))
    monkeypatch.setattr(started, "Processes", lambda order, _: InReverse(order))


WAYS: dict[str, Callable[[pytest.MonkeyPatch], int]] = {
    "one process": lambda _: 0,
    "two processes": lambda _: 2,
    "in reverse": lambda patch: reversed_shards(patch) or 2,
}  # fmt: skip
"""How shards are scored: what is prepared, and the workers that a run is told."""


@needs_two
@pytest.mark.parametrize("way", WAYS)
def test_the_bytes_are_the_same_whoever_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, bytes], way: str
) -> None:
    prepared(tmp_path)
    monkeypatch.chdir(tmp_path)
    workers = WAYS[way](monkeypatch)
    predict.run(
        "folds", "images", output="probs", shard_size=2, device="cpu", threads=2, workers=workers,
        out="out", progress=None,
    )  # fmt: skip
    assert written(tmp_path) == whole


@needs_two
def test_out_of_fold_predictions_are_the_same_with_workers(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images.parent)
    folds = {f"img{n}": n % 2 for n in range(1, 13)}
    for workers in (0, 2):
        predict.predict_oof(
            members, images, folds, out=f"{workers}.parquet", tta="hflip", device="cpu",
            workers=workers, store=f"store{workers}", shard_size=2, progress=None,
        )  # fmt: skip
    assert Path("0.parquet").read_bytes() == Path("2.parquet").read_bytes()


@needs_two
def test_a_worker_that_is_killed_is_replaced_and_no_byte_changes(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    faults = WORKED + DYING.replace("DEATHS", "2").replace("NAME", "SIGKILL")
    code, said = finish(start(tmp_path, *prepared(tmp_path), "out", faults=faults))
    assert code == 0, said
    assert said.count("was ended by SIGKILL at shard") == 2
    assert written(tmp_path) == whole
    begun, committed = np.loadtxt(tmp_path / "worked.csv", int, delimiter=",", unpack=True)
    assert set(begun) == set(range(6))
    assert len(begun) > 6
    assert not committed.any()  # no worker began a shard that was committed


@pytest.mark.slow
@needs_two
def test_a_tenth_of_the_shards_may_end_their_workers(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    dying = [n for n in range(12) if random.Random(f"0/{n}/0").random() < 0.1]
    assert dying
    args = prepared(tmp_path)
    args[args.index("--shard-size") + 1] = "1"
    code, said = finish(start(tmp_path, *args, "out", faults=RANDOM))
    assert code == 0, said
    assert said.count("was ended by SIGKILL") >= len(dying)
    assert written(tmp_path)["submission.csv"] == whole["submission.csv"]


@pytest.mark.slow
@needs_two
def test_a_shard_that_always_kills_is_named(tmp_path: Path) -> None:
    faults = DYING.replace("DEATHS", "99").replace("NAME", "SIGSEGV")
    code, said = finish(start(tmp_path, *prepared(tmp_path), "out", faults=faults))
    assert code == 1, said
    assert re.search(r"shard \d \('img\d+' to 'img\d+'\) ended 4 workers, .* by SIGSEGV", said)
    assert "Traceback" not in said


@pytest.mark.slow
@needs_two
def test_images_that_crash_the_decoder_are_set_aside_and_their_neighbours_do_not_change(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    args, bad = prepared(tmp_path), ("img3", "img4", "img9")
    for name in bad:
        with (tmp_path / "images" / f"{name}.png").open("ab") as stream:
            stream.write(b"POISON")
    code, said = finish(start(tmp_path, *args, "out", "--fill", "0", faults=POISON))
    assert code == 3, said
    with (tmp_path / "out" / "quarantine.csv").open() as stream:
        lost = list(csv.DictReader(stream))
    assert [(q["id"], q["stage"], q["error_class"]) for q in lost] == [
        (name, "decode", "crash") for name in bad
    ]
    kept = [row.split(b",")[0].decode() not in bad for row in whole["submission.csv"].splitlines()]
    found = (tmp_path / "out" / "submission.csv").read_bytes().splitlines()
    expected = whole["submission.csv"].splitlines()
    assert [r for r, ok in zip(found, kept, strict=True) if ok] == [
        r for r, ok in zip(expected, kept, strict=True) if ok
    ]


@pytest.mark.slow
@needs_two
def test_a_driver_that_is_killed_goes_on_and_computes_nothing_again_that_was_committed(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    args = prepared(tmp_path)
    process = start(tmp_path, *args, "out", faults=DRIVER, ENSEMBLE_SUPERVISE="0")
    assert finish(process)[0] == -signal.SIGKILL
    parts = {p: p.stat().st_mtime_ns for p in tmp_path.glob(".ensemble/predictions/*/part-*.json")}
    assert len(parts) == 3
    code, said = finish(start(tmp_path, *args, "out"))
    assert code == 0, said
    assert written(tmp_path) == whole
    assert all(path.stat().st_mtime_ns == at for path, at in parts.items())
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["evaluations"] == 2 * 12 - 3 * 2


@pytest.mark.slow
@needs_two
def test_a_driver_that_is_killed_is_started_again_by_its_supervisor(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    code, said = finish(start(tmp_path, *prepared(tmp_path), "out", faults=DRIVER))
    assert code == 0, said
    assert "ended by SIGKILL at shard" in said
    assert written(tmp_path) == whole


@needs_two
@pytest.mark.parametrize(("order", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_all_stops_the_run_and_its_workers(
    tmp_path: Path, whole: dict[str, bytes], order: signal.Signals, expected: int
) -> None:
    process = start(tmp_path, *prepared(tmp_path), "out", faults=SLOW)
    while not (tmp_path / "scoring").exists():
        time.sleep(0.01)
    family = descendants(process.pid)
    assert len(family) == 3  # the driver and two workers
    for pid in (process.pid, *family):
        os.kill(pid, order)
    code, said = finish(process)
    assert code == expected, said
    assert "Traceback" not in said
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in family):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert finish(start(tmp_path, *prepared(tmp_path), "out"))[0] == 0
    assert written(tmp_path) == whole


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    own = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return own + [far for near in own for far in descendants(near)]


@needs_two
def test_a_member_that_gives_nan_is_dropped_or_ends_the_run_with_workers_too(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images.parent)
    card = toy_card("cow-f0")
    model = toy_model(card)
    matrix = np.full((192, 3), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    mixed = [*members, save_member(Path("folds"), card, model)]
    told = {"device": "cpu", "shard_size": 2, "progress": None, "output": "probs"}
    with pytest.raises(ScoreError, match="cow-f0 gave NaN or infinity for image"):
        predict.run(mixed, images, out="nan", workers=2, **told)  # type: ignore[arg-type]
    predict.run(mixed, images, out="dropped", workers=2, on_nan="drop-member", store="two", **told)  # type: ignore[arg-type]
    predict.run(members, images, out="without", store="one", **told)  # type: ignore[arg-type]
    dropped, without = (Path(n, "submission.csv").read_bytes() for n in ("dropped", "without"))
    assert dropped == without


@needs_two
def test_members_are_proven_before_any_image_is_read(
    make_member: MakeMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    card = toy_card("ant-f0", activation="none")
    save_member(Path("folds"), card, toy_model(card))
    with pytest.raises(MemberError, match="activation"):
        predict.run("folds", "no-such-images", workers=2, device="cpu", progress=None)


@needs_two
def test_a_run_says_how_many_workers_scored(tmp_path: Path) -> None:
    code, said = finish(start(tmp_path, *prepared(tmp_path), "out"))
    assert code == 0, said
    assert "scoring by 2 workers: 1, 2\n" in said
    assert re.search(r"12 predicted, 0 quarantined in .* s by 2 workers\n", said)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["workers"] == ["1", "2"]
    assert finish(start(tmp_path, *prepared(tmp_path, 0), "alone"))[0] == 0
    assert "workers" not in json.loads((tmp_path / "alone" / "run.json").read_text())


@pytest.mark.slow
@needs_two
def test_out_of_fold_predictions_take_workers_from_the_command_line(tmp_path: Path) -> None:
    prepared(tmp_path)
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    (tmp_path / "folds.csv").write_text("\n".join(["id,fold", *rows]))
    for fold in range(2):
        card = toy_card(f"cow-f{fold}")
        save_member(tmp_path / "cows", card, toy_model(card, seed=fold))
    args = ("oof", "--members", "cows", "--images", "images", "--folds", "folds.csv",
            "--device", "cpu", "--workers", "2")  # fmt: skip
    code, said = finish(start(tmp_path, *args, "--out", "two.parquet"))
    assert code == 0, said
    assert "scoring by 2 workers" in said
    process = start(tmp_path, *args, "--out", "two.parquet", "--dry-run", "--json")
    assert json.loads(process.communicate(timeout=60)[0])["workers"] == ["1", "2"]


@pytest.mark.slow
@needs_two
def test_an_early_exit_has_the_same_bytes_with_workers_which_it_does_not_use(
    tmp_path: Path,
) -> None:
    args = [*prepared(tmp_path, 0), "one", "--tta", "hflip", "--early-exit", "lossless"]
    args[args.index("probs")] = "labels"
    assert finish(start(tmp_path, *args, "--store", "one-store"))[0] == 0
    args[args.index("one")] = "two"
    code, said = finish(start(tmp_path, *args, "--store", "two-store", "--workers", "2"))
    assert code == 0, said
    assert "2 workers (1, 2) have nothing to do" in said
    one, two = (tmp_path / out for out in ("one", "two"))
    assert (one / "submission.csv").read_bytes() == (two / "submission.csv").read_bytes()
    assert "workers" not in json.loads((two / "run.json").read_text())


@needs_two
def test_a_dry_run_tells_who_would_score(members: list[Path], images: Path, tmp_path: Path) -> None:
    args = ("run", "--members", *members, "--images", images, "--device", "cpu", "--dry-run")
    code, said = finish(start(tmp_path, *args, "--workers", str(available_threads() + 1)))
    assert code == 2
    assert "expected at most one for each processor" in said
    process = start(tmp_path, *args, "--workers", "2", "--json")
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert json.loads(out)["workers"] == ["1", "2"]


NO_RAY = "import sys; sys.modules['ray'] = None"


@needs_two
def test_nothing_of_ray_is_imported_but_for_its_executor(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    args = prepared(tmp_path)
    code, said = finish(start(tmp_path, *args, "out", faults=NO_RAY))
    assert code == 0, said
    assert written(tmp_path) == whole
    code, said = finish(start(tmp_path, *args, "ray", "--executor", "ray", faults=NO_RAY))
    assert code == 2
    assert "this needs ray: pip install 'ensemble-vote[ray]'" in said
