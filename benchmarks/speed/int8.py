"""Int8 members against their float32 members: labels, accuracy and speed.

    python benchmarks/speed/int8.py

The fashion members are calibrated on the training images in the repository (half of them, as
`ensemble quantize` divides them) and judged on the 10 000 test images. efficientnet-lite0 is
calibrated on crops of some photographs and judged on crops of others, and on the photographs as
they are. Speeds are ratios of images/s of the composed graphs, scored as a run scores them, in
turns, each at its best batch size. Needs the zoos (make zoo). Writes results/int8.md.
"""

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from ensemble.inference.ready import ReadyMember

BENCHMARKS = Path(__file__).parents[1]
ROOT = BENCHMARKS.parent
FASHION, LITE = ROOT / "models_zoo" / "fashion", ROOT / "models_zoo" / "imagenet_lite" / "work"
sys.path.insert(0, str(FASHION))
CORES = len(os.sched_getaffinity(0))
ROUNDS, BATCH, BLOCK, CROPS = 15, 32, 64, 400
SIZES = (1, 2, 4, 8, 16, 32)


def crops(photographs: list[Path], folder: Path, count: int) -> None:
    """Write crops of 60 to 100 % of a side, half of them mirrored."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    sources = [Image.open(path).convert("RGB") for path in photographs]
    for number in range(count):
        source = sources[number % len(sources)]
        share = rng.uniform(0.6, 1)
        width, height = int(source.width * share), int(source.height * share)
        left = int(rng.integers(source.width - width + 1))
        top = int(rng.integers(source.height - height + 1))
        cut = source.crop((left, top, left + width, top + height))
        if rng.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        cut.save(folder / f"crop{number:04d}.jpg", quality=95)


def pixels_of(paths: list[Path], geometry: object) -> np.ndarray:
    """Return the images as a member takes them."""
    from ensemble.images.decode import decode
    from ensemble.images.resize import resize
    from ensemble.records import DecodePolicy

    return np.stack([resize(decode(p.read_bytes(), DecodePolicy()).image, geometry) for p in paths])


def row(title: str, fp32: Path, int8: Path, images: list[Path], truth: np.ndarray | None) -> str:
    """Compare two members on images; return a row of the table."""
    from ensemble.inference.start import start
    from ensemble.members.member import open_member
    from ensemble.views.parse import read_policy

    ready_members = [
        start(
            open_member(p),
            read_policy("none"),
            "mean",
            device="cpu",
            threads=CORES,
            batch="auto",
        )
        for p in (fp32, int8)
    ]
    pixels = pixels_of(images, ready_members[0].member.card.preprocess.geometry)
    starts = range(0, len(pixels), BATCH)
    before, after = (
        np.concatenate([p.scorer.score(pixels[at : at + BATCH])["label"] for at in starts])
        for p in ready_members
    )
    labels = [probs.argmax(1) for probs in (before, after)]
    right = ["" if truth is None else f"{(found == truth).mean():.2%}" for found in labels]
    block = np.resize(pixels, (BLOCK, *pixels.shape[1:]))
    sizes = [best_size(ready, block) for ready in ready_members]
    ratios = []
    for _ in range(ROUNDS):
        times = [seconds_of(p, block, size) for p, size in zip(ready_members, sizes, strict=True)]
        ratios.append(times[0] / times[1])
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    gap = np.abs(before - after)
    speed = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    return (
        f"| {title} | {len(images)} | {(labels[0] == labels[1]).mean():.2%} | {right[0]} | "
        f"{right[1]} | {gap.max():.3f} | {gap.mean():.1e} | {speed} |"
    )


def best_size(ready: "ReadyMember", pixels: np.ndarray) -> int:
    """Return a member's quickest batch size, as `--batch-size auto` would in a long run."""
    return min(SIZES, key=lambda size: min(seconds_of(ready, pixels, size) for _ in range(3)))


def seconds_of(ready: "ReadyMember", pixels: np.ndarray, size: int) -> float:
    """Time a member over some images as a run scores them: small batches, one a core at once."""
    batches = [pixels[at : at + size] for at in range(0, len(pixels), size)]
    with ThreadPoolExecutor(ready.scorer.lanes) as pool:
        list(pool.map(ready.scorer.score, batches[: ready.scorer.lanes]))
        begun = time.perf_counter()
        list(pool.map(ready.scorer.score, batches))
        return time.perf_counter() - begun


def fashion_rows(folder: Path) -> list[str]:
    """The fashion members, on the 10 000 test images."""
    from data import DATA, ids_of, read_split
    from measure import write_images

    import ensemble

    images, labels = read_split(DATA, "t10k")
    ids = ids_of("test", len(images))
    write_images(FASHION / "work" / "test", images, ids)
    paths = [FASHION / "work" / "test" / f"{name}.png" for name in ids]
    members = sorted(FASHION.glob("*.onnx"))
    made = ensemble.quantize_members(members, FASHION / "train", folder, max_disagreement=1)
    return [row(q.card.name, FASHION / q.path.name, q.path, paths, labels) for q in made]


def lite_rows(folder: Path) -> list[str]:
    """efficientnet-lite0, on photographs that did not calibrate it."""
    import ensemble

    photographs = sorted((LITE / "photographs").glob("*.jpg"))
    judged = [p for p in photographs if p.stem in ("chelsea", "motorcycle_left")]
    crops([p for p in photographs if p not in judged], folder / "calibrate", 256)
    crops(judged, folder / "judge", CROPS)
    (made,) = ensemble.quantize_members(
        LITE / "members" / "lite0.onnx", folder / "calibrate", folder / "lite", max_disagreement=1
    )
    cut, fp32 = sorted((folder / "judge").glob("*.jpg")), LITE / "members" / "lite0.onnx"
    return [
        row("lite0, crops of 2 other photographs", fp32, made.path, cut, None),
        row("lite0, the 5 photographs", fp32, made.path, photographs, None),
    ]


def main() -> None:
    """Print the table and write it."""
    with tempfile.TemporaryDirectory() as name:
        rows = [*fashion_rows(Path(name) / "int8"), *lite_rows(Path(name))]
    head = "| member, images | images | same label | accuracy, float32 | int8 | largest difference "
    head += "of a probability | mean | times the images/s (quartiles) |"
    about = (
        f"`python benchmarks/speed/int8.py` on {time.strftime('%Y-%m-%d')}, two cores of a shared "
    )
    about += f"machine (AMD EPYC, AVX-512 VNNI); blocks of {BLOCK} images, {ROUNDS} turns, each "
    about += "member at its best batch size."
    text = "\n".join(["# Int8", "", about, "", head, "|---" * 8 + "|", *rows, ""])
    print(text)
    (BENCHMARKS / "results").mkdir(exist_ok=True)
    (BENCHMARKS / "results" / "int8.md").write_text(text)


if __name__ == "__main__":
    main()
