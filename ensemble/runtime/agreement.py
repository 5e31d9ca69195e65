"""Whether a member that computes otherwise, in another precision or by another runtime, agrees."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pooled, Probs
from ensemble.errors import MemberError
from ensemble.members.card import Head
from ensemble.records import TASKS, Precision
from ensemble.runtime.devices import OPENVINO, provider_of


@dataclass(frozen=True, slots=True)
class How:
    """How a member computes, for messages, and the remedy where it is too far off.

    `bound` is the largest difference that is accepted, times the largest output over 1.
    """

    text: str
    bound: float
    remedy: str
    overflows: str = "gives NaN or infinity"


FLOAT16: Final = How(
    "in float16", 0.01, "Use --precision fp32", "overflows float16, which ends at 65504"
)
OPENVINO_FLOAT32: Final = How("by OpenVINO", 0.001, "Use --device cpu")
OPENVINO_INT8: Final = How("quantised, by OpenVINO", 0.05, "Use --device cpu")
"""Of a quantised member: it rounds elsewhere, and each of its 255 steps is .004 of a tensor."""
OPENVINO_BFLOAT16: Final = How("in bfloat16, by OpenVINO", 0.05, "Use --precision fp32")
"""bfloat16 keeps eight bits of a number: .004 of each."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far values computed otherwise are off: labels in all, those that change, the most."""

    labels: int
    changed: int
    difference: float


def together(each: Iterable[Agreement]) -> Agreement:
    """Return what several heads or members come to."""
    every = tuple(each)
    return Agreement(
        sum(one.labels for one in every),
        sum(one.changed for one in every),
        max((one.difference for one in every), default=0.0),
    )


def how_computed(device: str, precision: Precision, *, quantised: bool) -> How | None:
    """Return what a member is held by; None where it is what others are held to."""
    if provider_of(device) != OPENVINO:
        return FLOAT16 if precision == "fp16" else None
    if precision == "bf16":
        return OPENVINO_BFLOAT16
    return OPENVINO_INT8 if quantised else OPENVINO_FLOAT32


def check_agreement(head: Head, full: Probs, other: Probs, how: How) -> Agreement:
    """Check what another way to compute changes of a head, on the same images; return it.

    Args:
        head: The head.
        full: What the member gives in float32, (N, C).
        other: What it gives otherwise, (N, C).
        how: How otherwise, and how far off it may be.

    Raises:
        MemberError: it overflows, or differs by more; tells how many labels agree.
    """
    finite = np.isfinite(full).all(1)
    if not np.isfinite(other[finite]).all():
        raise MemberError(f"{how.text}, head {head.name!r} {how.overflows}. {how.remedy}")
    if not finite.any():
        return Agreement(0, 0, 0.0)
    before, after = full[finite], other[finite]
    difference = float(abs(before - after).max())
    changed = changed_labels(head, before, after)
    bound = how.bound * max(1.0, float(abs(before).max()))
    if difference > bound:
        kept = f"{len(changed) - int(changed.sum())} of {len(changed)} labels agree"
        raise MemberError(
            f"{how.text}, head {head.name!r} differs by {difference:.3g} on a probe batch, and at "
            f"most {bound:.3g} is accepted; "
            f"{kept if len(changed) else 'a regression has no labels'}. {how.remedy}"
        )
    return Agreement(len(changed), int(changed.sum()), difference)


def changed_labels(head: Head, before: Probs | Pooled, after: Probs | Pooled) -> NDArray[np.bool_]:
    """Tell which labels change, bool (N,); none, (0,), of a head that has none.

    Of a multilabel head, whose labels are given from 0.5 on, a row changes by any of them.
    """
    if not TASKS[head.task].bounded:
        return np.zeros(0, np.bool_)
    if TASKS[head.task].several:
        changed: NDArray[np.bool_] = ((before >= 0.5) != (after >= 0.5)).any(1)
        return changed
    return np.asarray(before.argmax(1) != after.argmax(1))
