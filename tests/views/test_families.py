"""Views by family, and what they are called."""

import json
from dataclasses import asdict

import pytest

from ensemble.errors import UsageError
from ensemble.records import Op, View
from ensemble.views.families import (
    EVERY,
    check_jitters,
    merged_as,
    name_of,
    policies_of,
    read_policies,
    spelled,
    views_told,
)
from ensemble.views.policy import preset


def test_one_policy_is_every_familys() -> None:
    told = read_policies("multiscale(0.8,1,1.2)")
    assert told == {EVERY: preset("multiscale(0.8,1,1.2)")}
    assert policies_of(told, ["ant", "bee"]) == dict.fromkeys(["ant", "bee"], told[EVERY])


def test_each_family_may_have_its_own_though_presets_have_commas() -> None:
    told = read_policies("ant=multiscale(0.8,1), b=c = hflip,cow=five_crop(4,4)")
    assert told == {
        "ant": preset("multiscale(0.8,1)"),
        "b=c": preset("hflip"),
        "cow": preset("five_crop(4,4)"),
    }
    assert policies_of(told, ["cow", "ant", "b=c"]) == told


def test_a_list_of_views_may_be_a_familys_own() -> None:
    told = read_policies("ant=views(plain;crop(lt, 4, 4);rot90(1)),bee=none")
    assert [view.ops for view in told["ant"]] == [
        (), (Op("crop", ("lt", 4, 4)),), (Op("rot90", (1,)),),
    ]  # fmt: skip
    assert told["bee"] == preset("none")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flip,ant=none", "'flip' is not family=views"),
        ("ant=flip,ant=none", "'ant=none' stands there twice"),
        ("=flip", "is not family=views"),
        ("ant=flop", "no view preset 'flop'"),
    ],
)
def test_what_is_no_policy_of_a_family_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_policies(text)


def test_every_family_is_named_and_none_beside() -> None:
    told = read_policies("ant=flip,bee=none")
    with pytest.raises(UsageError, match="none of cow; say each family's, such as cow=none"):
        policies_of(told, ["ant", "bee", "cow"])
    with pytest.raises(UsageError, match="names views of bee; the families are ant"):
        policies_of(told, ["ant"])


@pytest.mark.parametrize(
    "text",
    ["none", "hflip", "vflip", "flip", "d4", "multiscale(1,0.8,1.2)", "multiscale(1,0.5)",
     "five_crop(6,4)", "ten_crop(3,3)"],
)  # fmt: skip
def test_views_of_a_preset_are_called_as_it_is(text: str) -> None:
    assert name_of(preset(text)) == text


def test_other_views_are_spelled_by_what_they_do() -> None:
    odd = (View("a"), View("b", (Op("hflip"), Op("rot90", (3,)))), View("c", (Op("add", (0.5,)),)))
    assert spelled(odd) == "plain, hflip+rot90(3), add(0.5)"
    assert name_of(odd) == "views(plain;hflip+rot90(3);add(0.5))"


def test_the_order_of_views_counts() -> None:
    assert name_of(preset("hflip")[::-1]) == "views(hflip;plain)"


def test_a_merge_is_spelled_where_there_is_one_to_make() -> None:
    assert merged_as(preset("hflip"), "gmean") == "gmean of plain, hflip"
    assert merged_as(preset("none"), "gmean") == "plain"


def test_views_of_a_fingerprint_are_read_back() -> None:
    views = preset("ten_crop(6,4)")
    told = [[asdict(op) for op in view.ops] for view in views]
    assert spelled(views_told(json.loads(json.dumps(told)))) == spelled(views)


def test_jitter_is_called_as_it_was_asked_for() -> None:
    assert name_of(preset("jitter(0.1)")) == "jitter(0.1)"


def test_jitter_needs_crops() -> None:
    told = read_policies("ant=none,bee=jitter(0.1)")
    check_jitters(told, cropped=True)
    check_jitters(read_policies("flip"), cropped=False)
    with pytest.raises(UsageError, match="moves the boxes of --crops"):
        check_jitters(told, cropped=False)
