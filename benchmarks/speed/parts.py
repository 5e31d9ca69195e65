"""Where a run's processor seconds go: the profile behind docs/performance.md.

    python benchmarks/speed/parts.py

For each imagenet_lite member under `--tta hflip` and `--tta d4`: the sessions alone, one thread a
batch and as many batches at once as there are cores, by the images of a batch: the plain member
(float32 tensors, one forward a view), our graph with all views in a forward, and our graph with a
forward a view or two; and the plain member as one batch of 32 on all cores. Then decoding and
resizing of the photographs for all members, and what starting the members costs. Each figure is the
least of some turns. Needs the zoo (make zoo). Writes results/parts.md. Takes three minutes.
"""

import argparse
import datetime
import os
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from racers import CORES, LITE
from run import photographs

from ensemble.images.decode import decode
from ensemble.images.resize import resize
from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.members.member import Member, open_member
from ensemble.records import DecodePolicy
from ensemble.runtime import graph
from ensemble.runtime.session import OnnxScorer
from ensemble.views import parse
from ensemble.views.pixels import HostView

RESULTS = Path(__file__).parents[1] / "results"
SIZES, IMAGES, TURNS = (1, 2, 4), 32, 4


def spent(work: Callable[[], object]) -> float:
    """Return the processor seconds of a piece of work, user and system."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def session(path: Path, threads: int) -> ort.InferenceSession:
    """Start a plain session."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def normalised(pixels: np.ndarray, member: Member) -> np.ndarray:
    """Return what the member takes, float32 NCHW."""
    pre = member.card.preprocess
    mean, std = (np.array(value, np.float32) for value in (pre.mean, pre.std))
    scaled = (pixels.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def parts_of(path: Path, tta: str) -> list[str]:
    """Return a row for each way of running a member; milliseconds of processors an image."""
    member, policy = open_member(path), parse.read_policy(tta)
    shaped = start.shape_views(member, policy)
    size = member.card.preprocess.size
    pixels = probe_images((IMAGES, size.height, size.width, 3))
    views = [normalised(HostView(pixels, np.arange(IMAGES), v)[0:IMAGES], member) for v in policy]
    one, all_cores = session(path, 1), session(path, CORES)
    names = {head.name: graph.probs_name(head) for head in member.card.heads}
    ours = {
        at_once: OnnxScorer(
            graph.compose_graph(member.model, member.card, shaped, "mean", at_once=at_once)
            .SerializeToString(), names, device="cpu", folder=member.folder,
        )
        for at_once in (0, 1, 2)
    }  # fmt: skip
    name = one.get_inputs()[0].name

    def plain(start: int, batch: int) -> None:
        for view in views:
            one.run(None, {name: view[start : start + batch]})

    ways: dict[str, Callable[[int, int], object]] = {
        "the plain member": plain,
        "our graph, all views in a forward": lambda s, b: ours[0].score(pixels[s : s + b]),
        "our graph, a forward a view": lambda s, b: ours[1].score(pixels[s : s + b]),
        "our graph, a forward two views": lambda s, b: ours[2].score(pixels[s : s + b]),
    }
    best: dict[tuple[str, int], float] = {}
    with ThreadPoolExecutor(CORES) as pool:
        for _ in range(TURNS):
            for way, score in ways.items():
                for batch in SIZES:
                    took = spent(lambda s=score, b=batch: list(
                        pool.map(lambda start: s(start, b), range(0, IMAGES, b))
                    ))  # fmt: skip
                    best[way, batch] = min(took, best.get((way, batch), took))
            took = spent(lambda: [all_cores.run(None, {name: view}) for view in views])
            best["whole", 32] = min(took, best.get(("whole", 32), took))
    rows = [[f"{1000 * best[way, batch] / IMAGES:.1f}" for batch in SIZES] for way in ways]
    whole = f"{1000 * best['whole', 32] / IMAGES:.1f}"
    lines = [
        f"| {path.stem}, {tta}: {way} | {' | '.join(row)} | |"
        for way, row in zip(ways, rows, strict=True)
    ]
    return [*lines, f"| {path.stem}, {tta}: the plain member, on all cores | | | | {whole} |"]


def decoding(members: list[Member]) -> float:
    """Return milliseconds an image for one decode and a resize a geometry."""
    geometries = {member.card.preprocess.geometry for member in members}
    files = [path.read_bytes() for path in photographs(100)]

    def load() -> None:
        for data in files:
            image = decode(data, DecodePolicy()).image
            for geometry in geometries:
                resize(image, geometry)

    return 1000 * min(spent(load) for _ in range(TURNS)) / len(files)


def main() -> None:
    """Print the tables and write them."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    paths = sorted((LITE / "members").glob("*.onnx"))
    members = [open_member(path) for path in paths]
    start = min(
        spent(lambda: [start.start(m, parse.read_policy("hflip"), "mean", device="cpu",
                                    threads=0, batch="auto") for m in members])
        for _ in range(TURNS)
    )  # fmt: skip
    today = datetime.datetime.now(datetime.UTC).date()
    lines = [
        "# Where a run's processor seconds go", "",
        f"`python benchmarks/speed/parts.py` on {today}, {CORES} cores, load "
        f"{os.getloadavg()[0]:.1f} at the start. Milliseconds of processors an image, by the "
        f"images of a batch; the least of {TURNS} turns.", "",
        "| | 1 | 2 | 4 | 32 |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for tta in ("hflip", "d4"):
        for path in paths:
            lines += parts_of(path, tta)
    lines += [
        "",
        f"One decode and {len(paths)} resizes of a photograph take {decoding(members):.1f} ms; "
        f"starting and proving the {len(paths)} members {1000 * start:.0f} ms.",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "parts.md").write_text(text)


if __name__ == "__main__":
    main()
