"""Nothing is done twice that need be done once: counted in runs, not read off the code."""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from toys import ensemble

from ensemble.files.atomic import sha256_file
from ensemble.images.reading import hash_sources, read
from ensemble.inference.fingerprint import fingerprint_of, image_set_of
from ensemble.inference.start import shape_views
from ensemble.recipe.resolve import resolve
from ensemble.views.parse import read_policy

MEMBERS, IMAGES = 4, 12
COUNTED = (resolve, read_policy, fingerprint_of, image_set_of, shape_views, sha256_file)


class Counts:
    """How often functions were called while a command ran, and each file opened, in all threads."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.files: Counter[str] = Counter()
        self._names = {f.__code__: f.__name__ for f in COUNTED}
        self._lock = threading.Lock()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Note the call of a Python function."""
        if event != "call":
            return
        code = frame.f_code
        if code in self._names:
            with self._lock:
                self.calls[self._names[code]] += 1
                if self._names[code] == "sha256_file":
                    self.files[Path(frame.f_locals["path"]).suffix] += 1
        elif code.co_name == "_read_patiently":
            with self._lock:
                self.files[f"image {frame.f_locals['path'].name}"] += 1


def counted(command: Callable[[], int]) -> Counts:
    counts = Counts()
    threading.setprofile(counts)
    sys.setprofile(counts)
    try:
        assert command() == 0
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return counts


@pytest.fixture
def flags(members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(images.parent)
    return ["--members", *map(str, members), "--images", str(images), "--tta", "hflip",
            "--device", "cpu", "--shard-size", "6"]  # fmt: skip


def run(flags: list[str], *more: str) -> Counts:
    return counted(lambda: ensemble("run", *flags, *more))


def images_read(counts: Counts) -> dict[int, int]:
    """How many image files were read so often."""
    return dict(Counter(n for name, n in counts.files.items() if name.startswith("image ")))


def test_the_counters_count() -> None:
    counts = counted(lambda: int(read_policy("none") == ()))
    assert counts.calls == {"read_policy": 1}
    assert {read.__name__, hash_sources.__name__} == {"read", "hash_sources"}


def test_a_run_does_each_thing_once(flags: list[str]) -> None:
    counts = run(flags)
    assert counts.calls["resolve"] == counts.calls["read_policy"] == 1
    assert counts.calls["image_set_of"] == 1
    assert counts.calls["fingerprint_of"] == counts.calls["shape_views"] == MEMBERS
    assert images_read(counts) == {2: IMAGES}  # the scan, and decoding
    assert counts.files[".parquet"] == 2 * 2 * MEMBERS  # their ids, then their numbers in slices


def test_a_stored_run_reads_each_image_once(flags: list[str]) -> None:
    run(flags)
    counts = run(flags, "--out", "again")
    assert counts.calls["resolve"] == 1
    assert counts.calls["fingerprint_of"] == counts.calls["shape_views"] == MEMBERS
    assert images_read(counts) == {1: IMAGES}
    assert counts.files[".parquet"] == 3 * 2 * MEMBERS  # is it whole; its ids; its numbers


def test_a_vote_on_a_run_reads_no_image_and_each_part_once(flags: list[str]) -> None:
    run(flags, "--out", "first")
    counts = counted(lambda: ensemble("vote", "first", "--voting", "hard", "--out", "second"))
    assert counts.calls["resolve"] == 1
    assert counts.calls["fingerprint_of"] == counts.calls["shape_views"] == 0
    assert images_read(counts) == {}
    assert counts.files[".parquet"] == 2 * 2 * MEMBERS  # its ids, then its numbers


@pytest.mark.parametrize("saves", [["--early-exit", "lossless"], ["--evals-per-image", "6"]])
def test_an_early_exit_makes_one_fingerprint_a_member(flags: list[str], saves: list[str]) -> None:
    counts = run(flags, *saves)
    assert counts.calls["resolve"] == counts.calls["read_policy"] == 1
    assert counts.calls["fingerprint_of"] == counts.calls["shape_views"] == MEMBERS
    assert max(images_read(counts)) == 2
