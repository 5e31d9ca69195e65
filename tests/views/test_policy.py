"""Views against ttach: the same pixels in the same order, for every preset."""

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import ttach
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.records import Op, Size, View
from ensemble.views import policy
from ensemble.views.pixels import pixel_map

TTACH: dict[str, Callable[[], ttach.Compose]] = {
    "none": lambda: ttach.Compose([]),
    "hflip": ttach.aliases.hflip_transform,
    "vflip": ttach.aliases.vlip_transform,
    "flip": ttach.aliases.flip_transform,
    "d4": ttach.aliases.d4_transform,
    "multiscale(0.8,1,1.2)": lambda: ttach.aliases.multiscale_transform([0.8, 1, 1.2]),
    "multiscale(0.5,1.7)": lambda: ttach.aliases.multiscale_transform([0.5, 1.7]),
    "five_crop(7,6)": lambda: ttach.aliases.five_crop_transform(7, 6),
    "ten_crop(8,5)": lambda: ttach.aliases.ten_crop_transform(8, 5),
}
UP, DOUBLE = Op("add", (1.0,)), Op("multiply", (2.0,))
SIZES = (Size(12, 12), Size(13, 11), Size(9, 16))


def shown(view: View, size: Size) -> NDArray[np.int64]:
    """The pixels of a numbered image that a view shows."""
    return pixel_map(view, size)


def shown_by_ttach(compose: ttach.Compose, size: Size) -> list[NDArray[np.int64]]:
    """The same, by ttach itself."""
    count = size.height * size.width
    image = torch.arange(count, dtype=torch.float64).reshape(1, 1, size.height, size.width)
    return [t.augment_image(image)[0, 0].numpy().astype(np.int64) for t in compose]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", TTACH)
def test_each_preset_equals_ttach_view_by_view(name: str, size: Size) -> None:
    ours = [shown(view, size) for view in policy.preset(name)]
    theirs = shown_by_ttach(TTACH[name](), size)
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert np.array_equal(mine, other)


def test_every_preset_that_ttach_has_is_compared() -> None:
    assert {name.partition("(")[0] for name in TTACH} | {"jitter"} == set(policy.presets())


def test_duplicate_views_are_found_by_what_they_show() -> None:
    twice = policy.product(
        policy.preset("flip"), (policy.IDENTITY, View("r", (Op("rot90", (2,)),)))
    )
    with pytest.raises(UsageError, match="would count twice"):
        policy.check_distinct(twice, Size(8, 8))


def test_views_that_differ_by_arithmetic_are_distinct() -> None:
    brighter = View("add1", (Op("add", (1.0,)),))
    policy.check_distinct([policy.IDENTITY, brighter], Size(8, 8))


@pytest.mark.parametrize(
    "text", ["flop", "five_crop", "hflip(2)", "multiscale(a)", "multiscale(0)"]
)
def test_a_preset_that_is_not_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        policy.preset(text)


# ---- products


def view(name: str) -> View:
    return View(name, (Op("hflip"),))


def test_the_last_list_of_a_product_varies_fastest() -> None:
    found = policy.product((view("a"), view("b")), (view("x"), view("y"), view("z")))
    assert [v.name for v in found] == ["a+x", "a+y", "a+z", "b+x", "b+y", "b+z"]


def test_the_image_itself_adds_nothing_to_a_product() -> None:
    assert policy.product((policy.IDENTITY,), (view("a"),)) == (view("a"),)
    assert policy.product((policy.IDENTITY,), (policy.IDENTITY,)) == (policy.IDENTITY,)


def test_a_product_of_nothing_is_the_image_itself() -> None:
    assert policy.product() == (policy.IDENTITY,)


def test_a_product_has_as_many_views_as_there_are_choices() -> None:
    flips, turns = policy.preset("flip"), policy.preset("d4")
    assert len(policy.product(flips, turns, flips)) == 4 * 8 * 4


# ---- presets


@pytest.mark.parametrize(("name", "count"), [("none", 1), ("hflip", 2), ("vflip", 2), ("flip", 4),
                         ("d4", 8), ("multiscale", 3), ("five_crop(4,4)", 5),
                         ("ten_crop(4,4)", 10)])  # fmt: skip
def test_a_preset_costs_the_number_of_its_views(name: str, count: int) -> None:
    found = policy.preset(name)
    assert len(found) == len({v.name for v in found}) == count
    policy.check_distinct(found, Size(8, 8))


