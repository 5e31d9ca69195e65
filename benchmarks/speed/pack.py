"""A packed ensemble beside the sessions of a run: images/s of the same members, in turns.

    python benchmarks/speed/pack.py

The ten members of the fashion zoo under hflip, and the 25 of the garments zoo with their label map.
The sessions are those of `ensemble run`, one a member, each at its best batch size; the packed file
is one session, at its own. Both are scored as a run scores: a thread a batch, as many batches at
once as there are cores. Decoding and the vote in NumPy, which only the sessions would need, are not
counted. Where other work runs, processor seconds tell more than the clock. Writes results/pack.md.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort

import ensemble
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start_members import start_members
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings

BENCHMARKS = Path(__file__).parents[1]
ZOO = BENCHMARKS.parent / "models_zoo"
CORES = len(os.sched_getaffinity(0))
ROUNDS, BLOCK = 15, 64
SIZES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Case:
    """An ensemble: its members, and how they see and vote."""

    title: str
    members: Sequence[Path]
    settings: Mapping[str, object] = field(default_factory=dict)


CASES = (
    Case("fashion, 10 members, hflip", sorted((ZOO / "fashion").glob("*.onnx")), {"tta": "hflip"}),
    Case(
        "garments, 25 members, label map",
        sorted((ZOO / "garments" / "members").glob("*.onnx")),
        {"label_map": ZOO / "garments" / "label_map.csv"},
    ),
)

Score = Callable[[slice], object]


def timed(score: Score, size: int) -> np.ndarray:
    """Return the seconds that a block of images takes in batches of a size, one a core at once.

    By the clock, and of all processors.
    """
    batches = [slice(at, at + size) for at in range(0, BLOCK, size)]
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(score, batches[:CORES]))
        began = np.array([time.perf_counter(), time.process_time()])
        list(pool.map(score, batches))
        return np.array([time.perf_counter(), time.process_time()]) - began


def best_size(score: Score) -> int:
    """Return the quickest batch size, as `--batch-size auto` would in a long run."""
    return min(SIZES, key=lambda size: min(timed(score, size)[1] for _ in range(3)))


def of_member(ready: ReadyMember) -> Score:
    """Score the same noise by a member's session."""
    pixels = noise(ready.shape)
    return lambda rows: ready.score(pixels[rows])


def of_file(path: Path) -> Score:
    """Score noise by a packed file."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    pixels = {each.name: noise(each.shape[1:]) for each in session.get_inputs()}
    return lambda rows: session.run(None, {name: given[rows] for name, given in pixels.items()})


def noise(shape: Sequence[int]) -> np.ndarray:
    """Return a block of images of a height, a width and channels."""
    return np.random.default_rng(0).integers(0, 256, (BLOCK, *shape), dtype=np.uint8)


def row(case: Case, folder: Path) -> str:
    """Measure an ensemble both ways in turns; return a row of the table."""
    names = tuple(map(str, case.members))
    packed = ensemble.pack(
        names, folder / "model.onnx", store=folder, progress=None, force=True, **case.settings
    )
    settings = Settings(names, (), store=folder, device="cpu", **case.settings)
    sessions = [of_member(ready) for ready in start_members(resolve(settings), Quiet())]
    sizes, whole = [best_size(score) for score in sessions], of_file(packed.path)
    size = best_size(whole)
    apart, together = np.empty((2, ROUNDS, 2))
    for turn in range(ROUNDS):
        apart[turn] = sum(timed(s, n) for s, n in zip(sessions, sizes, strict=True))
        together[turn] = timed(whole, size)
    speeds = [1000 * seconds[:, 1].min() / BLOCK for seconds in (apart, together)]
    clock, processors = map(_told, (apart / together).T)
    print(f"{case.title}: {clock} by the clock, {processors} by processors", file=sys.stderr)
    return (
        f"| {case.title} | {speeds[0]:.2f} | {speeds[1]:.2f} | {processors} | {clock} | {size} | "
        f"{packed.path.stat().st_size / 1e6:.1f} |"
    )


def _told(ratios: np.ndarray) -> str:
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Print the table and write it."""
    with tempfile.TemporaryDirectory() as name:
        rows = [row(case, Path(name)) for case in CASES]
    head = "| ensemble | processor ms an image, its sessions | packed | times the images/s, by "
    head += "processor seconds (quartiles) | by the clock | batch | MB |"
    about = (
        f"`python benchmarks/speed/pack.py` on {time.strftime('%Y-%m-%d')}, {CORES} cores of a "
        f"shared machine; blocks of {BLOCK} images, {ROUNDS} turns, each at its best batch size."
    )
    text = "\n".join(["# Packed", "", about, "", head, "|---" * 7 + "|", *rows, ""])
    print(text)
    (BENCHMARKS / "results" / "pack.md").write_text(text)


if __name__ == "__main__":
    main()
