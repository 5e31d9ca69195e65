"""A decision rule suits the classes that it is for, or is refused by field."""

import pytest

from ensemble.errors import UsageError
from ensemble.voting.decision import Decision, order_of
from ensemble.voting.weights import Weights, check_fits

TEXTUAL = ("0", "1", "10", "2")


def test_classes_that_are_numbers_have_an_order_and_names_have_none() -> None:
    assert order_of(TEXTUAL) == (0, 1, 3, 2)
    assert order_of(("-1", "1", "0")) == (0, 2, 1)
    assert order_of(("low", "1")) == ()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Decision(0.5, (0.5, 0.5)), "weights: decision.prior: expected 3 of them .*, found 2"),
        (Decision(0.5, (0.4, 0.6, 0.0)), "decision.prior: expected shares above 0"),
        (Decision(0.5, (0.4, 0.6, float("nan"))), "decision.prior: expected shares above 0"),
        (Decision(cut_points=(0.5,)), "decision.cut_points: expected 2 of them"),
        (Decision(cut_points=(0.5, 0.2)), "decision.cut_points: expected cuts that ascend"),
        (Decision(thresholds=(0.5,)), "decision.thresholds: expected 3 of them"),
    ],
)
def test_a_rule_that_does_not_suit_the_classes_here_is_refused(
    rule: Decision, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_fits(Weights({"ant": 1}, decision=rule), ("a", "b", "c"), {"ant": ()})


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((), "decision.order: expected that of the numbers 0, 1, 2, 10"),
        ((0, 1, 2, 2), "decision.order"),
    ],
)
def test_cut_points_of_classes_in_another_order_are_refused(
    order: tuple[int, ...], message: str
) -> None:
    rule = Decision(cut_points=(0.5, 1.5, 2.5), order=order)
    with pytest.raises(UsageError, match=message):
        check_fits(Weights({"ant": 1}, decision=rule), TEXTUAL, {"ant": ()})


def test_cut_points_in_the_order_of_the_numbers_fit() -> None:
    rule = Decision(cut_points=(0.5, 1.5, 2.5), order=(0, 1, 3, 2))
    check_fits(Weights({"ant": 1}, decision=rule), TEXTUAL, {"ant": ()})
    check_fits(Weights({"ant": 1}, decision=Decision(cut_points=(0.5,))), ("lo", "hi"), {"ant": ()})
