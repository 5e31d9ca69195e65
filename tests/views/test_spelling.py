"""Views are written as text, and read back to the bit."""

import pytest

from ensemble.errors import UsageError
from ensemble.records import Op, View
from ensemble.views.parse import read_policy
from ensemble.views.policy import preset
from ensemble.views.spelling import read_list, read_view, spell, spell_list


@pytest.mark.parametrize(
    "text",
    ["none", "flip", "d4", "multiscale(0.8,1,2)", "ten_crop(24,20)", "jitter(0.1)"],
)
def test_what_presets_give_is_read_back_as_it_was(text: str) -> None:
    views = preset(text)
    assert [view.ops for view in read_list(spell_list(views))] == [view.ops for view in views]


def test_numbers_are_read_as_the_operation_takes_them() -> None:
    turned, scaled = read_view("rot90(3)+scale(2)").ops
    assert (turned, scaled) == (Op("rot90", (3,)), Op("scale", (2.0,)))
    assert [type(op.args[0]) for op in (turned, scaled)] == [int, float]


def test_arithmetic_keeps_every_digit() -> None:
    odd = View("odd", (Op("add", (0.1 + 0.2,)), Op("multiply", (1 / 3,))))
    assert read_view(spell(odd)).ops == odd.ops


def test_a_policy_may_be_a_list() -> None:
    assert [view.ops for view in read_policy("views(plain; hflip)")] == [(), (Op("hflip"),)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("views()", "one view or more"),
        ("views(plain", "one view or more"),
        ("views(mirror)", "'mirror' is no operation; expected one of hflip"),
        ("views(rot90)", "rot90 takes 1 numbers"),
        ("views(rot90(a))", "rot90 takes 1 numbers"),
        ("views(hflip(1))", "hflip takes 0 numbers"),
        ("views(plain;)", "'' is no operation"),
    ],
)
def test_what_is_no_list_of_views_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(").replace(")", r"\)")):
        read_policy(text)
