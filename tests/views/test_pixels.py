"""Views that only move pixels show on the host what they show in the graph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import MakeMember

from ensemble.errors import UsageError
from ensemble.inference import start
from ensemble.members.member import open_member
from ensemble.records import Op, OpName, Size, View
from ensemble.views import policy as views
from ensemble.views.pixels import (
    HostView,
    axis_indices,
    can_view_on_host,
    jitter_of,
    jitters_of,
    nearest_indices,
    output_size,
    pixel_map,
)
from ensemble.views.policy import IDENTITY, preset

SQUARE, WIDE = Size(8, 8), Size(8, 12)


def pixels(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("view", preset("d4"), ids=lambda view: view.name)
def test_a_turned_image_scores_as_the_view_in_the_graph(
    make_member: MakeMember, view: View
) -> None:
    member = open_member(Path(make_member()))
    plain, turned = (
        start.start(member, (each,), "mean", device="cpu", threads=1, batch=4)
        for each in (IDENTITY, view)
    )
    rows = np.array([4, 0, 2])
    shown = HostView(pixels(), rows, view)[0:3]
    assert (
        plain.scorer.score(shown)["label"] == turned.scorer.score(pixels()[rows])["label"]
    ).all()


def test_rows_are_taken_as_they_are_sliced() -> None:
    images = HostView(pixels(), np.array([5, 3, 1, 0]), IDENTITY)
    assert len(images) == 4
    assert (images[1:3] == pixels()[[3, 1]]).all()


@pytest.mark.parametrize(
    ("policy", "merge", "size", "expected"),
    [
        ("flip", "mean", WIDE, True),
        ("d4", "mean", SQUARE, True),
        ("d4", "mean", WIDE, False),
        ("none", "mean", WIDE, True),
        ("hflip", "gmean", SQUARE, False),
        ("multiscale(1,0.5)", "mean", SQUARE, False),
    ],
)
def test_flips_and_quarter_turns_under_a_mean_stand_apart(
    policy: str, merge: str, size: Size, expected: bool
) -> None:
    assert can_view_on_host(preset(policy), merge, [SQUARE, size]) == expected  # type: ignore[arg-type]


def test_a_view_that_changes_values_is_not_one_that_moves_pixels() -> None:
    assert not can_view_on_host([IDENTITY, View("lighter", (Op("add", (0.1,)),))], "mean", [SQUARE])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 28, 224])
def test_nearest_indices_equal_torch(size: int) -> None:
    image = torch.arange(size, dtype=torch.float32).reshape(1, 1, 1, size)
    for factor in (0.3, 0.5, 0.8, 1.1, 1.2, 1.25, 2.0, 3.3):
        target = int(size * factor)
        if target < 1:
            continue
        theirs = torch.nn.functional.interpolate(image, size=(1, target))[0, 0, 0].numpy()
        view = View("resize", (Op("resize", (1, target)),))
        assert np.array_equal(pixel_map(view, Size(1, size))[0], theirs.astype(np.int64))


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UsageError, match="crop of 30x30"):
        output_size(views.preset("five_crop(30,30)")[0], Size(28, 28))


# ---- one operation, by a slow loop

OPS = st.one_of(
    st.sampled_from([Op("hflip"), Op("vflip"), Op("add", (0.5,)), Op("multiply", (2.0,))]),
    st.integers(0, 3).map(lambda k: Op("rot90", (k,))),
    st.sampled_from([0.5, 0.8, 1.0, 1.3, 2.0]).map(lambda f: Op("scale", (f,))),
    st.tuples(st.integers(1, 9), st.integers(1, 9)).map(lambda s: Op("resize", s)),
    st.sampled_from(["lt", "lb", "rb", "rt", "center"]).map(lambda p: Op("crop", (p, 2, 3))),
)
SIZES = st.builds(Size, st.integers(4, 9), st.integers(4, 9))


def looped(op: Op, image: list[list[int]]) -> list[list[int]]:
    """What an operation shows of an image, pixel by pixel."""
    height, width = len(image), len(image[0])
    match op.name:
        case "hflip":
            return [row[::-1] for row in image]
        case "vflip":
            return image[::-1]
        case "rot90":
            for _ in range(int(op.args[0])):
                image = [list(row) for row in zip(*image, strict=True)][::-1]
            return image
        case "scale" | "resize":
            h, w = (
                map(int, op.args)
                if op.name == "resize"
                else (int(height * op.args[0]), int(width * op.args[0]))
            )  # type: ignore[operator]
            return [[image[i * height // h][j * width // w] for j in range(w)] for i in range(h)]
        case "crop":
            place, h, w = str(op.args[0]), int(op.args[1]), int(op.args[2])
            top = 0 if "t" in place else height - h
            left = 0 if "l" in place else width - w
            if place == "center":
                top, left = height // 2 - h // 2, width // 2 - w // 2
            return [row[left : left + w] for row in image[top : top + h]]
    return image


def numbered(size: Size) -> list[list[int]]:
    return np.arange(size.height * size.width).reshape(size.height, size.width).tolist()


@settings(deadline=None, max_examples=40)
@given(op=OPS, size=SIZES)
def test_an_operation_shows_the_pixels_of_a_slow_loop(op: Op, size: Size) -> None:
    assert pixel_map(View("v", (op,)), size).tolist() == looped(op, numbered(size))


@settings(deadline=None, max_examples=40)
@given(ops=st.lists(OPS, max_size=3), size=SIZES)
def test_operations_apply_one_after_the_other(ops: list[Op], size: Size) -> None:
    image = numbered(size)
    view = View("v", tuple(ops))
    try:
        expected = output_size(view, size)
    except UsageError:
        return  # it leaves no pixels, or crops more than there are
    for op in ops:
        image = looped(op, image)
    found = pixel_map(view, size)
    assert Size(*found.shape) == expected
    assert found.tolist() == image


@settings(deadline=None, max_examples=40)
@given(size=SIZES, k=st.integers(0, 7))
def test_quarter_turns_are_counted_around_the_circle(size: Size, k: int) -> None:
    once = pixel_map(View("v", (Op("rot90", (k,)),)), size)
    steps = pixel_map(View("v", (Op("rot90", (1,)),) * k), size)
    np.testing.assert_array_equal(once, steps)


@settings(deadline=None, max_examples=40)
@given(size=SIZES, name=st.sampled_from(["hflip", "vflip"]))
def test_a_flip_undoes_itself(size: Size, name: OpName) -> None:
    twice = pixel_map(View("v", (Op(name), Op(name))), size)
    assert twice.ravel().tolist() == list(range(size.height * size.width))


@settings(deadline=None, max_examples=40)
@given(source=st.integers(1, 600), target=st.integers(1, 600))
def test_nearest_pixels_ascend_and_lie_within_the_image(source: int, target: int) -> None:
    found = nearest_indices(source, target)
    assert len(found) == target
    assert found[0] == 0
    assert found.max() < source
    assert (np.diff(found) >= 0).all()


def test_the_same_size_shows_every_pixel_once() -> None:
    for side in range(1, 300):
        assert nearest_indices(side, side).tolist() == list(range(side))


@pytest.mark.parametrize(
    "op", [Op("crop", ("rb", 3, 5)), Op("scale", (0.7,)), Op("resize", (11, 2))], ids=str
)
def test_rows_and_columns_are_read_apart(op: Op) -> None:
    size = Size(6, 9)
    rows, columns = axis_indices(op, size)
    expected = np.array(numbered(size))[np.ix_(rows, columns)]
    np.testing.assert_array_equal(pixel_map(View("v", (op,)), size), expected)


# ---- sizes


@pytest.mark.parametrize(
    ("op", "size", "message"),
    [
        (Op("scale", (0.1,)), SQUARE, "view tiny leaves no pixels: 0x0"),
        (Op("resize", (0, 5)), SQUARE, "view tiny leaves no pixels: 0x5"),
        (Op("scale", (3000.0,)), SQUARE, "view tiny is 24000x24000; a side has at most 16384"),
        (Op("crop", ("lt", 9, 8)), SQUARE, "view tiny: a crop of 9x8 from an image of 8x8"),
        (Op("crop", ("lt", 8, 13)), WIDE, "view tiny: a crop of 8x13 from an image of 8x12"),
    ],
)
def test_a_view_of_a_size_that_none_has_is_refused(op: Op, size: Size, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        output_size(View("tiny", (op,)), size)


def test_two_quarter_turns_keep_the_size_and_one_swaps_it() -> None:
    turned = [output_size(View("v", (Op("rot90", (k,)),)), WIDE) for k in range(4)]
    assert turned == [WIDE, Size(12, 8), WIDE, Size(12, 8)]


# ---- rows under a view


@pytest.mark.parametrize("view", preset("d4"), ids=lambda view: view.name)
def test_a_slice_of_turned_rows_is_that_slice_turned(view: View) -> None:
    rows = np.array([5, 0, 0, 3])
    turned = HostView(pixels(), rows, view)
    grid = pixel_map(view, SQUARE)
    slow = np.array([pixels()[row].reshape(64, 3)[grid] for row in rows])
    for part in (slice(0, 2), slice(1, 4), slice(4, 9), slice(None)):
        found = turned[part]
        np.testing.assert_array_equal(found, slow[part])
        assert found.flags.c_contiguous


def test_turning_rows_leaves_the_images_as_they_were() -> None:
    images = pixels()
    HostView(images, np.arange(6), preset("hflip")[1])[0:6][:] = 0
    np.testing.assert_array_equal(images, pixels())


def test_the_jitters_of_views_are_told_once_each() -> None:
    plain, moved = View("identity"), View("m", (Op("jitter", (0.1, 0.0, 0.0)), Op("hflip")))
    assert jitter_of(moved) == (0.1, 0.0, 0.0)
    assert jitter_of(plain) == (0.0, 0.0, 0.0)
    assert jitters_of([plain, moved, plain]) == ((0.0, 0.0, 0.0), (0.1, 0.0, 0.0))
    assert jitters_of([plain, View("hflip", (Op("hflip"),))]) == ()


def test_a_jitter_leaves_the_size_and_the_places_of_pixels() -> None:
    view = View("m", (Op("jitter", (0.1, 0.0, 0.0)),))
    assert output_size(view, Size(3, 4)) == Size(3, 4)
    assert pixel_map(view, Size(3, 4)).ravel().tolist() == list(range(12))
