"""A card says what a member is; what breaks its schema is refused by field."""

from dataclasses import replace

import pytest
from toys import toy_card

from ensemble.errors import MemberError
from ensemble.members.card import from_json, to_json


def test_a_card_survives_the_round_trip() -> None:
    card = toy_card()
    assert from_json(to_json(card), "here") == card


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('"schema": 1|"schema": 9', "schema"),
        ('"fit": "crop"|"fit": "zoom"', "fit"),
        ('"height": 8|"height": 0', "height"),
        ('"crop_pct": 1.0|"crop_pct": 0', "crop_pct"),
        ('"activation": "softmax"|"activation": "sigmoid"', "activation"),
        ('"eel"|"dog"', "classes"),
        ('"arch": "toy"|"arch": "toy", "run": "rm"', "run"),
        ('"fold": 0|"fold": -1', "fold"),
    ],
)
def test_a_wrong_field_of_a_card_is_named(change: str, field: str) -> None:
    before, after = change.split("|")
    text = to_json(toy_card())
    assert before in text
    with pytest.raises(MemberError, match=field):
        from_json(text.replace(before, after), "here")


@pytest.mark.parametrize(
    "name", ["/home/me/x", "../../x", "a/b", "a\\b", "C:x", "..", ".hidden", "x" * 201]
)
def test_a_card_whose_name_is_no_file_name_is_refused(name: str) -> None:
    text = to_json(replace(toy_card(), name=name))
    with pytest.raises(MemberError, match="'name': expected what a file may be called"):
        from_json(text, "here")


@pytest.mark.parametrize("name", ["resnet-f0", "Größe 2.1 (ema)", "x" * 200])
def test_a_card_may_have_any_file_name(name: str) -> None:
    assert from_json(to_json(replace(toy_card(), name=name)), "here").name == name


def test_a_mean_on_the_scale_of_bytes_is_refused() -> None:
    card = toy_card()
    card = replace(card, preprocess=replace(card.preprocess, mean=(123.675, 116.28, 103.53)))
    with pytest.raises(MemberError, match=r"mean.*from 0 to 1.*divide by 255"):
        from_json(to_json(card), "here")


def test_one_class_is_no_classification() -> None:
    with pytest.raises(MemberError, match="two or more"):
        from_json(to_json(toy_card(classes=("cat",))), "here")


def test_a_huge_card_is_refused() -> None:
    with pytest.raises(MemberError, match="bytes"):
        from_json(" " * (9 * 1024 * 1024), "here")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('"eel"|"\\ud800"', "JSON"),
        ('"eel"|"a\\u0000b"', "control characters"),
        ('"crop_pct": 1.0|"crop_pct": 1' + "0" * 400, "finite"),
        ('"fold": 0|"fold": 1' + "0" * 30, "fold"),
        ('"name": "toy-f0"|"name": ' + "[" * 400 + "]" * 400, "name"),
    ],
    ids=["surrogate", "control", "number", "fold", "depth"],
)
def test_odd_values_of_a_card_are_refused_by_field(change: str, field: str) -> None:
    before, after = change.split("|")
    text = to_json(toy_card())
    assert before in text
    with pytest.raises(MemberError, match=field):
        from_json(text.replace(before, after, 1), "here")


def test_a_card_that_names_a_factory_is_refused() -> None:
    text = to_json(toy_card()).replace('"arch": "toy"', '"arch": "toy", "factory": "os:system"')
    with pytest.raises(MemberError, match="factory"):
        from_json(text, "here")
