"""Views by family: `--tta family=flip,other=none`, and what a policy is called."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, cast

from ensemble.errors import UsageError, few
from ensemble.records import Merge, Op, OpName, View
from ensemble.views.parse import read_policy
from ensemble.views.pixels import jitters_of
from ensemble.views.policy import Views, preset, presets
from ensemble.views.spelling import merge_words, spell, spell_list

EVERY: Final = ""
"""Where the views of every family stand, if none has its own."""

_COMMA: Final = re.compile(r",(?![^()]*\))")


def read_policies(tta: str) -> dict[str, Views]:
    """Read `--tta`: one policy, or `family=policy,other=policy`.

    Returns:
        The views by family; under `EVERY` where all have the same.

    Raises:
        UsageError: no such policy, some families have one and others not, or one has two.
    """
    if "=" not in tta:
        return {EVERY: read_policy(tta)}
    found: dict[str, Views] = {}
    for part in _COMMA.split(tta):
        family, _, policy = (text.strip() for text in part.rpartition("="))
        if not family or family in found:
            told = "stands there twice" if family else "is not family=views"
            raise UsageError(f"--tta {tta!r}: {part.strip()!r} {told}; expected a policy for each "
                             f"family, as family=flip,other=none")  # fmt: skip
        found[family] = read_policy(policy)
    return found


def check_jitters(told: Mapping[str, Views], *, cropped: bool) -> None:
    """Refuse views that move a box where there is none.

    Raises:
        UsageError: there are such views, and the run has no crops.
    """
    if not cropped and any(map(jitters_of, told.values())):
        raise UsageError("--tta jitter moves the boxes of --crops: give them too, or other views")


def policies_of(told: Mapping[str, Views], families: Collection[str]) -> dict[str, Views]:
    """Return the views of each family.

    Args:
        told: As `read_policies` gives them.
        families: The families of the members.

    Raises:
        UsageError: a family without views, or views of a family that no member is of.
    """
    if EVERY in told:
        return dict.fromkeys(families, told[EVERY])
    if lacking := sorted(set(families) - set(told)):
        raise UsageError(
            f"--tta names views of {few(sorted(told))} and none of {few(lacking)}; say each "
            f"family's, such as {lacking[0]}=none"
        )
    if beyond := sorted(set(told) - set(families)):
        raise UsageError(
            f"--tta names views of {few(beyond)}; the families are {few(sorted(families))}"
        )
    return {family: told[family] for family in families}


def spelled(views: Iterable[View]) -> str:
    """Spell views by all that they do, as "plain, hflip+rot90(1)": others are spelled otherwise."""
    return ", ".join(map(spell, views))


def merged_as(views: Sequence[View], merge: Merge) -> str:
    """Spell views and how they become one, as "mean of plain, hflip"; one view merges to itself."""
    return merge_words([spell(view) for view in views], merge)


def views_told(told: object) -> tuple[View, ...]:
    """Return the views of a fingerprint, operations in lists for each; see `fingerprint_of`."""
    rows = cast(Sequence[Sequence[Mapping[str, object]]], told)
    return tuple(View("", tuple(map(_told, ops))) for ops in rows)


def _told(op: Mapping[str, object]) -> Op:
    return Op(cast(OpName, op["name"]), tuple(cast(Sequence[float | int | str], op["args"])))


def name_of(views: Sequence[View]) -> str:
    """Return what `--tta` calls views: a preset where one gives just these, else a list of them."""
    told = [view.ops for view in views]
    for text in _candidates(views):
        if [view.ops for view in preset(text)] == told:
            return text
    return spell_list(views)


def _candidates(views: Sequence[View]) -> list[str]:
    """Return the presets that may have given these views."""
    plain = [name for name in presets() if name not in _MEASURED]
    jitter = [f"jitter({max(map(abs, move)):g})" for move in jitters_of(views)[1:2]]
    return [*plain, *_multiscale(views), *_with_crops(views), *jitter]


def _multiscale(views: Sequence[View]) -> list[str]:
    """Return the preset of scales, if each view is as it was or scaled first."""
    first = [view.ops[0] if view.ops else _UNSCALED for view in views]
    if len(views) < 2 or any(op.name != "scale" for op in first):
        return []
    return [f"multiscale({','.join(f'{op.args[0]:g}' for op in first)})"]


def _with_crops(views: Sequence[View]) -> list[str]:
    """Return the presets of crops, if there is one."""
    sizes = [op.args[1:] for view in views for op in view.ops if op.name == "crop"]
    return [f"{name}({','.join(map(str, size))})" for size in sizes[:1]
            for name in ("five_crop", "ten_crop")]  # fmt: skip


_MEASURED: Final = ("multiscale", "five_crop", "ten_crop", "jitter")
"""The presets that take numbers."""

_UNSCALED: Final = Op("scale", (1,))
"""What a view without operations is, among scaled ones."""
