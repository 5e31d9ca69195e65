"""The tasks of a label map: their classes and their order, cuts of values, and what is merged.

Bounds that the names of classes tell are read from them: <30, 30-59 and >=60 are cut at 30 and 60.
"""

import math
import re
import tomllib
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ensemble.errors import EnsembleError, UsageError, few
from ensemble.files.fields import Fields, fields_of
from ensemble.files.paths import natural_key

_DECLARED: Final = ("classes", "cuts", "spread", "merge")

_INFINITE: Final = float("inf")
_NUMBER: Final = r"\s*(-?[0-9]+(?:\.[0-9]+)?)\s*"
_BELOW: Final = re.compile(rf"\s*<{_NUMBER}")
_FROM: Final = re.compile(rf"\s*(?:>=|≥){_NUMBER}|{_NUMBER}\+\s*")
_BETWEEN: Final = re.compile(rf"{_NUMBER}-{_NUMBER}|\s*\[{_NUMBER},{_NUMBER}\)\s*")


@dataclass(frozen=True, slots=True)
class LabelTask:
    """A task of a label map.

    `classes` are in order, where they have one: the lowest first. `cuts`, one fewer, tell which
    values are of which class: class k holds cuts[k-1] <= value < cuts[k]; empty where the task has
    no values. `spread` is the standard deviation of the error of a value, in its unit; None where
    out-of-fold values are to tell it, or a value is cut hard. `merge` leads from finer classes,
    which some head may have, to these.
    """

    name: str
    classes: tuple[str, ...]
    cuts: tuple[float, ...] = ()
    spread: float | None = None
    merge: tuple[tuple[str, str], ...] = ()

    def class_of(self, name: str) -> str | None:
        """Return the class that a name says: itself, what it is merged into, or where it is cut.

        One rule for the classes of a head and the cells of a truth: what is declared of a name goes
        before what it is as a number. None where it says no class.
        """
        if name in self.classes:
            return name
        if (merged := dict(self.merge).get(name)) is not None:
            return merged
        try:
            value = float(name)
        except ValueError:
            return None
        if not self.cuts or not math.isfinite(value):
            return None
        return self.classes[bisect_right(self.cuts, value)]


def declared_tasks(columns: Mapping[str, set[str]], text: str) -> tuple[LabelTask, ...]:
    """Return the tasks of the columns, with what the text declares of them."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"tasks {text!r}: not TOML such as age = {{cuts = [30, 60]}}: {error}"
        ) from error
    if beyond := sorted(set(told) - set(columns)):
        raise UsageError(
            f"tasks: the label map has no column {beyond[0]!r}; its tasks: {few(sorted(columns))}"
        )
    return tuple(_made(name, columns[name], told.get(name, {})) for name in columns)


def _made(name: str, there: set[str], declared: object) -> LabelTask:
    """Return a task of the classes that are there, as it is declared."""
    fields = fields_of(declared, f"tasks.{name}", _fault, f"tasks.{name}.")
    fields.only(_DECLARED)
    classes, cuts = _ordered(fields, there)
    task = LabelTask(name, classes, cuts, _spread(fields), _merge(fields, there))
    _check_cuts(fields, task)
    return task


def _ordered(fields: Fields, there: set[str]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the classes in order and their cuts: as declared, else as their names tell."""
    said = fields.texts("classes") if "classes" in fields.record else ()
    cuts = _declared_cuts(fields)
    told, known = cuts_of_names(tuple(there)) or ((), ())
    if said:
        _check_order(fields, said, told, there)
    elif cuts and not told:
        raise fields.bad("classes", "the classes in the order of the cuts, the lowest first", None)
    return said or told or tuple(sorted(there, key=natural_key)), cuts or known


def _declared_cuts(fields: Fields) -> tuple[float, ...]:
    """Return the cuts that are declared; none where there is nothing of them."""
    if "cuts" not in fields.record:
        return ()
    cuts = fields.numbers("cuts")
    if not cuts:
        raise fields.bad("cuts", "a number or more, or no cuts at all: then names tell them", cuts)
    return cuts


