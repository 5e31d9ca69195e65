"""How evaluations are saved is read from its settings, and what would have no effect is refused."""

import math
from typing import Any

import pytest

from ensemble.errors import UsageError
from ensemble.recipe.saving import Saving, check_text, saving_of


def saving(**settings: Any) -> Saving | None:
    """How evaluations are saved with these settings, the others being what nobody said."""
    unsaid = {"early_exit": "off", "confidence": "95%", "calibration": 0, "time_budget": None,
              "evals_per_image": None}  # fmt: skip
    return saving_of(**{**unsaid, **settings})


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, None),
        ({"early_exit": "lossless"}, Saving("lossless", None, 0.95, 0)),
        ({"early_exit": "2%", "confidence": "99%"}, Saving("certified", 0.02, 0.99, 0)),
        ({"early_exit": "2%", "calibration": 50}, Saving("certified", 0.02, 0.95, 50)),
        ({"time_budget": "2h30m"}, Saving("budget", None, 0.95, 0, 9000.0)),
        ({"evals_per_image": 1.5, "calibration": 50}, Saving("budget", None, 0.95, 50, None, 1.5)),
        ({"early_exit": "1%", "time_budget": "45s"}, Saving("budget", 0.01, 0.95, 0, 45.0)),
    ],
)
def test_settings_say_together_how_evaluations_are_saved(
    settings: dict[str, Any], found: Saving | None
) -> None:
    assert saving(**settings) == found


@pytest.mark.parametrize("rule", ["off", "lossless"])
def test_a_confidence_without_a_certificate_is_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="confidence goes with an early exit such as 0.5%"):
        saving(early_exit=rule, confidence="99%")


def test_a_confidence_without_its_percent_sign_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 95%"):
        saving(early_exit="1%", confidence="95")


def test_no_share_of_labels_is_refused_with_the_rules_that_there_are() -> None:
    with pytest.raises(UsageError, match="expected off, lossless or a share such as 0.5%"):
        saving(early_exit="0")


@pytest.mark.parametrize("value", [0.99, math.inf, math.nan, -1])
def test_a_budget_of_evaluations_is_one_an_image_or_more(value: float) -> None:
    with pytest.raises(UsageError, match="evals_per_image is at least 1"):
        saving(evals_per_image=value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calibration": 50}, "calibration goes with an early exit such as 0.5%, or with a budget"),
        ({"calibration": 50, "early_exit": "lossless"}, "calibration goes with an early exit"),
        ({"time_budget": "1h", "evals_per_image": 2.0}, "are two budgets; give one of them"),
        ({"time_budget": "1h", "early_exit": "lossless"}, "early_exit lossless keeps every label"),
        ({"time_budget": "1h", "confidence": "99%"}, "confidence goes with an early exit"),
        ({"early_exit": "1%", "confidence": "49%"}, "confidence '49%': expected 50% or more"),
        ({"evals_per_image": "2"}, "evals_per_image is a number; found '2'"),
        ({"early_exit": 0.01}, "early_exit 0.01: expected a text such as off, lossless or 0.5%"),
        ({"time_budget": 90}, "time_budget 90: expected a text such as 2h30m"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        saving(**settings)


def test_a_setting_that_is_no_text_is_named_with_an_example() -> None:
    assert check_text("2G", "memory", "1G") == "2G"
    with pytest.raises(UsageError, match="^memory 2: expected a text such as 2G$"):
        check_text(2, "memory", "2G")
