"""Members vote together where they mean the same, and only there."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from detectors import save_detector
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto
from toys import MakeMember, toy_card

from ensemble.errors import MemberError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.members.card import Card, Head
from ensemble.members.member import Member, open_member
from ensemble.members.together import (
    answers_by_task,
    check_agree,
    check_every_head,
    check_tasks,
    check_together,
    check_voters,
    note_of_single_folds,
)
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


def voter(member: str = "a-f0", /, **change: object) -> tuple[str, Head]:
    """A member's name, and its head with some fields changed."""
    return member, replace(toy_card(member).heads[0], **change)  # type: ignore[arg-type]


def test_heads_that_mean_the_same_agree_whatever_gives_them() -> None:
    check_agree([voter(), voter("b-f0", output="other", activation="none")])


@settings(deadline=None, max_examples=40)
@given(st.permutations(["cat", "dog", "eel", "fox"]))
def test_only_the_same_order_of_classes_agrees(order: list[str]) -> None:
    expected = ("cat", "dog", "eel", "fox")
    same = tuple(order) == expected
    with nullcontext() if same else pytest.raises(MemberError, match="the same classes in another"):
        check_agree([voter(classes=expected), voter("b-f0", classes=tuple(order))])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "multilabel"}, "the task is classification for one and multilabel for the other"),
        ({"name": "age"}, "the other's is called 'age'"),
        ({"classes": ("cat", "dog")},
         r"3 and 2 classes; only in the first: \['eel'\], only in the second: \[\]$"),
        ({"classes": ("cat", "dog", "Eel")}, r"\['eel'\], only in the second: \['Eel'\]$"),
    ],
)  # fmt: skip
def test_what_differs_is_told_with_both_members(change: dict[str, object], message: str) -> None:
    told = f"^members a-f0 and b-f0 cannot vote together on head 'label': .*{message}"
    with pytest.raises(MemberError, match=told):
        check_agree([voter(), voter("b-f0", **change)])


def test_the_third_is_held_against_the_first() -> None:
    with pytest.raises(MemberError, match="members a-f0 and c-f0 cannot"):
        check_agree([voter(), voter("b-f0"), voter("c-f0", task="regression")])


def test_of_many_classes_that_differ_a_few_are_named() -> None:
    first, second = ([f"{name}{n}" for n in range(1000)] for name in "ab")
    with pytest.raises(MemberError, match="1000 and 1000 classes") as caught:
        check_agree([voter(classes=tuple(first)), voter("b-f0", classes=tuple(second))])
    assert len(str(caught.value)) < 300


def test_one_member_agrees_with_itself(make_member: MakeMember) -> None:
    check_together([open_member(make_member())], None)


# ---- names, folds and heads


def opened(make_member: MakeMember, *names: str, **card: object) -> list[Member]:
    """Members of these names, whose cards have some fields changed."""
    found = [open_member(make_member(name)) for name in names]
    return [replace(m, card=replace(m.card, **card)) for m in found]  # type: ignore[arg-type]


def test_two_members_of_one_name_are_refused_by_their_paths(make_member: MakeMember) -> None:
    first, second = opened(make_member, "a-f0", "b-f0")
    second = replace(second, card=replace(second.card, name="a-f0"))
    with pytest.raises(MemberError, match="a-f0.onnx and .*b-f0.onnx are both called a-f0"):
        check_together([first, second], None)


def test_a_fold_of_a_family_is_there_once(make_member: MakeMember) -> None:
    with pytest.raises(MemberError, match="a-f0.onnx and .*b-f0.onnx are both fold 0 of ant"):
        check_together(opened(make_member, "a-f0", "b-f0", family="ant"), None)


def test_members_that_saw_every_row_may_be_many(make_member: MakeMember) -> None:
    check_together(opened(make_member, "a-f0", "b-f0", "c-f0", family="ant", fold=None), None)


def test_a_fold_may_be_there_in_each_family(make_member: MakeMember) -> None:
    check_together(opened(make_member, "a-f0", "b-f0", "a-f1"), None)


AGE = Head("age", "age", "regression", "none", ("years",))


def test_a_head_that_is_not_voted_on_may_differ(make_member: MakeMember) -> None:
    first, second = opened(make_member, "a-f0", "b-f0")
    heads = (*second.card.heads, AGE)
    second = replace(second, card=replace(second.card, heads=heads))
    check_together([first, second], "label")


def test_every_head_is_one_of_every_member(make_member: MakeMember) -> None:
    first, second = opened(make_member, "a-f0", "b-f0")
    check_every_head([first, second])
    more = replace(second, card=replace(second.card, heads=(*second.card.heads, AGE)))
    with pytest.raises(MemberError, match="member a-f0 has no head 'age'; its heads: label"):
        check_every_head([first, more])


