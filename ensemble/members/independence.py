"""A prediction must not depend on its batch: shown on a probe, and refused with the cause."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from ensemble.arrays import Pixels
from ensemble.errors import MemberError
from ensemble.members.card import Card
from ensemble.members.operators import batch_statistics

_ROUNDING: Final = 1e-2
"""How far a prediction may move with its batch: float16 and int8 kernels round otherwise."""

_DEPENDS: Final = 1e-6
"""How far it may move where an operator is known to make it depend on its batch."""

_UNKNOWN: Final = (
    "something in the net is computed over the batch axis, such as a mean over it or a reshape "
    "that mixes images: take it out of the net, and export it again"
)


def among_black(images: Pixels) -> Pixels:
    """Return a batch uint8 (N, H, W, C) of the same shape: the first image, the others black."""
    others = np.zeros_like(images)
    others[0] = images[0]
    return others


def check_independent(
    model: ModelProto,
    card: Card,
    path: Path,
    together: Mapping[str, NDArray[np.float32]],
    apart: Mapping[str, NDArray[np.float32]],
) -> None:
    """Check that the first image's outputs are the same in two batches.

    Outputs beyond 1 are compared relative to the largest, probabilities as they are.

    Args:
        model: The member's graph, whose operators may tell the cause.
        card: Its card.
        path: Its file, for messages.
        together: Each head's float32 (N, C) of a batch; other names are not looked at.
        apart: The same of the first image alone, or among others.

    Raises:
        MemberError: they differ; says by how much, why, and what to do.
    """
    why = batch_statistics(model)
    for head in card.heads:
        before, after = together[head.name][0], apart[head.name][0]
        if not (np.isfinite(before).all() and np.isfinite(after).all()):
            continue  # a member that gives NaN is dealt with where it is scored, by --on-nan
        moved = float(abs(before - after).max())
        bound = (_DEPENDS if why else _ROUNDING) * max(1.0, float(abs(before).max()))
        if moved > bound:
            raise MemberError(
                f"{path}: a prediction depends on the images beside it in its batch: head "
                f"{head.name!r} moves by {moved:.3g} on a probe. The cause: {why or _UNKNOWN}. Or "
                f"declare that its images are scored one by one, with --batch alone of `ensemble "
                f"export` or `ensemble inspect --write-card`"
            )
