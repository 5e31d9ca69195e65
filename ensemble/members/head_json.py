"""A head of a card, read from its fields: classes, activation, thresholds, boxes."""

import re
from collections import Counter
from typing import Final, get_args

from ensemble.files.fields import Fields
from ensemble.members.card import BoxOutput, Head
from ensemble.records import TASKS, Activation, BoxScale, Ordinal, Task

_FIELDS: Final = ("name", "output", "task", "activation", "classes", "boxes", "ordinal")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_BOXES: Final = 10_000


def read_head(fields: Fields) -> Head:
    """Read a head with every field checked.

    Raises:
        EnsembleError: a field is not what it should be; the error is of the fields' kind.
    """
    fields.only(_FIELDS)
    classes = _classes(fields)
    task: Task = fields.choice("task", get_args(Task))
    if len(classes) < TASKS[task].least:
        expected = "two or more (one output is multilabel, or a regression)"
        raise fields.bad("classes", expected, list(classes))
    activation: Activation = fields.choice("activation", get_args(Activation))
    if activation not in TASKS[task].activations:
        raise fields.bad("activation", f"one that suits {task}", activation)
    boxes, ordinal = _boxes(fields, task, classes), _ordinal(fields, task)
    name, output = fields.text("name"), fields.text("output")
    return Head(name, output, task, activation, classes, boxes, ordinal)


def _ordinal(fields: Fields, task: Task) -> Ordinal | None:
    if fields.record.get("ordinal") is None:
        return None
    if not TASKS[task].several:
        raise fields.bad("ordinal", "thresholds, of a multilabel head", task)
    return fields.choice("ordinal", get_args(Ordinal))


def _boxes(fields: Fields, task: Task, classes: tuple[str, ...]) -> BoxOutput | None:
    """Read how a detector gives its boxes; other heads say nothing of them."""
    if task != "boxes" and "boxes" not in fields.record:
        return None
    if task != "boxes":
        raise fields.bad("boxes", "none, unless the task is boxes", fields.record["boxes"])
    if len(classes) > 1:
        raise fields.bad("classes", "one, what the boxes hold", list(classes))
    told = fields.inner("boxes")
    told.only(("scores", "count", "scale"))
    return BoxOutput(
        told.text("scores"),
        told.whole("count", f"a whole number from 1 to {_MAX_BOXES}", 1, _MAX_BOXES),
        told.choice("scale", get_args(BoxScale)),
    )


def _classes(fields: Fields) -> tuple[str, ...]:
    given = fields.list("classes")
    names = [name for name in given if isinstance(name, str) and name and not _CONTROL.search(name)]
    if not names or len(names) < len(given):
        raise fields.bad("classes", "a list of names without control characters", given)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise fields.bad("classes", "names that differ", twice)
    return tuple(names)
