"""Ids that are a folder or an extension apart are told one to one, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensemble.files.ids import are_known, counterparts, describe_counterparts, recognise

NAMES = st.sets(st.from_regex(r"[a-z0-9_]{1,6}", fullmatch=True), min_size=1, max_size=8)


@given(names=NAMES, form=st.sampled_from(["{}.jpg", "train/{}", "a/b/{}.JPEG", "x/{}.tif"]))
def test_either_side_may_carry_a_folder_or_an_extension(names: set[str], form: str) -> None:
    long = {form.format(name): name for name in names}
    assert counterparts(list(long), names) == long
    assert counterparts(names, list(long)) == {name: text for text, name in long.items()}


@pytest.mark.parametrize(
    ("written", "known", "expected"),
    [
        (("train/cat/1.jpg", "train/dog/1.jpg"), ("cat/1.jpg", "dog/1.jpg"), True),
        (("train/cat/1.jpg", "train/dog/1.jpg"), ("cat/1", "dog/1"), True),
        (("d1/a.jpg", "d2/a.jpg"), ("a",), False),  # two for one
        (("a.jpg", "a.png"), ("a",), False),
        (("a.jpg", "b.jpg"), ("a", "c"), False),  # one of each has no other
        (("a.jpg", "b.jpg", "c.jpg"), ("a", "b"), True),  # a table may hold more
        (("a.jpg",), ("a", "b"), True),  # or fewer: who lacks it is told by its own name
        (("a", "b.jpg"), ("a", "b"), False),  # one is the same as it stands
        (("a.png", "b.png"), ("a.jpg", "b.jpg"), False),  # other files, perhaps
        (("1.0", "2.0"), ("1", "2"), False),  # a number's fraction is no extension
        (("1.5", "2.5"), ("1", "2"), False),
        (("a.jpg",), (), False),
        ((), ("a",), False),
    ],
)
def test_ids_are_joined_one_to_one_or_not_at_all(
    written: tuple[str, ...], known: tuple[str, ...], expected: bool
) -> None:
    found = counterparts(written, known)
    assert bool(found) == expected
    assert set(found) <= set(written)
    assert set(found.values()) <= set(known)
    assert len(set(found.values())) == len(found) == (min(len(written), len(known)) * expected)


def test_what_is_joined_is_told_with_an_example() -> None:
    told = describe_counterparts("y.csv", {"d/a.jpg": "a"})
    assert told.startswith("y.csv: its ids are those that are known, a folder or an extension")
    assert "such as 'd/a.jpg' for 'a'" in told


def test_ids_are_known_as_they_stand_or_all_of_them_a_folder_or_an_extension_apart() -> None:
    known = ("a", "b", "c")
    assert are_known(["a", "b"], known) and are_known(["x/a", "x/b", "x/c"], known)
    assert are_known(["a"], ["a.png", "b.png"])
    assert not are_known(["a", "d"], known) and not are_known(["a.jpg_cat", "a.jpg_dog"], known)


def test_each_id_is_recognised_by_itself() -> None:
    knows = recognise(("a", "d/b.png"))
    assert all(map(knows, ("a", "x/a.jpg", "b", "b.png", "d/b", "d/b.png")))
    assert not any(map(knows, ("c", "x/c", "a_b")))
