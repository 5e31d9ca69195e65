"""Whether OpenVINO would be quicker: measured once in a long run on the CPU, and remembered."""

import importlib.util
from collections.abc import Sequence
from typing import Final

from ensemble.errors import MemberError, ProviderError, ScoreError
from ensemble.files.atomic import publish_json, sha256_json
from ensemble.inference.probe import seconds_per_image
from ensemble.inference.ready import ReadyMember
from ensemble.inference.remembered import remembered
from ensemble.inference.start import shape_views, start_shaped
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.records import Precision
from ensemble.runtime.devices import CPU
from ensemble.runtime.openvino import computes_bf16
from ensemble.runtime.wheels import WHEELS, installed

_LONG: Final = 60.0
"""Seconds of a run from which on it is worth some to know."""

_SURELY: Final = 0.5
"""A run that would take less than this share of it, as its first member was proven, is not held up
by a measurement."""

_GAIN: Final = 1.2


def tell_if_quicker(
    recipe: Recipe, ready_members: Sequence[ReadyMember], images: int, told: Listener
) -> None:
    """Say by how much OpenVINO would be quicker, in a long run that "auto" put on the CPU.

    The first member is measured, and what is found is remembered in the store's `openvino`. Where
    OpenVINO is not installed, or does not suit the member, nothing is said.

    Args:
        recipe: The run's.
        ready_members: The members, started.
        images: How many images they are to score.
        told: Who is told.

    Raises:
        ScoreError: the member failed.
        StoreError: the disk refused.
    """
    first = ready_members[0]
    if recipe.scoring.device != "auto" or first.scorer.provider != CPU:
        return
    if recipe.scoring.precision != "fp32" or importlib.util.find_spec("openvino") is None:
        return
    count = images * len(ready_members)
    if first.seconds / first.scorer.lanes * count < _SURELY * _LONG:
        return
    if (seconds := seconds_per_image(first)) * count < _LONG:
        return
    precision: Precision = "bf16" if computes_bf16() else "fp32"
    times = _times(recipe, first, seconds, precision)
    if times >= _GAIN:
        labels = " in bfloat16, and a few labels may change" if precision == "bf16" else ""
        told.warn(
            f"OpenVINO scores {first.member.card.name} {times:.1f} times as fast{labels}: "
            f"--device openvino --precision {precision}"
        )


def _times(recipe: Recipe, ready: ReadyMember, seconds: float, precision: Precision) -> float:
    """Return how many times as fast OpenVINO is; 0 where the member does not suit it."""
    runtimes = ("openvino", *WHEELS)
    found, views = installed(runtimes), [repr(view) for view in ready.policy]
    versions = [found.get(name, "") for name in runtimes]
    decides = [ready.member.sha256, views, recipe.scoring.merge, precision, ready.scorer.lanes]
    path = recipe.resources.store / "openvino" / f"{sha256_json([decides, versions])[:16]}.json"
    known = remembered(path, "times")
    if known is None:
        known = seconds / other if (other := _seconds(recipe, ready, precision)) else 0.0
        publish_json(path, {"times": round(known, 2), "member": ready.member.card.name})
    return known


def _seconds(recipe: Recipe, ready: ReadyMember, precision: Precision) -> float:
    """Return what an image costs by OpenVINO; 0 where the member does not suit it."""
    try:
        other = start_shaped(
            ready.member,
            shape_views(ready.member, ready.policy),
            recipe.scoring.merge,
            device="openvino",
            threads=recipe.resources.threads,
            batch=ready.batch,
            precision=precision,
        )
        return seconds_per_image(other)
    except (MemberError, ProviderError, ScoreError):
        return 0.0
