"""Arguments that Python is given, as the library takes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ensemble.api.arguments import (
    constraints_of,
    decode_of,
    folder_of,
    path_of,
    texts_of,
    weights_of,
)
from ensemble.errors import UsageError
from ensemble.voting.weights import Weights


def test_one_path_is_not_taken_for_its_letters() -> None:
    assert texts_of("folds") == texts_of(Path("folds")) == ("folds",)
    assert texts_of(path for path in ("a", Path("b"))) == ("a", "b")
    assert (path_of(None), path_of("a")) == (None, Path("a"))


def test_constraints_may_be_a_mapping_or_equations() -> None:
    equations = ("total = a + b", "c = 2 * a")
    assert constraints_of({"total": "a + b", "c": "2 * a"}) == equations
    assert constraints_of(list(equations)) == equations
    assert constraints_of(equations[0]) == equations[:1]
    for odd in (3, [3], None):
        with pytest.raises(UsageError, match="constraints.*equations such as 'total = a"):
            constraints_of(odd)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [None, "uniform"])
def test_no_weights_and_uniform_weights_are_the_same(given: str | None) -> None:
    assert weights_of(given) is None


def test_weights_may_be_made_a_mapping_or_a_text() -> None:
    made = Weights({"ant": 0.6, "bee": 0.4})
    assert weights_of(made) is made
    assert weights_of({"ant": 0.6, "bee": 0.4}) == weights_of("ant=0.6,bee=0.4") == made


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: texts_of(["a", 3], "images"), "images: expected a path, or several; found int"),
        (lambda: texts_of(7, "members"), "members: expected a path, or several; found int"),
        (lambda: weights_of([0.5, 0.5]), "weights: expected Weights, a mapping.*; found list"),
        (
            lambda: decode_of({"exif": "ignore"}),  # type: ignore[arg-type]
            "decode: expected an ensemble.DecodePolicy; found dict",
        ),
        (lambda: folder_of(None), "run: expected a run's folder.*; found NoneType"),
    ],
)
def test_another_type_is_refused_with_what_was_expected(
    read: Callable[[], object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read()