def _check_order(
    fields: Fields, said: tuple[str, ...], told: tuple[str, ...], there: set[str]
) -> None:
    """Check that declared classes are those that are there, in the order that names tell."""
    if sorted(said) != sorted(there):
        raise fields.bad("classes", f"the label map's, each once: {few(sorted(there))}", said)
    if told and said != told:
        raise fields.bad("classes", f"the order that their names tell: {few(told)}", said)


def read_task(fields: Fields, name: str) -> LabelTask:
    """Read a task as `to_record` wrote it."""
    said = {k: v for k, v in fields.record.items() if v not in (None, [], {})}
    read = Fields(said, fields.fault, fields.at)
    classes = read.texts("classes")
    cuts = read.numbers("cuts") if "cuts" in said else ()
    task = LabelTask(name, classes, cuts, _spread(read), _merge(read, set(classes)))
    _check_cuts(read, task)
    return task


def _merge(fields: Fields, there: set[str]) -> tuple[tuple[str, str], ...]:
    """Read what leads from finer classes to those that are there."""
    if "merge" not in fields.record:
        return ()
    inner = fields.inner("merge")
    found = {fine: inner.text(fine) for fine in inner.record}
    if odd := sorted(set(found.values()) - there):
        raise inner.bad(
            next(fine for fine in found if found[fine] == odd[0]),
            f"a class of the label map: {few(sorted(there))}",
            odd[0],
        )
    return tuple(sorted(found.items()))


def _spread(fields: Fields) -> float | None:
    """Read a spread; "tuned" is what weights tell."""
    if fields.record.get("spread") in (None, "tuned"):
        return None
    found = fields.number("spread")
    if not 0 < found < math.inf:
        raise fields.bad("spread", 'a number above 0, or "tuned"', found)
    return found


def _check_cuts(fields: Fields, task: LabelTask) -> None:
    twice = [name for name, count in Counter(task.classes).items() if count > 1]
    if twice:
        raise fields.bad("classes", "each class once", twice[0])
    if not task.cuts:
        if task.spread is not None:
            raise fields.bad("spread", "cuts too, which a value of the task is cut at", task.spread)
        return
    if len(task.cuts) != len(task.classes) - 1:
        raise fields.bad(
            "cuts", f"{len(task.classes) - 1} for {len(task.classes)} classes", task.cuts
        )
    if not all(a < b for a, b in pairwise(task.cuts)):
        raise fields.bad("cuts", "cuts that ascend", task.cuts)


def _fault(name: str, expected: str, found: object) -> EnsembleError:
    return UsageError(f"{name}: expected {expected}, found {found!r}"[:400])


def cuts_of_names(names: Sequence[str]) -> tuple[tuple[str, ...], tuple[float, ...]] | None:
    """Return classes from the lowest, and the values that part them, where their names tell.

    One is `<a`, one `>=b` (or `b+`), those between `a-b` in whole numbers or `[a, b)`. A class
    begins at its own lower bound, where the one below must end: 30-59 ends before 60.

    Args:
        names: The classes, two or more, in any order.

    Returns:
        The classes in order and their C - 1 cuts; None where a name is of another kind, or the
        bounds leave a gap or overlap.
    """
    found = sorted(filter(None, map(_bounds, names)))
    if len(found) != len(names) or len(names) < 2:
        return None
    lowest, highest = found[0], found[-1]
    if lowest[0] != -_INFINITE or highest[1] != _INFINITE:
        return None
    if not all(end == start for (_, end, _), (start, _, _) in pairwise(found)):
        return None
    return tuple(name for _, _, name in found), tuple(start for start, _, _ in found[1:])


def _bounds(name: str) -> tuple[float, float, str] | None:
    """Return where a class begins and ends, and its name."""
    if found := _BELOW.fullmatch(name):
        return -_INFINITE, float(found[1]), name
    if found := _FROM.fullmatch(name):
        return float(found[1] or found[2]), _INFINITE, name
    if found := _BETWEEN.fullmatch(name):
        if found[3]:
            return float(found[3]), float(found[4]), name
        return float(found[1]), float(found[2]) + 1, name  # 30-59 of whole numbers ends at 60
    return None
