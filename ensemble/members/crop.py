"""How members want boxes widened: as their cards say, and as a run says, which must agree."""

from collections.abc import Sequence
from dataclasses import replace

from ensemble.boxes import Crop
from ensemble.errors import MemberError, UsageError
from ensemble.members.member import Member


def with_crops(members: Sequence[Member], told: Crop | None, *, cropped: bool) -> list[Member]:
    """Return members whose preprocessing cuts out boxes where a run has some.

    Args:
        members: as they were opened; a card may say on which crops its member was trained.
        told: how the run widens boxes; None is as each card says.
        cropped: whether the run has boxes.

    Raises:
        MemberError: a member was trained on crops and the run has none, or on others.
        UsageError: neither a card nor the run says how boxes are widened.
    """
    return [_with_crop(member, told, cropped=cropped) for member in members]


def _with_crop(member: Member, told: Crop | None, *, cropped: bool) -> Member:
    card = member.card
    own = card.preprocess.crop
    if own is not None and not cropped:
        raise MemberError(
            f"{member.path}: trained on crops ({own}), as its card says, and this is "
            f"without: give the boxes of the images by --crops"
        )
    if not cropped:
        return member
    if own is not None and told is not None and own != told:
        raise MemberError(
            f"{member.path}: trained on crops with {own}, as its card says; this has "
            f"{told}. Leave --margin and --square out, or the member"
        )
    crop = told or own
    if crop is None:
        raise UsageError(
            f"{member.path}: its card does not say how boxes of --crops are widened for it: say "
            f"--margin (and --square) as in its training; --margin 0 takes boxes as they are"
        )
    return replace(member, card=replace(card, preprocess=replace(card.preprocess, crop=crop)))
