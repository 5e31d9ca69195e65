"""Errors of torch are told in a line or two, and by what they came from."""

import itertools

import pytest

from ensemble.export.torch_errors import brief, root_cause


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("one\n\n  two \nthree"), "one two"),
        (KeyError(), "KeyError"),
        (RuntimeError("x" * 900), "x" * 300),
    ],
)
def test_an_error_of_torch_is_told_by_its_first_two_lines(error: Exception, told: str) -> None:
    assert brief(error) == told


def raised(*errors: Exception) -> Exception:
    """The last of several errors, each raised from the one before."""
    for cause, error in itertools.pairwise(errors):
        error.__cause__ = cause
    return errors[-1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("alone"), "alone"),
        (raised(KeyError("op"), RuntimeError("export failed")), "KeyError: 'op'"),
        (raised(TypeError("one"), ValueError("two"), RuntimeError("three")), "TypeError: one"),
        (raised(AssertionError(), RuntimeError("three")), "AssertionError"),
    ],
)
def test_an_error_is_told_by_what_it_came_from(error: Exception, told: str) -> None:
    assert root_cause(error) == told


def test_an_error_in_a_handler_came_from_the_first() -> None:
    handled = RuntimeError("while it was handled")
    handled.__context__ = KeyError("op")
    assert root_cause(handled) == "KeyError: 'op'"
    handled.__suppress_context__ = True
    assert root_cause(handled) == "while it was handled"


def test_errors_in_a_circle_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert root_cause(one) == "RuntimeError: other"
