"""Whether members may vote together: the same heads, classes in the same order."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ensemble.errors import MemberError, few
from ensemble.label_map import LABEL, LabelMap
from ensemble.members.answers import answering, check_answered
from ensemble.members.card import Card, Head
from ensemble.members.member import Member

_ONE_NET = 3
"""From so many families of one member on, each of another fold, they may be one net's folds."""


def check_every_head(members: Sequence[Member]) -> None:
    """Check that members can vote together on every head that any of them has.

    Raises:
        MemberError: as `check_together`, or a member lacks a head of another.
    """
    for name in dict.fromkeys(head.name for member in members for head in member.card.heads):
        check_together(members, name)


def check_voters(members: Sequence[Member]) -> None:
    """Check that members predict something to vote on, and no boxes.

    Raises:
        MemberError: a detector among them.
    """
    for member in members:
        if member.card.finds_boxes:
            raise MemberError(
                f"{member.path}: a detector, whose boxes nobody votes on. Run it by `ensemble "
                f"crops --members {member.path}`, and the others with the --crops that it writes"
            )


def check_together(members: Sequence[Member], head: str | None) -> None:
    """Check that members can vote together on a head: one task, one list of classes.

    Raises:
        MemberError: two members share a name, a family holds a fold twice, or they disagree.
    """
    _check_apart(members)
    check_agree([(member.card.name, member.card.head(head)) for member in members])


def check_tasks(members: Sequence[Member], label_map: LabelMap) -> list[str]:
    """Check that members can answer the tasks of a label map together; return what is to be said.

    That are heads which answer nothing, and tasks that the label alone answers.

    Raises:
        MemberError: as `check_together`; a member that answers nothing, or members of one family
            that answer other tasks or by other classes.
        UsageError: a task that nobody answers.
    """
    _check_apart(members)
    notes: list[str] = []
    first: dict[str, tuple[str, list[tuple[object, ...]]]] = {}  # member of each family
    answered: set[str | None] = set()
    for card in (member.card for member in members):
        heads, idle = answering(card.heads, label_map, f"member {card.name}")
        _check_family(card, [head for head, _ in heads], first)
        answered |= {answer.task for _, answers in heads for answer in answers}
        if idle:
            notes.append(f"member {card.name}: its head {few(idle)} is no task, and is left out")
    check_answered(answered, label_map)
    if lacking := [name for name in label_map.names if name not in answered]:
        notes.append(f"no family answers {few(lacking)} alone: those of the label do")
    return notes


def _check_family(
    card: Card, heads: Sequence[Head], first: dict[str, tuple[str, list[tuple[object, ...]]]]
) -> None:
    """Check that a member answers by the heads of its family's first, which is held there."""
    meanings = sorted(map(_meaning, heads), key=str)
    twin, others = first.setdefault(card.family, (card.name, meanings))
    if meanings != others:
        raise MemberError(
            f"members {twin} and {card.name} of family {card.family} answer by other heads"
        )


def answers_by_task(cards: Sequence[Card], label_map: LabelMap) -> dict[str, tuple[str, ...]]:
    """Return the families that answer each task, and the label, each once and by name."""
    found: dict[str, set[str]] = {name: set() for name in (*label_map.names, LABEL)}
    for card in cards:
        for _, answers in answering(card.heads, label_map, f"member {card.name}")[0]:
            for answer in answers:
                found[answer.task or LABEL].add(card.family)
    return {name: tuple(sorted(families)) for name, families in found.items()}


def _check_apart(members: Sequence[Member]) -> None:
    """Check that no two members are called alike, or are the same fold of a family."""
    names: dict[str, Member] = {}
    folds: dict[tuple[str, int | None], Member] = {}
    for member in members:
        card = member.card
        twin = names.setdefault(card.name, member)
        if twin is not member:
            raise MemberError(f"{twin.path} and {member.path} are both called {card.name}")
        twin = folds.setdefault((card.family, card.fold), member)
        if twin is not member and card.fold is not None:
            raise MemberError(
                f"{twin.path} and {member.path} are both fold {card.fold} of {card.family}"
            )


def note_of_single_folds(cards: Sequence[Card]) -> str | None:
    """Return a note on families of one member that look like folds whose names were misread.

    Beside families of several members these are: two or more such families, one whose member has a
    fold, and one that is called as another family and something more. Where no family has several,
    they are three or more, each of another fold. None where there is no such.
    """
    count = Counter(card.family for card in cards)
    several = {family: number for family, number in count.items() if number > 1}
    single = [card for card in cards if card.family not in several]
    return _note_beside(several, single) if several else _note_of_singles(single)


def _note_of_singles(single: Sequence[Card]) -> str | None:
    """Return a note on families of one member each, where they may be the folds of one net."""
    folds = {card.fold for card in single}
    if len(single) < _ONE_NET or len(folds) < len(single) or None in folds:
        return None
    named = few([f"{card.family} (fold {card.fold})" for card in single])
    return (
        f"each family has one member, and each another fold: {named}. Should they be folds of one "
        f"net, give --family and --fold when they are exported"
    )


def _note_beside(several: Mapping[str, int], single: Sequence[Card]) -> str | None:
    """Return a note on families of one member beside others, where they may be folds of these."""
    if len(single) < 2 and not any(_is_odd(card, several) for card in single):
        return None
    beside = few([f"{family} of {number}" for family, number in several.items()])
    named = few([card.family for card in single])
    return (
        f"families of one member beside {beside}: {named}. Should they be folds of one net, its "
        f"weight is wrong by their number: give --family and --fold when they are exported"
    )


def _is_odd(card: Card, several: Iterable[str]) -> bool:
    longer = tuple(family + separator for family in several for separator in "-_. ")
    return card.fold is not None or card.family.startswith(longer)


def check_agree(voters: Sequence[tuple[str, Head]]) -> None:
    """Check that the heads of members, given with the members' names, mean the same.

    Raises:
        MemberError: they have different names, tasks or classes, or other orders of classes.
    """
    first, expected = voters[0]
    for name, found in voters:
        if _meaning(found) != _meaning(expected):
            raise MemberError(
                f"members {first} and {name} cannot vote together on head {expected.name!r}: "
                f"{_difference(expected, found)}"
            )


def _meaning(head: Head) -> tuple[object, ...]:
    """Return what heads that vote together have in common; outputs may be called otherwise."""
    return head.name, head.task, head.classes, head.ordinal


def _difference(expected: Head, found: Head) -> str:
    if expected.name != found.name:
        return f"the other's is called {found.name!r}"
    if expected.ordinal != found.ordinal:
        return f"the thresholds are {expected.ordinal} for one and {found.ordinal} for the other"
    if expected.task != found.task:
        return f"the task is {expected.task} for one and {found.task} for the other"
    if sorted(expected.classes) == sorted(found.classes):
        return "the same classes in another order"
    only_first = sorted(set(expected.classes) - set(found.classes))[:5]
    only_second = sorted(set(found.classes) - set(expected.classes))[:5]
    return (
        f"{len(expected.classes)} and {len(found.classes)} classes; only in the first: "
        f"{only_first}, only in the second: {only_second}"
    )
