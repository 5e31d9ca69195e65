"""kill -9 at any moment: nothing that was committed is lost or computed again."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toys import save_images, save_member, toy_card, toy_model

KILLS = 20
IMAGES = 1600
SHARD = 16


def command(folder: Path, out: str, store: str, device: str) -> list[str]:
    """The run, as a process of its own."""
    args = ["run", "--members", str(folder / "folds"), "--images", str(folder / "images"),
            "--tta", "hflip", "--output", "probs", "--shard-size", str(SHARD), "--device", device,
            "--out", str(folder / out), "--store", str(folder / store)]  # fmt: skip
    script = f"from ensemble.cli import main; main({args!r})"
    return [sys.executable, "-c", script]


def committed(store: Path) -> dict[str, tuple[int, int]]:
    """Each part that counts: its inode and when it was written."""
    marks = store.rglob("part-*.json")
    parts = [mark.with_suffix(".parquet") for mark in marks]
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in parts}


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_twenty_kills_lose_nothing_and_change_no_byte(tmp_path: Path, device: str) -> None:
    for name, seed in (("ant-f0", 0), ("bee-f0", 1)):
        card = toy_card(name)
        save_member(tmp_path / "folds", card, toy_model(card, seed=seed))
    save_images(tmp_path / "images", IMAGES)
    whole_run = command(tmp_path, "whole", "whole-store", device)
    subprocess.run(whole_run, check=True, capture_output=True)

    rng = random.Random(20)
    store = tmp_path / "store"
    before: dict[str, tuple[int, int]] = {}
    after_a_commit = 0
    for _ in range(KILLS):
        target = len(before) + rng.randint(0, 3)
        process = subprocess.Popen(
            command(tmp_path, "broken", "store", device),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and len(committed(store)) < target:
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "the run ended before it was killed"
        now = committed(store)
        assert before.items() <= now.items(), "a committed part was written again"
        before = now
        after_a_commit += bool(now)

    assert after_a_commit >= KILLS // 2
    subprocess.run(command(tmp_path, "broken", "store", device), check=True, capture_output=True)
    final = committed(store)
    assert before.items() <= final.items()
    assert len(final) == 2 * IMAGES // SHARD
    whole, broken = (tmp_path / n / "submission.csv" for n in ("whole", "broken"))
    assert whole.read_bytes() == broken.read_bytes()
    assert not list(store.rglob(".tmp-*"))
