"""What finding and hashing many files takes, and how many are read, the first time and the second.

    python benchmarks/speed/scan.py [--files 100000]

Tiny files that are older than the scan's grain of two seconds, in folders of a thousand; each scan
is a process of its own, over files that the system's cache holds, with imports not counted. The
second finds their hashes in the store, the third is told to verify them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ensemble.images import reading
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import image_set_of
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings

FILES, IN_FOLDER, GRAIN = 100_000, 1000, 3
TURNS = {"first": False, "second": False, "with --verify-inputs": True}


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan took, on the wall and of all processors, and how many files it read."""

    seconds: float
    cpu: float
    read: int


def write(folder: Path, files: int) -> None:
    """Write files that are named as images and differ."""
    for number in range(files):
        place = folder / f"part{number // IN_FOLDER:04d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"img_{number}.jpg").write_bytes(b"%200d" % number)


def scanned(folder: Path, store: Path, *, verify: bool) -> Scanned:
    """Scan until the images have their key."""
    read, real = [], reading._read_patiently

    def counted(path: Path) -> bytes:
        read.append(path)
        return real(path)

    reading._read_patiently = counted
    inputs = resolve(Settings((), (str(folder),), verify_inputs=verify)).inputs
    begun, cpu = time.perf_counter(), time.process_time()
    images, _ = find_images(inputs, 0, Quiet(), store)
    image_set_of(images)
    return Scanned(time.perf_counter() - begun, time.process_time() - cpu, len(read))


def apart(folder: Path, store: Path, *, verify: bool) -> Scanned:
    """Scan in a process of its own."""
    command = [sys.executable, __file__, "--scan", str(folder), str(store)]
    done = subprocess.run(
        [*command, *["--verify"] * verify], check=True, capture_output=True, text=True
    )
    return Scanned(**json.loads(done.stdout))


def turns(files: int = FILES) -> dict[str, Scanned]:
    """Scan so many files the first time, the second, and with all of them verified."""
    with tempfile.TemporaryDirectory() as folder:
        images, store = Path(folder) / "images", Path(folder) / "store"
        write(images, files)
        time.sleep(GRAIN)
        return {turn: apart(images, store, verify=verify) for turn, verify in TURNS.items()}


def main() -> None:
    """Print a row for each scan."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--scan", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--verify", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.scan:
        print(json.dumps(asdict(scanned(*args.scan, verify=args.verify))))
        return
    print(
        f"{args.files} files\n\n| scan | seconds | of processors | files read |\n|---|---|---|---|"
    )
    for turn, done in turns(args.files).items():
        print(f"| {turn} | {done.seconds:.2f} | {done.cpu:.2f} | {done.read} |")


if __name__ == "__main__":
    main()
