"""A card says what a member is, and finds its heads."""

from dataclasses import replace

import pytest
from toys import toy_card

from ensemble.errors import MemberError
from ensemble.members.card import BoxOutput, Head, declared

TWO = (Head("label", "l", "classification", "none", ("a", "b")),
       Head("age", "g", "regression", "none", ("years",)))  # fmt: skip


def test_what_is_usual_is_not_declared() -> None:
    assert declared(toy_card()) == {}
    odd = replace(toy_card(), batch="alone", layout="nhwc")
    assert declared(odd) == {"batch": "alone", "layout": "nhwc"}


def test_the_only_head_needs_no_name() -> None:
    assert toy_card().head() == toy_card().head("label")


def test_a_head_is_found_by_its_name() -> None:
    assert replace(toy_card(), heads=TWO).head("age") == TWO[1]


@pytest.mark.parametrize(
    ("asked", "message"), [(None, "has several heads"), ("x", "has no head 'x'")]
)
def test_a_head_that_is_not_told_apart_is_refused_with_all_names(
    asked: str | None, message: str
) -> None:
    with pytest.raises(MemberError) as caught:
        replace(toy_card(), heads=TWO).head(asked)
    told = f"member toy-f0 {message}; its heads: label, age. Name one with --head"
    assert str(caught.value) == told


def test_the_columns_of_a_head_are_its_classes_or_five_a_box() -> None:
    assert [head.columns for head in TWO] == [2, 1]
    head = Head("face", "b", "boxes", "none", ("face",), BoxOutput("s", 7))
    assert head.columns == 35


def test_the_record_of_a_head_says_boxes_only_where_there_are_some() -> None:
    assert "boxes" not in TWO[0].record()
    head = Head("face", "b", "boxes", "none", ("face",), BoxOutput("s", 7))
    assert head.record()["boxes"] == {"scores": "s", "count": 7, "scale": "pixels"}
