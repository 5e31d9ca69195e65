"""The fields of a record are what they should be, or the error names them, and what was found."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.errors import MemberError, UsageError
from ensemble.files.fields import LONGEST, Fields, fields_of, shown


def fault(name: str, expected: str, found: object) -> UsageError:
    return UsageError(f"{name}: {expected}; {shown(found)}")


def fields(**record: object) -> Fields:
    return Fields(record, fault)


Read = Callable[[Fields], object]

READERS: dict[str, tuple[Read, object]] = {
    "text": (lambda f: f.text("x"), "printable é"),
    "texts": (lambda f: f.texts("x"), ("a", "")),
    "list": (lambda f: f.list("x"), [1, None, "a"]),
    "choice": (lambda f: f.choice("x", ("a", "b")), "b"),
    "flag": (lambda f: f.flag("x"), False),
    "whole": (lambda f: f.whole("x", "1 to 3", 1, 3), 3),
    "number": (lambda f: f.number("x"), -1.5),
    "numbers": (lambda f: f.numbers("x"), (1.0, 0.5)),
    "table": (lambda f: f.table("x"), ((1.0,), (0.5, 2.0))),
    "inner": (lambda f: dict(f.inner("x").record), {"a": 1}),
    "each": (lambda f: [dict(entry.record) for entry in f.each("x")], [{"a": 1}, {}]),
}


def plain(value: object) -> object:
    """The value as JSON gives it: lists for tuples."""
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize("kind", READERS)
def test_a_field_that_is_right_is_what_was_written(kind: str) -> None:
    read, value = READERS[kind]
    assert read(fields(x=plain(value))) == value


@pytest.mark.parametrize("kind", READERS)
def test_a_field_that_is_not_there_is_named(kind: str) -> None:
    with pytest.raises(UsageError, match="^x: .*; None$"):
        READERS[kind][0](fields(y=1))


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("text", "", "x: printable text of 1 to 500 characters; ''"),
        ("text", "a\nb", "x: printable text of 1 to 500 characters; 'a\\nb'"),
        ("text", 5, "x: printable text of 1 to 500 characters; 5"),
        ("texts", ["a", 1], "x: a list of texts; ['a', 1]"),
        ("texts", "ab", "x: a list of texts; 'ab'"),
        ("list", {"a": 1}, "x: a list; {'a': 1}"),
        ("choice", ["a"], "x: one of a, b; ['a']"),
        ("flag", 0, "x: true or false; 0"),
        ("whole", 4, "x: 1 to 3; 4"),
        ("whole", 2.0, "x: 1 to 3; 2.0"),
        ("whole", True, "x: 1 to 3; True"),
        ("number", True, "x: a number; True"),
        ("number", "1", "x: a number; '1'"),
        ("number", float("nan"), "x: a finite number; nan"),
        ("number", float("inf"), "x: a finite number; inf"),
        ("numbers", "12", "x: a list of numbers; '12'"),
        ("numbers", [1, None], "x: a number; None"),
        ("table", [[1], 2], "x: a list of numbers; 2"),
        ("inner", [], "x: an object; []"),
        ("each", [{}, 7], "x[1]: an object; 7"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_what_was_found(
    kind: str, value: object, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        READERS[kind][0](fields(x=value))
    assert str(caught.value) == message


@pytest.mark.parametrize("huge", [10**400, -(10**400)])
def test_a_number_that_no_float_holds_is_not_finite(huge: int) -> None:
    with pytest.raises(UsageError, match="^x: a finite number; "):
        fields(x=huge).number("x")


def test_a_text_may_be_as_long_as_it_says_and_no_longer() -> None:
    assert fields(x="a" * LONGEST).text("x") == "a" * LONGEST
    with pytest.raises(UsageError):
        fields(x="a" * (LONGEST + 1)).text("x")


def test_a_field_of_an_object_is_named_with_its_way() -> None:
    record = fields(a={"b": [{"c": 1}, {"c": "x"}]})
    assert record.inner("a").each("b")[0].number("c") == 1
    with pytest.raises(UsageError, match=r"^a\.b\[1\]\.c: a number; 'x'$"):
        record.inner("a").each("b")[1].number("c")


def test_a_field_that_nobody_knows_is_named_with_those_known() -> None:
    fields(x=1, y=2).only(("x", "y", "z"))
    with pytest.raises(UsageError, match=r"^a\.q: no such field \(known: x, y\); 'q'$"):
        fields(a={"q": 1}).inner("a").only(("x", "y"))


@pytest.mark.parametrize("nothing", [None, [], {}, ""])
def test_a_field_that_says_nothing_may_be_given_a_value(nothing: object) -> None:
    assert fields(x=nothing, y=1).where_empty({"x": [], "z": 0.5}).record == {
        "x": [], "y": 1, "z": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("said", [0, 0.0, False, [0], "no"])
def test_a_field_that_says_something_keeps_it(said: object) -> None:
    assert fields(x=said).where_empty({"x": [1]}).record == {"x": said}


@pytest.mark.parametrize("record", [None, 1, "x", [{}]])
def test_a_record_that_is_no_object_is_named(record: object) -> None:
    with pytest.raises(UsageError, match="^card: an object; "):
        fields_of(record, "card", fault)


def test_the_error_is_of_the_callers_class() -> None:
    with pytest.raises(MemberError, match="^x$"):
        Fields({}, lambda name, *_: MemberError(name)).number("x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(value=JSON, kind=st.sampled_from(sorted(READERS)))
def test_any_json_is_read_or_refused_by_the_callers_error(value: object, kind: str) -> None:
    try:
        READERS[kind][0](fields(x=value))
    except UsageError as error:
        assert str(error).startswith("x")


@settings(deadline=None, max_examples=60)
@given(value=JSON | st.text())
def test_what_is_shown_is_short(value: object) -> None:
    assert len(shown(value)) <= 80
