"""Weights are used for the families, classes and members that they were tuned for, or refused."""

import pytest

from ensemble.errors import UsageError
from ensemble.voting.decision import Decision
from ensemble.voting.fits import check_families, check_fits
from ensemble.voting.weights import Weights

TUNED = Weights(
    {"ant": 0.41, "bee": 0.59},
    "log-linear",
    decision=Decision(0.24, (0.1, 0.9), (0.5,)),
    classes=("cat", "dog"),
    members={"ant": ("ab", "cd"), "bee": ("ef",)},
)
HERE = {"ant": ["ab", "cd"], "bee": ["ef"]}


def test_weights_fit_what_they_were_tuned_for() -> None:
    check_fits(TUNED, ("cat", "dog"), HERE)


@pytest.mark.parametrize(
    ("classes", "members", "message"),
    [
        (("dog", "cat"), HERE, "tuned for the classes"),
        (("cat", "dog"), {"ant": ["ab", "cd"]}, "no family for bee"),
        (("cat", "dog"), {**HERE, "cow": ["x"]}, "no weight for cow"),
        (("cat", "dog"), {**HERE, "bee": ["other"]}, "other members of bee"),
        (("cat", "dog"), {**HERE, "ant": ["ab"]}, "other members of ant"),
    ],
)
def test_weights_for_something_else_are_refused(
    classes: tuple[str, ...], members: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_fits(TUNED, classes, members)


def test_members_that_nobody_knows_are_taken_on_trust() -> None:
    check_fits(TUNED, ("cat", "dog"), {"ant": (), "bee": ()})


def test_the_order_of_a_familys_members_does_not_matter() -> None:
    check_fits(TUNED, ("cat", "dog"), {"ant": ["cd", "ab"], "bee": ["ef"]})


def test_weights_that_name_no_classes_fit_any() -> None:
    for classes in (("x",), ("cat", "dog", "eel")):
        check_fits(Weights({"ant": 1}), classes, {"ant": ()})


@pytest.mark.parametrize("odd", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_cannot_be_used_is_named_alone(odd: float) -> None:
    with pytest.raises(UsageError) as caught:
        check_families(Weights({"ant": 1, "bee": odd}), ["ant", "bee"])
    told = "weights must be finite, at least 0, and not all 0; found"
    assert str(caught.value) == f"{told} {{'bee': {odd}}}"


def test_what_is_missing_and_what_is_unknown_are_told_together() -> None:
    with pytest.raises(UsageError) as caught:
        check_families(Weights({"ant": 1, "cow": 1}), ["bee", "ant"])
    told = "weights bind by family name: no weight for bee, no family for cow"
    assert str(caught.value) == f"{told}; the families here are ant, bee"
