"""A decision rule suits the classes that it is for, or is refused by field."""

import json
from dataclasses import asdict
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.files.fields import Fields
from ensemble.voting.decision import (
    Decision,
    check_decision,
    check_length,
    field_error,
    order_of,
    read_decision,
)
from ensemble.voting.fits import check_fits
from ensemble.voting.weights import Weights

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


CLASSES = ("a", "b", "c")


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(-3, 8)))
def test_the_order_of_classes_puts_their_numbers_in_order(numbers: list[int]) -> None:
    order = order_of([str(n) for n in numbers])
    assert [numbers[place] for place in order] == sorted(numbers)


@pytest.mark.parametrize("name", ["", "1.5", "one", "1e3", "nan", "0x1"])
def test_one_name_that_is_no_whole_number_leaves_the_order_to_the_user(name: str) -> None:
    assert order_of(("1", name, "0")) == ()


def test_no_classes_have_no_order() -> None:
    assert order_of(()) == ()


def test_a_rule_that_says_nothing_suits_any_classes() -> None:
    for classes in ((), ("a",), CLASSES, TEXTUAL):
        check_decision(Decision(), classes, "w.json")


@pytest.mark.parametrize(
    "rule",
    [
        Decision(0.5, (0.2, 0.3, 0.5)),
        Decision(prior=(1.0, 1.0, 1.0)),
        Decision(-0.5, (1e-9, 5.0, 0.5)),
        Decision(cut_points=(0.5, 0.5)),
        Decision(cut_points=(-1.0, 9.0), order=(2, 0, 1)),
        Decision(thresholds=(0.0, 0.5, 1.0)),
    ],
)
def test_a_rule_of_the_right_lengths_suits_its_classes(rule: Decision) -> None:
    check_decision(rule, CLASSES, "w.json")


def test_lengths_are_not_checked_where_nobody_knows_the_classes() -> None:
    check_decision(Decision(0.5, (0.5,), (1.0, 2.0), (0.1,) * 7), (), "w.json")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (Decision(0.5), "decision.prior: expected a share a class, for prior_tau, found ()"),
        (Decision(prior=(1.0, -1.0, 1.0)), "decision.prior: expected shares above 0"),
        (Decision(cut_points=(0.5, float("nan"))), "decision.cut_points: expected cuts that asc"),
        (Decision(order=(0, 1, 3)), "decision.order: expected each class's index once"),
        (Decision(order=(0, 1)), "decision.order: expected 3 of them for 3 classes, found 2"),
        (Decision(thresholds=(0.5,) * 4), "decision.thresholds: expected 3 of them for 3 classes"),
    ],
)
def test_a_refused_rule_is_named_by_file_and_field_with_what_mends_it(
    rule: Decision, told: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_decision(rule, CLASSES, "w.json")
    assert str(caught.value).startswith(f"w.json: {told}")
    assert str(caught.value).endswith(". Tune the weights anew, or mend the field")


def test_the_order_of_numbers_may_be_told_though_it_is_known() -> None:
    check_decision(Decision(cut_points=(0.5, 1.5, 2.5), order=(0, 1, 3, 2)), TEXTUAL, "w.json")


def test_an_order_without_cuts_may_be_any() -> None:
    check_decision(Decision(order=(3, 2, 1, 0)), TEXTUAL, "w.json")


def test_what_was_found_is_cut_short() -> None:
    assert len(str(field_error("w.json", "weights", "a number", "x" * 10_000))) < 500


@pytest.mark.parametrize(("found", "classes"), [(0, 3), (3, 3), (7, 0), (0, 0)])
def test_a_length_is_right_or_not_used_or_not_known(found: int, classes: int) -> None:
    check_length("w.json", "prior", found, 3, classes)


@pytest.mark.parametrize("found", [1, 2, 4])
def test_any_other_length_is_refused(found: int) -> None:
    with pytest.raises(UsageError, match=f"prior: expected 3 of them for 3 classes, found {found}"):
        check_length("w.json", "prior", found, 3, 3)


def test_a_rule_is_read_as_it_is_written() -> None:
    rule = Decision(0.5, (0.25, 0.75), (0.5,), (0.4, 0.6), (1, 0))
    record = json.loads(json.dumps(asdict(rule)))
    assert read_decision(Fields(record, partial(field_error, "w.json"))) == rule


def test_fields_of_a_rule_that_say_nothing_are_not_used() -> None:
    record = {"prior_tau": None, "prior": None, "cut_points": []}
    assert read_decision(Fields(record, partial(field_error, "w.json"))) == Decision()


def test_an_order_of_parts_of_classes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^w.json: order: expected a list of whole numbers"):
        read_decision(Fields({"order": [0.5]}, partial(field_error, "w.json")))
