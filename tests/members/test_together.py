"""Members vote together where they mean the same, and only there."""

from dataclasses import replace

import pytest
from toys import MakeMember

from ensemble.errors import MemberError
from ensemble.members.member import open_member
from ensemble.members.together import check_together
from ensemble.records import Size


def test_members_that_disagree_on_classes_cannot_vote(make_member: MakeMember) -> None:
    first = make_member("a-f0")
    second = make_member("b-f0", classes=("cat", "dog", "fox"))
    with pytest.raises(MemberError, match="only in the first: \\['eel'\\]"):
        check_together([open_member(first), open_member(second)], None)


def test_members_with_classes_in_another_order_cannot_vote(make_member: MakeMember) -> None:
    first = make_member("a-f0")
    second = make_member("b-f0", classes=("dog", "cat", "eel"))
    with pytest.raises(MemberError, match="another order"):
        check_together([open_member(first), open_member(second)], None)


def test_members_of_different_sizes_can_vote(make_member: MakeMember) -> None:
    first = make_member("a-f0")
    second = make_member("b-f0", size=Size(10, 12))
    check_together([open_member(first), open_member(second)], None)


def test_members_whose_heads_are_called_otherwise_cannot_vote(make_member: MakeMember) -> None:
    first, second = open_member(make_member("a-f0")), open_member(make_member("b-f0"))
    head = replace(second.card.heads[0], name="kind")
    second = replace(second, card=replace(second.card, heads=(head,)))
    with pytest.raises(MemberError, match="called 'kind'"):
        check_together([first, second], None)