def test_heads_may_stand_in_another_order(make_member: MakeMember) -> None:
    first, second = opened(make_member, "a-f0", "b-f0")
    heads = (*first.card.heads, AGE)
    members = [
        replace(m, card=replace(m.card, heads=order))
        for m, order in ((first, heads), (second, heads[::-1]))
    ]
    check_every_head(members)


def test_one_of_several_heads_must_be_named(make_member: MakeMember) -> None:
    (member,) = opened(make_member, "a-f0")
    member = replace(member, card=replace(member.card, heads=(*member.card.heads, AGE)))
    with pytest.raises(MemberError, match="has several heads; its heads: label, age. Name one"):
        check_together([member], None)


def fold_cards(*members: tuple[str, int | None]) -> list[Card]:
    return [replace(toy_card("a-f0"), family=family, fold=fold) for family, fold in members]


PLAIN = (("plain", 0), ("plain", 1), ("plain", 2))


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ([("best_a", None), ("best_b", None)], "beside plain of 3: best_a, best_b"),
        ([("vit", 4)], "beside plain of 3: vit"),
        ([("plain-f16", None)], "beside plain of 3: plain-f16"),
        ([("vit", 0), ("vit", 1), ("epoch=3", 0), ("epoch=9", 1)],
         "beside plain of 3, vit of 2: epoch=3, epoch=9"),
    ],
)  # fmt: skip
def test_single_folds_beside_families_of_several_are_noted(
    others: list[tuple[str, int | None]], named: str
) -> None:
    note = note_of_single_folds(fold_cards(*PLAIN, *others))
    assert note is not None
    assert named in note


def test_families_of_one_member_that_are_each_another_fold_are_noted() -> None:
    """As resnet-fold0-epoch09-0.91.pth and its like are read."""
    names = [(f"resnet-epoch{9 + fold}", fold) for fold in range(5)]
    note = note_of_single_folds(fold_cards(*names))
    assert note is not None
    assert "each another fold: resnet-epoch9 (fold 0), resnet-epoch10 (fold 1), " in note


@pytest.mark.parametrize(
    "members",
    [
        PLAIN,
        (("a", 0), ("b", 1)),
        (("a", 0), ("b", 1), ("c", None)),
        (*PLAIN, ("vit", 0), ("vit", 1)),
        (*PLAIN, ("trained_on_all", None)),
        (("a", 0), ("b", 0), ("c", 1)),
        (("a", None),),
        (),
    ],
)
def test_families_that_are_meant_are_not_noted(members: tuple[tuple[str, int | None], ...]) -> None:
    assert note_of_single_folds(fold_cards(*members)) is None


def test_a_detector_does_not_vote(tmp_path: Path, make_member: MakeMember) -> None:
    check_voters([open_member(make_member("a-f0"))])
    with pytest.raises(MemberError, match="a detector, whose boxes nobody votes on"):
        check_voters([open_member(save_detector(tmp_path))])


YEARS, MASKS = LabelTask("age", ("<30", ">=30"), (30.0,)), LabelTask("mask", ("off", "on"))
PAIRS = LabelMap(
    tuple("0123"), (YEARS, MASKS), tuple((a, m) for a in YEARS.classes for m in MASKS.classes)
)


def answerer(name: str, *heads: tuple[str, tuple[str, ...]]) -> Member:
    card = toy_card(name)
    told = tuple(Head(head, head, "classification", "softmax", classes) for head, classes in heads)
    return Member(Path(f"{name}.onnx"), replace(card, heads=told), name, ModelProto(), None)


def test_members_of_several_tasks_go_together_by_a_label_map() -> None:
    members = [
        answerer("ages-f0", ("age", YEARS.classes)), answerer("masks-f0", ("mask", ("on", "off"))),
    ]  # fmt: skip
    assert check_tasks(members, PAIRS) == []
    cards = [member.card for member in members]
    assert answers_by_task(cards, PAIRS) == {"age": ("ages",), "mask": ("masks",), "label": ()}


def test_heads_that_are_no_task_and_tasks_of_the_label_alone_are_told_of() -> None:
    members = [
        answerer("all-f0", ("label", PAIRS.labels), ("sharp", ("no", "yes"))),
        answerer("masks-f0", ("mask", MASKS.classes)),
    ]
    notes = check_tasks(members, PAIRS)
    assert notes == [
        "member all-f0: its head sharp is no task, and is left out",
        "no family answers age alone: those of the label do",
    ]


def test_members_of_one_family_answer_by_the_same_heads() -> None:
    members = [
        answerer("net-f0", ("age", YEARS.classes), ("mask", MASKS.classes)),
        answerer("net-f1", ("age", YEARS.classes)),
    ]
    with pytest.raises(MemberError, match="net-f0 and net-f1 of family net answer by other heads"):
        check_tasks(members, PAIRS)


def test_twins_are_refused_with_a_label_map_too() -> None:
    twin = answerer("net-f0", ("label", PAIRS.labels))
    with pytest.raises(MemberError, match="both called net-f0"):
        check_tasks([twin, replace(twin, path=Path("other.onnx"))], PAIRS)
