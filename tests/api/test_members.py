"""Members in Python."""

from pathlib import Path

import pytest
from toys import MakeMember

import ensemble as public
from ensemble.errors import MemberError


def test_cards_are_shown_by_file(members: list[Path]) -> None:
    cards = public.inspect_members(members[0].parent)
    assert {path.name: card.name for path, card in cards.items()} == {
        path.name: path.stem for path in members
    }


def test_members_that_cannot_vote_together_are_refused(
    members: list[Path], make_member: MakeMember
) -> None:
    with pytest.raises(MemberError):
        public.inspect_members([*members, make_member("cow-f0", classes=("x", "y"))])
