"""Members on a GPU: CUDA in float32 and float16, TensorRT, and PyTorch on the same nets.

    python benchmarks/speed/gpu.py [--net resnet50] [--batches 8,32,128] [--seconds 5]

A net of timm with random weights is exported to a member. Each contestant scores uint8 batches that
lie in memory, through the seam that a run uses, with as many batches in flight as a run has; the
sweep is over batch sizes, in turns, after a warm-up. PyTorch gets the same pixels and does the
same from there: copy, normalise, net, softmax, copy back; eager with autocast and channels_last,
and compiled. Labels are compared with those of the CPU in float32, and utilisation is what
nvidia-smi says meanwhile. Exits with 4 where no GPU starts. Writes results/gpu.md.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BENCHMARKS = Path(__file__).parents[1]
CLASSES = 1000
JUDGED = 256
LOAD = "utilization.gpu"
DEVICE = "cuda"

Score = Callable[[np.ndarray], np.ndarray]
"""Takes uint8 (N, H, W, C), gives probabilities (N, classes)."""


@dataclass(frozen=True)
class Contestant:
    """A way to score batches; `lanes` of them at once."""

    title: str
    score: Score
    lanes: int


def asked(field: str) -> str:
    """Ask nvidia-smi about the first GPU."""
    command = ["nvidia-smi", "--id=0", f"--query-gpu={field}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Load:
    """Samples how busy the GPU is, in percent, while it is open."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._done.wait(0.2):
            self.samples.append(float(asked(LOAD)))

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def mean(self) -> float:
        return float(np.mean(self.samples)) if self.samples else float("nan")


def export(net: str, folder: Path) -> Path:
    """Write a member of random weights, as `ensemble export` does."""
    import timm
    import torch

    from ensemble.api.members import export_members
    from ensemble.export.spec import ExportSpec, HeadSpec

    torch.manual_seed(0)
    model = timm.create_model(net, num_classes=CLASSES).eval()
    checkpoint = folder / f"{net}-f0.pth"
    torch.save(model.state_dict(), checkpoint)
    head = HeadSpec("label", tuple(f"c{number}" for number in range(CLASSES)))
    return export_members([checkpoint], ExportSpec(net, (head,)), folder)[0].path


def ours(member: Path, device: str, precision: str, batch: int, cache: Path) -> Contestant:
    """Start a member as a run does."""
    from ensemble.inference.start import start
    from ensemble.members.member import open_member
    from ensemble.views.parse import read_policy

    ready = start(
        open_member(member), read_policy("none"), "mean", device=device, threads=0, batch=batch,
        precision=precision, cache=cache,
    )  # fmt: skip
    scorer = ready.scorer
    title = f"ensemble, {device}, {precision}"
    return Contestant(title, lambda images: scorer.score(images)["label"], scorer.lanes)


def eager(net: str, folder: Path, *, compiled: bool, half: bool) -> Contestant:
    """PyTorch at its best: channels_last, autocast, compiled if asked."""
    import timm
    import torch
    from timm.data import resolve_data_config

    model = timm.create_model(net, num_classes=CLASSES).eval()
    model.load_state_dict(torch.load(folder / f"{net}-f0.pth"))
    config = resolve_data_config({}, model=model)
    model = model.to(DEVICE).to(memory_format=torch.channels_last)
    mean, std = (
        torch.tensor(config[name]).view(1, -1, 1, 1).to(DEVICE) for name in ("mean", "std")
    )

    def forward(pixels: torch.Tensor) -> torch.Tensor:
        images = (pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
        with torch.autocast(DEVICE, torch.float16, enabled=half):
            logits = model(images.contiguous(memory_format=torch.channels_last))
        return logits.float().softmax(1)

    forward = torch.compile(forward) if compiled else forward

    def score(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            pixels = torch.from_numpy(images).pin_memory().to(DEVICE, non_blocking=True)
            return forward(pixels).cpu().numpy()

    how = "compiled" if compiled else "eager"
    kind = "autocast float16" if half else "float32"
    return Contestant(f"PyTorch, {how}, {kind}, channels_last", score, 1)


def speed(who: Contestant, batch: np.ndarray, seconds: float) -> tuple[float, float]:
    """Return images a second, and how busy the GPU was."""
    for _ in range(3):
        who.score(batch)
    done, begun = 0, time.perf_counter()
    with Load() as load, ThreadPoolExecutor(who.lanes) as pool:
        while time.perf_counter() - begun < seconds:
            done += sum(len(found) for found in pool.map(who.score, [batch] * (4 * who.lanes)))
    return done / (time.perf_counter() - begun), load.mean


def probs(who: Contestant, images: np.ndarray, batch: int) -> np.ndarray:
    """Return the probabilities of images, in batches of one size."""
    parts = [who.score(images[at : at + batch]) for at in range(0, len(images), batch)]
    return np.concatenate(parts)


def contestants(net: str, member: Path, folder: Path, batch: int) -> list[Callable[[], Contestant]]:
    """Return how to start each, one at a time: they would share the GPU's memory."""
    from ensemble.runtime.devices import why_no_tensorrt

    cache = folder / "engines"
    devices = ["cuda"] if why_no_tensorrt() else ["cuda", "tensorrt"]
    own = [
        lambda d=device, p=precision: ours(member, d, p, batch, cache)
        for device in devices
        for precision in ("fp32", "fp16")
    ]
    theirs = [
        lambda c=compiled, h=half: eager(net, folder, compiled=c, half=h)
        for half in (False, True)
        for compiled in (False, True)
    ]
    return [*own, *theirs]


def rows(net: str, folder: Path, batches: list[int], seconds: float) -> list[str]:
    """Measure everything; return the rows of the table."""
    from ensemble.inference.probe import probe_images
    from ensemble.members.member import open_member

    member = export(net, folder)
    size = open_member(member).card.preprocess.size
    images = probe_images((JUDGED, size.height, size.width, 3))
    truth = probs(ours(member, "cpu", "fp32", 8, folder), images, 8)
    found = []
    for batch in batches:
        for begin in contestants(net, member, folder, batch):
            who = begin()
            rate, load = speed(who, images[:batch], seconds)
            given = probs(who, images, batch)
            same, gap = (given.argmax(1) == truth.argmax(1)).mean(), abs(given - truth).max()
            found.append(
                f"| {who.title} | {batch} | {rate:.0f} | {load:.0f} % | {same:.2%} | {gap:.1e} |"
            )
            print(found[-1], flush=True)
    return found


def main() -> int:
    """Measure, and write the table; 4 where no GPU starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", default="resnet50")
    parser.add_argument("--batches", default="8,32,128")
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    from ensemble.runtime.devices import CUDA, start_providers, why_no_cuda, why_no_tensorrt

    if reason := why_no_cuda() or start_providers()[CUDA]:
        print(f"nothing is measured: CUDA does not start here: {reason}", file=sys.stderr)
        return 4
    batches = [int(text) for text in args.batches.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        table = rows(args.net, Path(folder), batches, args.seconds)
    told = why_no_tensorrt()
    text = [
        f"# {args.net} on a GPU", "",
        f"{asked('name')}, driver {asked('driver_version')}, {time.strftime('%Y-%m-%d')}. "
        + (f"TensorRT did not run: {told}. " if told else "")
        + f"Labels are those of {JUDGED} images of noise, on random weights: near-ties are many.",
        "", "| contestant | batch | images/s | GPU busy | labels of the CPU | largest difference |",
        "|---|---|---|---|---|---|",
        *table, "",
    ]  # fmt: skip
    (BENCHMARKS / "results" / "gpu.md").write_text("\n".join(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
