"""Errors are built-in ones too, and messages name a few and count the rest."""

import pickle

import pytest

from ensemble import errors
from ensemble.errors import (
    ContractError,
    EnsembleError,
    GpuGoneError,
    ImageError,
    MemberError,
    OutOfMemoryError,
    ProviderError,
    ScoreError,
    StoreError,
    UsageError,
    counted,
    few,
)

LEAVES = {
    UsageError: ValueError, MemberError: ValueError, ContractError: ValueError,
    ImageError: ValueError, ProviderError: RuntimeError, ScoreError: RuntimeError,
    OutOfMemoryError: RuntimeError, GpuGoneError: RuntimeError, StoreError: OSError,
}  # fmt: skip


def own() -> set[type]:
    """Every exception that the module defines."""
    found = (value for value in vars(errors).values() if isinstance(value, type))
    return {value for value in found if issubclass(value, Exception)}


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_a_leaf_is_the_built_in_error_that_it_refines(leaf: type[EnsembleError]) -> None:
    assert issubclass(leaf, LEAVES[leaf])


def test_one_clause_catches_all_that_is_raised_on_purpose() -> None:
    assert all(issubclass(each, EnsembleError) for each in own())


def test_every_error_is_drawn_in_the_tree() -> None:
    assert own() == {EnsembleError, *LEAVES}
    assert all(each.__name__ in (errors.__doc__ or "") for each in own())


def test_no_leaf_but_that_is_another_leaf() -> None:
    pairs = {(a, b) for a in LEAVES for b in LEAVES if a is not b and issubclass(a, b)}
    assert pairs == {(OutOfMemoryError, ScoreError), (GpuGoneError, ScoreError)}


def test_an_image_error_says_where_and_what_besides_its_message() -> None:
    error = ImageError("decode", "truncated", "a.jpg ends early")
    assert (error.stage, error.kind, str(error)) == ("decode", "truncated", "a.jpg ends early")


@pytest.mark.parametrize(
    "leaf", [each for each in LEAVES if each is not ImageError], ids=lambda leaf: leaf.__name__
)
def test_an_error_keeps_its_message_on_the_way_to_another_process(
    leaf: type[EnsembleError],
) -> None:
    again = pickle.loads(pickle.dumps(leaf("größer als erlaubt")))
    assert (type(again), str(again)) == (leaf, "größer als erlaubt")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, ""),
        (1, "0"),
        (5, "0, 1, 2, 3, 4"),
        (6, "0, 1, 2, 3, 4 and 1 more"),
        (1000, "0, 1, 2, 3, 4 and 995 more"),
    ],
)
def test_five_are_named_and_the_rest_is_counted(number: int, text: str) -> None:
    assert few(range(number)) == text


def test_names_stand_in_the_order_that_they_came_in() -> None:
    assert few({"b": 1, "a": 2}) == "b, a"


@pytest.mark.parametrize(("count", "text"), [(0, "0 keys"), (1, "1 key"), (2, "2 keys")])
def test_a_count_agrees_with_its_noun(count: int, text: str) -> None:
    assert counted(count, "key") == text
