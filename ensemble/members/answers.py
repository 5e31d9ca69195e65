"""Which tasks of a label map a head answers, and how its columns become the task's classes.

All of it goes by names: a head's classes, in any order, are those of the task, finer ones that are
summed, numbers or a value that are cut, or the labels of the map themselves.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ensemble.errors import MemberError, UsageError, few
from ensemble.files.paths import natural_key
from ensemble.label_map import LABEL, LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.members.card import Head, head_named
from ensemble.records import TASKS


@dataclass(frozen=True, slots=True)
class Answer:
    """What a head says of a task; `task` is None where it says the label itself.

    `columns` has for each class of the task, or each label, the columns of the head that are summed
    for it, in a fixed order; of a value it is the one column that holds it, and of thresholds each
    class but the lowest has one.
    """

    task: str | None
    kind: Literal["classes", "value", "thresholds"]
    columns: tuple[tuple[int, ...], ...]


def answers_of(head: Head, label_map: LabelMap, who: str) -> tuple[Answer, ...]:
    """Return what a head answers: one task or the label; of several values a task each.

    A head is of the task whose name it has; one of another name of the only task whose classes it
    has, or of the label where its classes are the map's labels.

    Args:
        head: The head.
        label_map: The map.
        who: The member or the file, in messages.

    Raises:
        MemberError: classes that are no task's; names those that are missing and unknown.
    """
    if not TASKS[head.task].single and not TASKS[head.task].bounded:
        return _values(head, label_map, who)
    if head.ordinal is not None:
        return (_thresholds(head, label_map, who),)
    if not TASKS[head.task].single:
        raise MemberError(
            f"{who}: head {head.name!r} is {head.task}; a task of a label map has classes or a "
            f"value"
        )
    task = label_map.task(head.name)
    if task is not None:
        return (Answer(task.name, "classes", _columns(head, task, who)),)
    if set(head.classes) == set(label_map.labels):
        return (Answer(None, "classes", _one_to_one(head, label_map.labels)),)
    alike = [task for task in label_map.tasks if set(task.classes) == set(head.classes)]
    if len(alike) == 1:
        return (Answer(alike[0].name, "classes", _one_to_one(head, alike[0].classes)),)
    raise MemberError(_nobody(head, label_map, alike, who))


def answering(
    heads: Sequence[Head], label_map: LabelMap, who: str
) -> tuple[list[tuple[Head, tuple[Answer, ...]]], list[str]]:
    """Return the heads of a member that answer something, and the names of those that do not.

    Raises:
        MemberError: none answers, one is called as a task and does not, or two answer the same.
    """
    found: list[tuple[Head, tuple[Answer, ...]]] = []
    idle: list[str] = []
    fault: MemberError | None = None
    for head in heads:
        try:
            found.append((head, answers_of(head, label_map, who)))
        except MemberError as error:
            if _is_called_as_task(head, label_map):
                raise
            fault, idle = fault or error, [*idle, head.name]
    if not found and fault is not None:
        raise fault
    _check_once([answer.task for _, answers in found for answer in answers], who)
    return found, idle


def _check_once(tasks: Sequence[str | None], who: str) -> None:
    if twice := [task for task, count in Counter(tasks).items() if count > 1]:
        raise MemberError(f"{who}: several heads answer {twice[0] or LABEL}; one may")


def _is_called_as_task(head: Head, label_map: LabelMap) -> bool:
    """Tell whether a head, or a value of it, has the name of a task, which it must answer then."""
    values = () if TASKS[head.task].bounded else head.classes
    return any(label_map.task(name) for name in (head.name, *values))


def heads_read(
    heads: Sequence[Head], head: str | None, label_map: LabelMap | None, who: str
) -> list[Head]:
    """Return the heads of a member that are read: the one that is named, or all that answer.

    Raises:
        MemberError: no such head, or none that answers.
    """
    if label_map is not None:
        return [each for each, _ in answering(heads, label_map, who)[0]]
    return [head_named(heads, head, who)]


def check_answered(tasks: Collection[str | None], label_map: LabelMap) -> None:
    """Check that each task is answered, by a head of its own or of the label.

    Raises:
        UsageError: one is not; names it.
    """
    lacking = [name for name in label_map.names if name not in tasks]
    if lacking and None not in tasks:
        raise UsageError(
            f"label map: no member answers the task {few(lacking)}, and none the label: a head is "
            f"called as its task. Answered: {few(sorted(map(str, tasks))) or 'none'}"
        )


def _thresholds(head: Head, label_map: LabelMap, who: str) -> Answer:
    """Return the task whose ordered classes, but the lowest, a head has thresholds of."""
    task = label_map.task(head.name)
    if task is None or set(head.classes) != set(task.classes[1:]):
        known = "no task" if task is None else f"the task of {few(task.classes)}"
        raise MemberError(
            f"{who}: head {head.name!r} has thresholds of {few(head.classes)}, and is {known} of "
            f"the label map: it is called as its task, and has each class but the lowest"
        )
    return Answer(task.name, "thresholds", _one_to_one(head, task.classes[1:]))


def _values(head: Head, label_map: LabelMap, who: str) -> tuple[Answer, ...]:
    """Return the tasks whose values a regression gives, by the names of its targets."""
    found = []
    for place, target in enumerate(head.classes):
        task = label_map.task(target) or (
            label_map.task(head.name) if len(head.classes) == 1 else None
        )
        if task is None:
            raise MemberError(
                f"{who}: the value {target!r} of head {head.name!r} is no task of the label map: "
                f"{few(label_map.names)}"
            )
        if not task.cuts:
            raise MemberError(
                f"{who}: head {head.name!r} gives values of {task.name}, and where its classes are "
                f"cut is not known: declare it, --tasks '{task.name} = {{cuts = [...]}}'"
            )
        found.append(Answer(task.name, "value", ((place,),)))
    return tuple(found)


def _columns(head: Head, task: LabelTask, who: str) -> tuple[tuple[int, ...], ...]:
    """Return the columns of a head for each class of its task: itself, or finer ones."""
    target = {name: task.class_of(name) for name in head.classes}
    if {*target.values()} != {*task.classes}:
        raise MemberError(_other_classes(head, task, target, who))
    columns: dict[str | None, list[int]] = {name: [] for name in task.classes}
    for place, name in sorted(enumerate(head.classes), key=lambda each: natural_key(each[1])):
        columns[target[name]].append(place)
    return tuple(map(tuple, columns.values()))


def _other_classes(head: Head, task: LabelTask, target: Mapping[str, str | None], who: str) -> str:
    """Say how the classes of a head are not those of its task, which they were read as."""
    unknown = [name for name in head.classes if target[name] is None]
    missing = [name for name in task.classes if name not in target.values()]
    found = {"no task class for": unknown, "no column for": missing}
    told = "; ".join(f"{what} {few(names)}" for what, names in found.items() if names)
    return (
        f"{who}: head {head.name!r} answers the task {task.name}, whose classes are "
        f"{few(task.classes)}: {told}. Finer classes are declared, --tasks "
        f'\'{task.name} = {{merge = {{"finer" = "class"}}}}\''
    )


def _one_to_one(head: Head, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    return tuple((head.classes.index(name),) for name in names)


def _nobody(head: Head, label_map: LabelMap, alike: Sequence[LabelTask], who: str) -> str:
    """Say why a head answers nothing."""
    if alike:
        return (
            f"{who}: head {head.name!r} has the classes of several tasks, "
            f"{few([task.name for task in alike])}: a head is called as its task (--output-name)"
        )
    missing = sorted(set(label_map.labels) - set(head.classes), key=natural_key)
    unknown = sorted(set(head.classes) - set(label_map.labels), key=natural_key)
    return (
        f"{who}: head {head.name!r} is no task of the label map ({few(label_map.names)}), and its "
        f"{len(head.classes)} classes are not the {len(label_map.labels)} of {LABEL}: "
        f"missing {few(missing) or 'none'}, unknown {few(unknown) or 'none'}"
    )