@pytest.mark.parametrize("name", ["hflip", "vflip", "flip", "d4", "multiscale", "multiscale(.5)"])
def test_the_image_itself_comes_first(name: str) -> None:
    assert policy.preset(name)[0] == policy.IDENTITY


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("multiscale", ["identity", "scale0.8", "scale1.2"]),
        ("multiscale(0.8,1,1.2)", ["scale0.8", "identity", "scale1.2"]),
        ("multiscale(2)", ["identity", "scale2"]),
        (" multiscale( 0.5 , 1 ) ", ["scale0.5", "identity"]),
        ("multiscale()", ["identity", "scale0.8", "scale1.2"]),
    ],
)
def test_scales_come_as_they_are_given_with_the_image_itself(text: str, names: list[str]) -> None:
    assert [v.name for v in policy.preset(text)] == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flop", "no view preset 'flop'; the presets: none, hflip, vflip, flip, d4, multiscale, "),
        ("hflip(", "no view preset 'hflip\\('"),
        ("d4(1)", "this preset takes no parameters, found \\(1.0,\\)"),
        ("multiscale(1,x)", "preset 'multiscale\\(1,x\\)': its parameters are numbers"),
        ("multiscale(-1)", "multiscale: factors must be above 0, found \\(-1.0,\\)"),
        ("multiscale(nan)", "factors must be above 0"),
        ("multiscale(inf)", "factors must be above 0"),
        ("five_crop(4)", "its size in whole pixels, as in five_crop\\(28,28\\)"),
        ("five_crop(4,4,4)", "its size in whole pixels"),
        ("ten_crop(4.5,4)", "its size in whole pixels"),
        ("ten_crop(0,4)", "its size in whole pixels"),
    ],
)
def test_a_refused_preset_says_what_it_takes(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        policy.preset(text)


# ---- duplicates


@pytest.mark.parametrize(
    ("first", "second", "size"),
    [
        (Op("crop", ("lt", 8, 8)), Op("crop", ("center", 8, 8)), Size(8, 8)),
        (Op("resize", (8, 8)), Op("scale", (1.0,)), Size(8, 8)),
        (Op("scale", (1.01,)), Op("add", (0.0,)), Size(8, 8)),
        (Op("hflip"), Op("rot90", (2,)), Size(1, 9)),
        (Op("vflip"), Op("multiply", (1.0,)), Size(1, 9)),
    ],
)
def test_views_of_the_same_pixels_are_named_both(first: Op, second: Op, size: Size) -> None:
    pair = (View("one", (first,)), View("other", (second,)))
    with pytest.raises(UsageError, match=f"views one and other are the same at {size} pixels"):
        policy.check_distinct(pair, size)


def test_views_that_are_the_same_at_one_size_may_differ_at_another() -> None:
    pair = (View("one", (Op("hflip"),)), View("other", (Op("rot90", (2,)),)))
    policy.check_distinct(pair, Size(2, 9))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((UP, DOUBLE), (DOUBLE, UP, UP), True),
        ((UP, DOUBLE), (DOUBLE, UP), False),
        ((UP, Op("add", (-1.0,))), (), True),
        ((DOUBLE, Op("multiply", (0.5,))), (Op("hflip"), Op("hflip")), True),
        ((Op("hflip"), UP), (UP, Op("hflip")), True),
    ],
)  # fmt: skip
def test_arithmetic_is_compared_by_what_it_gives(
    one: tuple[Op, ...], other: tuple[Op, ...], same: bool
) -> None:
    with pytest.raises(UsageError) if same else nullcontext():
        policy.check_distinct((View("a", one), View("b", other)), Size(4, 6))


def test_jitter_begins_with_the_box_as_it_is_and_moves_it_each_way() -> None:
    found = policy.preset("jitter(0.1)")
    assert found[0] == policy.IDENTITY
    assert [view.name for view in found[1:]] == [
        "left0.1", "right0.1", "up0.1", "down0.1", "wider0.1", "narrower0.1"
    ]  # fmt: skip
    assert [op.args for view in found for op in view.ops] == [
        (-0.1, 0, 0), (0.1, 0, 0), (0, -0.1, 0), (0, 0.1, 0), (0, 0, 0.1), (0, 0, -0.1)
    ]  # fmt: skip
    assert policy.preset("jitter(0.1)") == found


def test_jittered_views_differ_though_their_pixels_come_later() -> None:
    policy.check_distinct(policy.preset("jitter(0.1)"), Size(8, 8))
    twice = policy.preset("jitter(0.1)") + policy.preset("jitter(0.1)")[1:]
    with pytest.raises(UsageError, match="left0.1 and left0.1 are the same"):
        policy.check_distinct(twice, Size(8, 8))


@pytest.mark.parametrize(
    "text", ["jitter", "jitter(0)", "jitter(0.5)", "jitter(0.1,0.2)", "jitter(nan)"]
)
def test_a_jitter_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="jitter needs one share above 0"):
        policy.preset(text)
