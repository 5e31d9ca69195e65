"""Members that are opened and started on the CPU."""

from pathlib import Path

from ensemble.inference import start
from ensemble.inference.ready import BatchSize, ReadyMember
from ensemble.members.member import open_member
from ensemble.records import Merge
from ensemble.views import policy


def begin(
    path: Path, tta: str = "none", merge: Merge = "mean", batch: BatchSize = 4
) -> ReadyMember:
    """Open a member and start it on the CPU."""
    return start.start(
        open_member(path), policy.preset(tta), merge, device="cpu", threads=1, batch=batch
    )
