"""What a GPU may do during a run, by a session that does it on the CPU."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from toys import ensemble

from ensemble.arrays import Pixels, Probs
from ensemble.predictions.run_record import read_record
from ensemble.runtime.failures import translated
from ensemble.runtime.session import OnnxScorer

SCORE = OnnxScorer.score


def run(members: list[Path], images: Path, out: str, store: str) -> int:
    """Twelve images in four shards, scored by batches of three."""
    return ensemble(
        "run", "--members", members[0], "--images", images, "--device", "cpu", "--threads", "1",
        "--shard-size", "3", "--batch-size", "3", "--out", out, "--store", store,
    )  # fmt: skip


def failing(monkeypatch: pytest.MonkeyPatch, fault: str, *, after: int, room: int = 0) -> list[int]:
    """Let sessions fail with what CUDA says: after some batches, or on batches without room."""
    calls: list[int] = []

    def score(self: OnnxScorer, images: Pixels) -> Mapping[str, Probs]:
        calls.append(len(images))
        with translated():
            if len(calls) > after or (room and len(images) > room):
                raise RuntimeError(fault)
        return SCORE(self, images)

    monkeypatch.setattr(OnnxScorer, "score", score)
    return calls


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parts(store: str) -> dict[str, int]:
    """The parts that are committed, and when each was written."""
    return {str(p): p.stat().st_mtime_ns for p in Path(store).rglob("part-*.parquet")}


def test_a_gpu_that_vanishes_ends_the_run_with_1_and_what_was_committed_is_kept(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run(members, images, "whole", "whole-store") == 0
    with monkeypatch.context() as broken:
        failing(broken, "CUDA failure 719: unspecified launch failure", after=2)
        assert run(members, images, "broken", "store") == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "member ant-f0, batch of 3: the GPU failed, or is gone: CUDA failure 719" in told
    assert not Path("broken").exists()
    before = parts("store")
    assert len(before) == 2
    assert run(members, images, "broken", "store") == 0
    assert before.items() <= parts("store").items()
    assert read_record(Path("broken")).facts["evaluations"] == 6
    csv = [Path(out, "submission.csv").read_bytes() for out in ("whole", "broken")]
    assert csv[0] == csv[1]


def test_batches_that_do_not_fit_are_halved_and_change_no_byte(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(members, images, "whole", "whole-store") == 0
    calls = failing(monkeypatch, "CUDA failure 2: out of memory", after=1000, room=1)
    assert run(members, images, "tight", "store") == 0
    assert (calls[0], set(calls[1:])) == (3, {1})
    csv = [Path(out, "submission.csv").read_bytes() for out in ("whole", "tight")]
    assert csv[0] == csv[1]
