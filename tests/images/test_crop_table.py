"""A table of crops is read from anywhere, and held against the images before any forward."""

from pathlib import Path

import pytest
from PIL import Image

from ensemble.boxes import Box
from ensemble.errors import UsageError
from ensemble.files.text_table import TextTable
from ensemble.images.box_choice import ChosenBox
from ensemble.images.crop_table import CropRow, crops_bytes, read_crops, with_boxes
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import Source
from ensemble.records import (
    DecodePolicy,
    Size,
)

POLICY = DecodePolicy()


def table(folder: Path, text: str) -> Path:
    path = folder / "crops.csv"
    path.write_text(text)
    return path


def images(folder: Path, *names: str, size: tuple[int, int] = (30, 20)) -> list[Hashed]:
    for name in names:
        Image.new("RGB", size).save(folder / f"{name}.png")
    return hash_sources([Source(name, folder / f"{name}.png") for name in names], 1)


def boxed(folder: Path, text: str, *names: str) -> list[Hashed]:
    return with_boxes(images(folder, *names), table(folder, text), POLICY, 2)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    chosen = {
        "007": (ChosenBox(Box(-1.25, 0, 10.5, 20, "sure"), 0.875, 2), Size(20, 30)),
        "b,c": (ChosenBox(Box(5, 0, 25, 20, "fallback"), 0.0, 0), Size(20, 30)),
    }
    path = tmp_path / "crops.csv"
    path.write_bytes(crops_bytes(chosen))
    assert path.read_text().splitlines() == [
        "id,left,top,right,bottom,score,rule,boxes,width,height",
        "007,-1.25,0.00,10.50,20.00,0.8750,sure,2,30,20",
        '"b,c",5.00,0.00,25.00,20.00,0.0000,fallback,0,30,20',
    ]
    assert read_crops(path) == {name: CropRow(f.box, size) for name, (f, size) in chosen.items()}


def test_a_table_from_elsewhere_needs_ids_and_sides_only(tmp_path: Path) -> None:
    path = table(tmp_path, "score,bottom,id,left,top,right,who\n.5,4,a,1,2,3,me\n")
    assert read_crops(path) == {"a": CropRow(Box(1, 2, 3, 4))}


def test_a_table_in_memory_is_read_as_a_file() -> None:
    given = TextTable(
        "crops", ("id", "left", "top", "right", "bottom"), (("a", "1", "2", "3", "4"),)
    )
    assert read_crops(given) == {"a": CropRow(Box(1, 2, 3, 4))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,left,top,right\na,1,2,3\n", "no column 'bottom'"),
        ("id,left,top,right,bottom\na,1,2,3,4\na,1,2,3,4\n", "line 3: id 'a' stands in line 2"),
        ("id,left,top,right,bottom\na,3,2,3,4\nb,1,4,3,2\n", "2 boxes end before they .*: a, b"),
        ("id,left,top,right,bottom\na,x,2,3,4\n", "line 2: 'x' is no number of pixels"),
        ("id,left,top,right,bottom\na,nan,2,3,4\n", "line 2: 'nan' is no number of pixels"),
        ("id,left,top,right,bottom\na,inf,2,3,4\n", "line 2: 'inf' is no number"),
        ("id,left,top,right,bottom,width,height\na,1,2,3,4,,5\n", "line 2: '' is no number"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_with_its_line_or_id(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_crops(table(tmp_path, text))


def test_boxes_join_by_id_and_rows_of_others_are_left_alone(tmp_path: Path) -> None:
    text = "id,left,top,right,bottom\nz,1,1,2,2\nb,0,0,9,9\na,1,2,3,4\n"
    found = boxed(tmp_path, text, "a", "b")
    assert [image.box for image in found] == [Box(1, 2, 3, 4), Box(0, 0, 9, 9)]


def test_images_without_a_row_are_refused_with_their_ids(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 images have no row: b, c"):
        boxed(tmp_path, "id,left,top,right,bottom\na,1,2,3,4\n", "a", "b", "c")


def test_an_image_that_cannot_be_decoded_needs_no_row(tmp_path: Path) -> None:
    found = images(tmp_path, "a", "b", "c")
    (tmp_path / "b.png").write_bytes(b"<html>")
    broken = (tmp_path / "c.png").read_bytes()[:-20]  # its header is whole
    (tmp_path / "c.png").write_bytes(broken)
    found = hash_sources([image.source for image in found], 1)
    text = "id,left,top,right,bottom\na,1,2,3,4\n"
    boxes = [image.box for image in with_boxes(found, table(tmp_path, text), POLICY, 1)]
    assert boxes == [Box(1, 2, 3, 4), None, None]


@pytest.mark.parametrize("box", ["30,0,40,10", "-9,0,0,5", "0,20,5,30", "0,-5,5,0"])
def test_a_box_outside_its_image_is_refused(tmp_path: Path, box: str) -> None:
    with pytest.raises(UsageError, match="1 boxes lie outside their image: a"):
        boxed(tmp_path, f"id,left,top,right,bottom\na,{box}\n", "a")


def test_a_box_over_the_border_is_taken(tmp_path: Path) -> None:
    (image,) = boxed(tmp_path, "id,left,top,right,bottom\na,-9,-9,40,40\n", "a")
    assert image.box == Box(-9, -9, 40, 40)


def test_a_box_made_for_another_size_is_refused(tmp_path: Path) -> None:
    text = "id,left,top,right,bottom,width,height\na,1,2,3,4,20,30\n"
    message = r"1 boxes were made for another size of their image: a \(30x20, the image has 20x30\)"
    with pytest.raises(UsageError, match=message):
        boxed(tmp_path, text, "a")
