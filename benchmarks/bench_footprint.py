"""The memory of a run at 1 000 and at 10 000 images, and how long commands take to start.

    python benchmarks/bench_footprint.py

Runs one fold of each family of the fashion zoo over test images of Fashion-MNIST. Memory is the
largest resident set of the process. Start-up is the median of eleven, beside Python's own.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FASHION = Path(__file__).parents[1] / "models_zoo" / "fashion"
sys.path.insert(0, str(FASHION))
ENSEMBLE = [sys.executable, "-c", "from ensemble.cli import main; main()"]


def peak_memory(command: list[str]) -> int:
    """Return the largest resident set of a command, in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_maxrss * 1024


def seconds_of(command: list[str], scratch: Path) -> float:
    """Return the median seconds of eleven calls, after one to warm up; each without `scratch`."""
    times = []
    for _ in range(12):
        shutil.rmtree(scratch, ignore_errors=True)
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


def memory(images: Path, count: int, folder: str) -> float:
    """Return the peak of a run over the first images, in MiB."""
    listed = Path(folder) / f"{count}.csv"
    listed.write_text("\n".join(["path", *map(str, sorted(images.glob("*.png"))[:count])]))
    members = [str(FASHION / f"{family}-f0.onnx") for family in ("resnet", "vgg")]
    command = [*ENSEMBLE, "run", "--members", *members, "--images", str(listed),
               "--out", f"{folder}/out{count}", "--store", f"{folder}/store"]  # fmt: skip
    return peak_memory(command) / 2**20


def main() -> None:
    """Print both tables."""
    from data import DATA, ids_of, read_split
    from measure import write_images

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    pixels, _ = read_split(parser.parse_args().data, "t10k")
    images = FASHION / "work" / "test"
    write_images(images, pixels, ids_of("test", len(pixels)))
    with tempfile.TemporaryDirectory() as folder:
        small, large = memory(images, 1_000, folder), memory(images, 10_000, folder)
        print("| images | peak memory |\n|---|---|")
        print(f"| 1 000 | {small:.0f} MiB |\n| 10 000 | {large:.0f} MiB |")
        print(f"ratio {large / small:.2f}\n")

        one = str(next(iter(sorted(images.glob("*.png")))))
        scratch = Path(folder) / "scratch"
        run = [*ENSEMBLE, "run", "--members", str(FASHION / "vgg-f0.onnx"), "--images", one,
               "--out", str(scratch / "out"), "--store", str(scratch / "store")]  # fmt: skip
        bare = seconds_of([sys.executable, "-c", "pass"], scratch)
        print("| command | seconds | beside `python -c pass` |\n|---|---|---|")
        for title, command in {
            "`ensemble --help`": [*ENSEMBLE, "--help"],
            "`ensemble run`, one member, one image": run,
        }.items():
            seconds = seconds_of(command, scratch)
            print(f"| {title} | {seconds:.2f} | {seconds / bare:.1f} times |")


if __name__ == "__main__":
    main()
