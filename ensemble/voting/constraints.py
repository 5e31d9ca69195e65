"""Linear constraints of a regression: values moved as little as it takes to fulfil them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pooled, Vector
from ensemble.errors import UsageError, few
from ensemble.records import TASKS, Task

_SIGN: Final = re.compile(r"\s*([+-])\s*")
_NUMBER: Final = re.compile(r"(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*(\*?)\s*")
_WORD: Final = re.compile(r"[^\s+*=-]+|.")

_CONSTANT: Final = ""
"""What stands for the name where a term is a number alone."""

_SAME: Final = 1e-9
"""Equations whose sides differ by less, in all, are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """The values that fulfil all constraints: A x = b.

    `texts` are the K constraints as they were written, `matrix` is A (K, T) over the targets, and
    `offsets` are b (K,).
    """

    texts: tuple[str, ...]
    matrix: NDArray[np.float64]
    offsets: Vector

    def residuals(self, values: Pooled) -> Pooled:
        """Return by how much values (N, T) are off each constraint, float64 (N, K)."""
        return np.asarray(values @ self.matrix.T - self.offsets, np.float64)

    def project(self, values: Pooled) -> Pooled:
        """Return the nearest values that fulfil all constraints, float64 (N, T), of (N, T)."""
        away = self.residuals(values)
        return np.asarray(values - away @ np.linalg.pinv(self.matrix).T, np.float64)


@dataclass(frozen=True, slots=True)
class Residual:
    """By how much predictions were off a constraint: the largest of the rows, and their mean."""

    largest: float
    mean: float


def subspace_of(texts: Sequence[str], targets: Sequence[str]) -> Subspace:
    """Return the values that fulfil constraints such as `total = a + 2 * b - 0.5`.

    Constraints that follow from others are allowed.

    Args:
        texts: A target, `=`, and a signed sum of targets, with numbers before them or alone.
        targets: The T names of the targets, in order.

    Raises:
        UsageError: a text that is no constraint, a name that is no target, or a constraint that no
            values fulfil together with those before it.
    """
    rows, offsets = np.zeros((len(texts), len(targets))), np.zeros(len(texts))
    for number, text in enumerate(texts):
        left, right = sides_of(text)
        if left not in targets:
            raise _unknown(text, left, targets)
        rows[number, targets.index(left)] = 1
        for name, factor in _terms(text, right, targets):
            if name == _CONSTANT:
                offsets[number] += factor
            else:
                rows[number, targets.index(name)] -= factor
        _check_consistent(texts, rows, offsets, number)
    return Subspace(tuple(texts), rows, offsets)


def sides_of(text: str) -> tuple[str, str]:
    """Return the target and the sum of a constraint.

    Raises:
        UsageError: the text has not one `=` with something on either side.
    """
    left, mark, right = (part.strip() for part in text.partition("="))
    if not (left and mark and right) or "=" in right:
        raise UsageError(f"constraint {text!r}: expected such as 'total = a + b'")
    return left, right


def check_constraints(texts: Sequence[str], task: Task, targets: Sequence[str]) -> None:
    """Check that constraints have a meaning for what is predicted, before any work.

    Raises:
        UsageError: no regression; or as for `subspace_of`.
    """
    if texts and TASKS[task].bounded:
        raise UsageError(f"constraints are for values of a regression; this head is {task}")
    subspace_of(texts, targets)


def constrained(
    values: Pooled, texts: Sequence[str], targets: Sequence[str]
) -> tuple[Pooled, dict[str, Residual]]:
    """Return values (N, T) that fulfil constraints, and by how much each was off before."""
    subspace = subspace_of(texts, targets)
    away = np.abs(subspace.residuals(values))
    rows = len(values) > 0
    found = {
        text: Residual(float(column.max()) if rows else 0.0, float(column.mean()) if rows else 0.0)
        for text, column in zip(texts, away.T, strict=True)
    }
    return subspace.project(values), found


def joined_residuals(parts: Sequence[tuple[int, Mapping[str, Residual]]]) -> dict[str, Residual]:
    """Return by how much all rows were off, of parts of so many rows."""
    rows = sum(count for count, _ in parts)
    if len(parts) == 1 or not rows:
        return dict(parts[0][1]) if parts else {}
    return {
        text: Residual(
            max(found[text].largest for _, found in parts),
            sum(count * found[text].mean for count, found in parts) / rows,
        )
        for text in parts[0][1]
    }


def describe_residuals(found: Mapping[str, Residual]) -> str:
    """Say by how much predictions were off constraints, in words."""
    told = [f"{text} by {each.mean:.3g} on average, {each.largest:.3g} at most"
            for text, each in found.items()]  # fmt: skip
    return f"before they were made to fulfil the constraints, values were off {'; '.join(told)}"


def _terms(text: str, right: str, targets: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield the name and the factor of each term of a sum; a number alone has no name."""
    at = 0
    while at < len(right):
        sign = _SIGN.match(right, at)
        if sign is None and at:
            raise _unread(text, right[at:])
        name, factor, at = _term(text, right, sign.end() if sign else at, targets)
        yield name, -factor if sign and sign[1] == "-" else factor


def _term(text: str, right: str, at: int, targets: Sequence[str]) -> tuple[str, float, int]:
    """Read a term without its sign: its name, its factor, and where the next begins."""
    name, factor = _target_at(right, at, targets), 1.0
    number = None if name else _NUMBER.match(right, at)
    if number is not None:
        at, factor = number.end(), float(number[1])
        name = _target_at(right, at, targets)
    if name is None and (number is None or number[2]):
        raise _unknown(text, _word_at(right, at), targets)
    name = name or _CONSTANT
    after = right[at + len(name) :]
    return name, factor, len(right) - len(after.lstrip())


def _word_at(right: str, at: int) -> str:
    found = _WORD.match(right, at)
    return found[0] if found else ""


def _target_at(right: str, at: int, targets: Sequence[str]) -> str | None:
    """Return the longest target that stands at a place, and does not go on there."""
    there = [name for name in targets if right.startswith(name, at)]
    for name in sorted(there, key=len, reverse=True):
        rest = right[at + len(name) :]
        if not (rest[:1].isalnum() or rest[:1] in ("_", ".")) or not name[-1].isalnum():
            return name
    return None


def _unknown(text: str, found: str, targets: Sequence[str]) -> UsageError:
    what = repr(found) if found else "nothing"
    return UsageError(
        f"constraint {text!r}: expected a target, one of {few(targets)}; found {what}"
    )


def _unread(text: str, rest: str) -> UsageError:
    return UsageError(
        f"constraint {text!r}: expected + or - between two terms; found {rest[:20]!r}"
    )


def _check_consistent(
    texts: Sequence[str], rows: NDArray[np.float64], offsets: Vector, number: int
) -> None:
    """Refuse a constraint that contradicts those before it, which it names."""
    before, here = rows[:number], rows[number]
    made = np.linalg.pinv(before.T) @ here if number else np.zeros(0)
    if np.abs(made @ before - here).max(initial=0.0) > _SAME * max(1.0, np.abs(here).max()):
        return
    off = float(offsets[number] - made @ offsets[:number])
    if abs(off) <= _SAME * max(1.0, abs(float(offsets[number]))):
        return
    others = [text for text, part in zip(texts, made.tolist(), strict=False) if abs(part) > _SAME]
    beside = f" beside {', '.join(map(repr, others))}" if others else ""
    raise UsageError(f"constraint {texts[number]!r}: no values fulfil it{beside}; leave one out")
