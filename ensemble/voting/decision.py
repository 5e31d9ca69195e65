"""The decision rule: what turns pooled probabilities into labels, and whether it suits classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ensemble.errors import UsageError, few
from ensemble.files.fields import Fields

_NO_RULE: Final = {"prior_tau": 0.0, "prior": [], "cut_points": [], "thresholds": [], "order": []}


@dataclass(frozen=True, slots=True)
class Decision:
    """What turns probabilities into labels: the argmax of p_c / π_c^τ, or cuts of the mean class.

    `prior` has a share a class, and `cut_points` C - 1 places; `order` has the indices of the
    classes that they cut, the lowest first, and is empty where they stand so already. `thresholds`
    has one a label of a multilabel head, from which on it is given. Empty where not used.
    """

    prior_tau: float = 0.0
    prior: tuple[float, ...] = ()
    cut_points: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    order: tuple[int, ...] = ()


def read_decision(fields: Fields) -> Decision:
    """Read the rule that the fields tell; what says nothing is not used.

    Raises:
        EnsembleError: a field is not what it should be; the error is of the fields' kind.
    """
    fields = fields.where_empty(_NO_RULE)
    order = fields.numbers("order")
    if any(number != int(number) for number in order):
        raise fields.bad("order", "a list of whole numbers", list(order))
    return Decision(
        prior_tau=fields.number("prior_tau"),
        prior=fields.numbers("prior"),
        cut_points=fields.numbers("cut_points"),
        thresholds=fields.numbers("thresholds"),
        order=tuple(map(int, order)),
    )


def order_of(classes: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of classes from the lowest number to the highest.

    Empty where some name is no whole number: then nobody but the user knows their order.
    """
    try:
        numbers = [int(name) for name in classes]
    except ValueError:
        return ()
    return tuple(sorted(range(len(numbers)), key=numbers.__getitem__))


def check_decision(rule: Decision, classes: Sequence[str], where: str) -> None:
    """Check that a rule can be applied to classes.

    Args:
        rule: The rule.
        classes: The classes of the head, in order; empty where nobody knows them yet.
        where: The file, in messages.

    Raises:
        UsageError: a field has another length, or values that it cannot have; names it.
    """
    count = len(classes)
    check_length(where, "decision.prior", len(rule.prior), count, count)
    check_length(where, "decision.cut_points", len(rule.cut_points), count - 1, count)
    check_length(where, "decision.thresholds", len(rule.thresholds), count, count)
    check_length(where, "decision.order", len(rule.order), count, count)
    if rule.prior_tau and not rule.prior:
        raise field_error(where, "decision.prior", "a share a class, for prior_tau", rule.prior)
    if not all(share > 0 for share in rule.prior):
        raise field_error(where, "decision.prior", "shares above 0", rule.prior)
    if not all(a <= b for a, b in pairwise(rule.cut_points)):
        raise field_error(where, "decision.cut_points", "cuts that ascend", rule.cut_points)
    _check_order(rule, classes, where)


def check_length(where: str, name: str, found: int, expected: int, classes: int) -> None:
    """Check that a field, where it is used, has as many values as so many classes need.

    Raises:
        UsageError: it has another number.
    """
    if classes and found and found != expected:
        raise field_error(where, name, f"{expected} of them for {classes} classes", found)


def field_error(where: str, name: str, expected: str, found: object) -> UsageError:
    """Return the error of a field that is not what it should be."""
    fault = f"{where}: {name}: expected {expected}, found {found!r}"[:400]
    return UsageError(f"{fault}. Tune the weights anew, or mend the field")


def _check_order(rule: Decision, classes: Sequence[str], where: str) -> None:
    """Check that cut points cut the classes in their order, which numbers in their names tell."""
    if sorted(rule.order) != list(range(len(rule.order))):
        raise field_error(where, "decision.order", "each class's index once", rule.order)
    order, numbered = rule.order or tuple(range(len(classes))), order_of(classes)
    if rule.cut_points and numbered and order != numbered:
        named = [classes[place] for place in numbered]
        raise field_error(where, "decision.order", f"that of the numbers {few(named)}", rule.order)
