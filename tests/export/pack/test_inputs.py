"""Each way of making pixels is an input, called so that it can be told from the others."""

from dataclasses import replace

import pytest

from ensemble.boxes import Crop
from ensemble.export.pack.inputs import input_names, input_record, said, shape_of
from ensemble.records import Geometry, Size

ONE = Geometry(Size(224, 224), "crop", 0.875, "bicubic", 3, ())
OTHER = replace(ONE, size=Size(64, 96), fit="squash", crop_pct=1.0)


def test_pixels_that_all_members_take_are_called_images() -> None:
    assert input_names([ONE, ONE]) == {ONE: "images"}


def test_pixels_of_other_sizes_are_told_by_them() -> None:
    assert input_names([ONE, OTHER, ONE]) == {ONE: "images_224x224x3", OTHER: "images_64x96x3"}


def test_pixels_of_one_size_are_told_by_what_is_done_to_them() -> None:
    linear = replace(ONE, interpolation="bilinear")
    assert set(input_names([ONE, linear]).values()) == {
        "images_224x224x3_crop_0.875_bicubic",
        "images_224x224x3_crop_0.875_bilinear",
    }


def test_pixels_that_only_a_box_tells_apart_are_numbered() -> None:
    boxed = replace(ONE, crop=Crop(0.25, square=True), border=(1, 2, 3))
    names = input_names([ONE, boxed])
    assert sorted(names.values()) == [f"images_224x224x3_crop_0.875_bicubic_{n}" for n in (0, 1)]
    assert names == input_names([boxed, ONE])


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (ONE, "RGB, 0 to 255; resized so that the shorter side is 256, by Pillow's bicubic, and "
              "224x224 cut out of the middle"),
        (OTHER, "resized to 64x96"),
        (replace(OTHER, fit="pad", fill=(1, 2, 3)), "of the colour (1, 2, 3)"),
        (replace(ONE, channels=1), "grey"),
        (replace(ONE, channels=5), "5 bands"),
        (replace(ONE, crop=Crop(0.25, square=True)),
         "its box, each side moved out by 0.25 of the box's own, made square by its longer side"),
        (replace(ONE, crop=Crop(0, square=False), jitters=((0, 0, 0), (0.1, 0, 0))),
         "once for each of 2 jitters"),
    ],
)  # fmt: skip
def test_what_is_to_be_done_to_an_image_is_said(geometry: Geometry, words: str) -> None:
    assert words in said(geometry)


def test_the_parts_of_jitters_stand_one_below_the_other() -> None:
    assert shape_of(replace(OTHER, jitters=((0, 0, 0), (0.1, 0, 0)))) == [128, 96, 3]


def test_a_record_holds_the_shape_and_every_number() -> None:
    record = input_record("images", ONE, ["b", "a"])
    assert record["shape"] == ["N", 224, 224, 3]
    assert record["members"] == ["a", "b"]
    assert record["geometry"] == {
        "size": {"height": 224, "width": 224}, "fit": "crop", "crop_pct": 0.875,
        "interpolation": "bicubic", "channels": 3, "fill": (), "crop": None, "border": (),
        "jitters": (),
    }  # fmt: skip
