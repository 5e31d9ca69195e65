"""A detector's boxes become one crop an image; members then see the crops, and nothing else."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detectors import SIDE, detector_card, detector_model, picture, save_detector
from fake_workers import Told
from onnx import ModelProto, helper, numpy_helper
from PIL import Image
from toys import save_images, save_member, toy_card, toy_model

from ensemble.boxes import Box, BoxRule, Crop
from ensemble.errors import MemberError, UsageError
from ensemble.members.card import Card
from ensemble.pipeline.crops import Crops, make_crops
from ensemble.pipeline.run import run
from ensemble.recipe.settings import Settings
from ensemble.records import (
    Size,
)
from ensemble.submission.publish import Submission

SIZE = Size(64, 96)


def cropped(
    folder: Path, rule: BoxRule = BoxRule(), told: Told | None = None, **more: Any
) -> tuple[Crops, dict[str, dict[str, str]]]:
    """Make crops of the images of a folder; return what was told, and the rows by id."""
    settings = Settings(
        (str(folder / "detector"),), (str(folder / "images"),),
        **{"device": "cpu", "store": folder / "store", **more},
    )  # fmt: skip
    found = make_crops(settings, rule, folder / "crops.csv", told)
    with found.path.open() as file:
        return found, {row["id"]: row for row in csv.DictReader(file)}


def box_in(row: dict[str, str]) -> list[float]:
    return [float(row[side]) for side in ("left", "top", "right", "bottom")]


def place(folder: Path, **pictures: Image.Image) -> Path:
    """A detector, and images by name."""
    save_detector(folder / "detector")
    (folder / "images").mkdir()
    for name, image in pictures.items():
        image.save(folder / "images" / f"{name}.png")
    return folder


def test_a_box_is_told_in_the_pixels_of_the_image(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE, red=(12, 20, 42, 50, 255)))
    found, rows = cropped(tmp_path)
    # 96x64 is seen as 32x32: columns are 3 pixels wide, rows 2 high
    assert box_in(rows["a"]) == [12, 20, 42, 50]
    assert (rows["a"]["score"], rows["a"]["rule"], rows["a"]["boxes"]) == ("1.0000", "sure", "1")
    assert (rows["a"]["width"], rows["a"]["height"]) == ("96", "64")
    assert found.rules == {"sure": 1, "centred": 0, "fallback": 0}


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("scale", ["pixels", "unit"])
def test_a_box_is_found_again_whatever_the_fit_and_the_scale(
    tmp_path: Path, fit: Any, scale: Any
) -> None:
    place(tmp_path, a=picture(Size(64, 128), red=(48, 16, 80, 48, 255)))
    save_detector(tmp_path / "detector", detector_card(fit=fit, scale=scale))
    _, rows = cropped(tmp_path)
    step = 4  # pixels of the image for one of the input
    assert np.abs(np.array(box_in(rows["a"])) - [48, 16, 80, 48]).max() <= step


def test_no_face_takes_the_fallback_and_keeps_its_row(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE))
    found, rows = cropped(tmp_path)
    assert box_in(rows["a"]) == [16, 0, 80, 64]
    assert (rows["a"]["rule"], rows["a"]["score"], rows["a"]["boxes"]) == (
        "fallback",
        "0.0000",
        "0",
    )
    assert found.rules["fallback"] == 1
    _, rows = cropped(tmp_path, BoxRule(fallback="whole"))
    assert box_in(rows["a"]) == [0, 0, 96, 64]


def test_of_two_faces_the_rule_takes_one_and_both_are_counted(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE, red=(0, 0, 12, 12, 255), green=(36, 20, 66, 50, 230)))
    found, rows = cropped(tmp_path)
    assert box_in(rows["a"]) == [36, 20, 66, 50]
    assert rows["a"]["boxes"] == "2"
    assert found.several == 1


def test_an_unsure_face_in_the_middle_is_centred(tmp_path: Path) -> None:
    place(
        tmp_path, a=picture(SIZE, red=(36, 20, 66, 50, 90)), b=picture(SIZE, red=(0, 0, 9, 8, 90))
    )
    _, rows = cropped(tmp_path)
    assert [rows[name]["rule"] for name in "ab"] == ["centred", "fallback"]


def test_nan_takes_the_fallback_and_is_named(tmp_path: Path) -> None:
    face = (36, 20, 66, 50, 255)
    place(tmp_path, a=picture(SIZE, red=face, blue=True), b=picture(SIZE, red=face))
    told = Told()
    _, rows = cropped(tmp_path, told=told)
    assert [rows[name]["rule"] for name in "ab"] == ["fallback", "sure"]
    (warned,) = [text for text in told.said if "NaN" in text]
    assert warned.endswith("for 1 images, which have the fallback: a")


def test_a_turned_image_has_its_box_in_the_pixels_that_are_seen(tmp_path: Path) -> None:
    place(tmp_path)
    upright = picture(Size(64, 96), red=(12, 20, 42, 50, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn to the left
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "images" / "a.png", exif=exif)
    _, rows = cropped(tmp_path)
    assert box_in(rows["a"]) == [12, 20, 42, 50]
    assert (rows["a"]["width"], rows["a"]["height"]) == ("96", "64")


def test_the_same_image_has_the_same_box_in_every_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    faces = [
        (*rng.integers(0, 40, 2).tolist(), *rng.integers(50, 60, 2).tolist(), 200)
        for _ in range(11)
    ]
    place(tmp_path, **{f"i{n}": picture(SIZE, red=face) for n, face in enumerate(faces)})
    alone, _ = cropped(tmp_path, batch_size=1, store=tmp_path / "one")
    before = alone.path.read_bytes()
    five, _ = cropped(tmp_path, batch_size=5, store=tmp_path / "five")
    assert five.path.read_bytes() == before


def test_what_cannot_be_decoded_is_quarantined_beside(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE))
    (tmp_path / "images" / "b.png").write_bytes(b"<html>")
    found, rows = cropped(tmp_path)
    assert list(rows) == ["a"]
    assert [lost.id for lost in found.quarantined] == ["b"]
    assert "b" in (tmp_path / "crops.quarantine.csv").read_text()
    (tmp_path / "images" / "b.png").unlink()
    cropped(tmp_path)
    assert not (tmp_path / "crops.quarantine.csv").exists()


def test_boxes_come_from_the_store_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path, a=picture(SIZE, red=(12, 20, 42, 50, 255)))
    first, _ = cropped(tmp_path)
    before = first.path.read_bytes()

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("ensemble.inference.scored.score_in_batches", refuse)
    again, _ = cropped(tmp_path)
    assert again.path.read_bytes() == before


def test_a_member_without_boxes_is_no_detector(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE))
    save_member(tmp_path / "detector", toy_card("finder-f0"), toy_model(toy_card()))
    (tmp_path / "detector" / "finder.onnx").unlink()
    with pytest.raises(MemberError, match="expected a detector.*its heads are classification"):
        cropped(tmp_path)


def test_two_detectors_are_refused(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE))
    save_detector(tmp_path / "detector", detector_card("other"))
    with pytest.raises(UsageError, match="expected one detector, found 2 files"):
        cropped(tmp_path)


def test_boxes_inside_out_are_a_fault_of_the_detector(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE, red=(12, 20, 42, 50, 255)))
    card = detector_card()
    model = detector_model(card)
    for node in model.graph.node:
        if node.output[0] == "boxes":
            node.output[0] = "turned"
    flipped = helper.make_node("Neg", ["turned"], ["boxes"])
    model.graph.node.append(flipped)
    save_member(tmp_path / "detector", card, model)
    with pytest.raises(MemberError, match="a box of image 'a' ends before it begins"):
        cropped(tmp_path)


def suppressing(card: Card) -> ModelProto:
    """A detector that keeps one of boxes that overlap: NonMaxSuppression, and 0 for the others."""
    model = detector_model(card)
    for node in model.graph.node:
        if node.output[0] == "scores":
            node.output[0] = "all"
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name)
        for name, value in {"most": np.array([3], np.int64), "overlap": np.array([0.3], np.float32),
                            "ends": np.array([0, 2], np.int64)}.items()
    )  # fmt: skip
    for kind, inputs, output, more in [
        ("Unsqueeze", ["all", "one"], "by_class", {}),
        ("NonMaxSuppression", ["boxes", "by_class", "most", "overlap"], "kept", {}),
        ("Gather", ["kept", "ends"], "places", {"axis": 1}),
        ("GatherND", ["all", "places"], "values", {}),
        ("Mul", ["all", "nothing"], "zeros", {}),
        ("ScatterND", ["zeros", "places", "values"], "scores", {}),
    ]:
        model.graph.node.append(helper.make_node(kind, inputs, [output], **more))
    return model


def test_boxes_that_overlap_are_suppressed_inside_the_graph(tmp_path: Path) -> None:
    twice = {"red": (12, 20, 42, 50, 255), "green": (15, 22, 45, 52, 204)}
    apart = {"red": (12, 20, 42, 50, 255), "green": (60, 20, 84, 50, 204)}
    overlaid = Image.fromarray(
        np.where(np.asarray(picture(SIZE, red=twice["red"])) > 0,
                 np.asarray(picture(SIZE, red=twice["red"])),
                 np.asarray(picture(SIZE, green=twice["green"])))
    )  # fmt: skip
    place(tmp_path, a=overlaid, b=picture(SIZE, **apart))
    save_member(tmp_path / "detector", detector_card(), suppressing(detector_card()))
    _, rows = cropped(tmp_path)
    assert [rows[name]["boxes"] for name in "ab"] == ["1", "2"]


def test_scores_that_are_logits_are_refused_before_any_image(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE))
    card = detector_card()
    model = detector_model(card)
    for node in model.graph.node:
        if node.op_type == "Sqrt":  # without a root blue gives no NaN
            node.op_type = "Neg"
        if node.output[0] == "scores":
            node.output[0] = "small"
    model.graph.node.append(helper.make_node("Add", ["small", "unit"], ["scores"]))
    save_member(tmp_path / "detector", card, model)
    with pytest.raises(MemberError, match=r"gives scores from .*expected 0 to 1"):
        cropped(tmp_path)


# ---- members on crops


def member(folder: Path, crop: Crop | None = None, name: str = "toy-f0") -> None:
    card = toy_card(name)
    card = replace(card, preprocess=replace(card.preprocess, crop=crop))
    save_member(folder / "folds", card, toy_model(card))


def table(folder: Path, boxes: dict[str, Box], name: str = "boxes.csv") -> Path:
    lines = [",".join([n, *map(str, box.sides)]) for n, box in boxes.items()]
    path = folder / name
    path.write_text("\n".join(["id,left,top,right,bottom", *lines]) + "\n")
    return path


def predicted(folder: Path, **more: Any) -> Submission:
    settings = Settings(
        (str(folder / "folds"),), (str(more.pop("images", folder / "images")),),
        **{"device": "cpu", "store": folder / "store", "out": folder / "out", "force": True,
           "output": "probs", **more},
    )  # fmt: skip
    return run(settings)


def evaluations(found: Submission) -> object:
    return found.record["evaluations"]


def test_a_run_on_crops_gives_what_a_run_on_images_cut_by_hand_gives(tmp_path: Path) -> None:
    member(tmp_path)
    save_images(tmp_path / "images", 4)
    boxes = {f"img{n}": Box(1, 2, 6 + n, 7) for n in range(1, 5)}
    (tmp_path / "cut").mkdir()
    for name, box in boxes.items():
        whole = Image.open(tmp_path / "images" / f"{name}.png")
        left, top, right, bottom = (round(side) for side in box.sides)
        whole.crop((left, top, right, bottom)).save(tmp_path / "cut" / f"{name}.png")
    crops = table(tmp_path, boxes)
    seen = predicted(tmp_path, crops=crops, margin=0.0)
    by_hand = predicted(tmp_path, images=tmp_path / "cut")
    assert seen.ids == by_hand.ids
    assert np.array_equal(seen.probs, by_hand.probs)


def test_what_was_detected_is_taken_by_a_run(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE, red=(12, 20, 42, 50, 255)), b=picture(SIZE))
    found, _ = cropped(tmp_path)
    member(tmp_path, Crop(0.25, square=True))
    result = predicted(tmp_path, crops=found.path)
    assert result.ids == ("a", "b")
    assert result.record["crops"] == {"sure": 1, "fallback": 1}


def test_another_box_or_margin_is_another_prediction(tmp_path: Path) -> None:
    member(tmp_path)
    save_images(tmp_path / "images", 2)
    boxes = {"img1": Box(0, 0, 5, 5), "img2": Box(0, 0, 6, 6)}
    how = {"crops": table(tmp_path, boxes), "margin": 0.1}
    assert evaluations(predicted(tmp_path)) == 2
    assert evaluations(predicted(tmp_path, **how)) == 2
    assert evaluations(predicted(tmp_path, **how)) == 0
    assert evaluations(predicted(tmp_path, **{**how, "margin": 0.2})) == 2
    assert evaluations(predicted(tmp_path, **how, square=True)) == 2
    other = table(tmp_path, {**boxes, "img2": Box(0, 0, 6, 7)}, "other.csv")
    assert evaluations(predicted(tmp_path, **{**how, "crops": other})) == 2
    again = table(tmp_path, dict(reversed(boxes.items())), "again.csv")
    assert evaluations(predicted(tmp_path, **{**how, "crops": again})) == 0


def test_members_of_other_margins_each_see_their_own(tmp_path: Path) -> None:
    save_images(tmp_path / "images", 3)
    crops = table(tmp_path, {f"img{n}": Box(2, 2, 6, 6) for n in range(1, 4)})
    alone = []
    for margin, name in ((0.0, "ant-f0"), (1.0, "bee-f0")):
        folder = tmp_path / name
        member(folder, Crop(margin, square=False), name)
        save_images(folder / "images", 3)
        alone.append(predicted(folder, crops=crops).probs)
        member(tmp_path, Crop(margin, square=False), name)
    both = predicted(tmp_path, crops=crops)
    assert np.allclose(both.probs, np.mean(alone, axis=0), atol=1e-7)


def test_cards_that_contradict_a_run_are_refused(tmp_path: Path) -> None:
    member(tmp_path, Crop(0.25, square=True))
    save_images(tmp_path / "images", 1)
    crops = table(tmp_path, {"img1": Box(0, 0, 5, 5)})
    with pytest.raises(MemberError, match="trained on crops with"):
        predicted(tmp_path, crops=crops, margin=0.1, square=True)
    with pytest.raises(MemberError, match="by --crops"):
        predicted(tmp_path)


def test_crops_that_lack_an_image_are_refused_before_any_forward(tmp_path: Path) -> None:
    member(tmp_path)
    save_images(tmp_path / "images", 2)
    with pytest.raises(UsageError, match="1 images have no row: img2"):
        predicted(tmp_path, crops=table(tmp_path, {"img1": Box(0, 0, 5, 5)}), margin=0.0)
    assert not list((tmp_path / "store").rglob("part-*"))


def test_a_detector_is_no_member_of_a_run(tmp_path: Path) -> None:
    place(tmp_path, a=picture(SIZE))
    save_detector(tmp_path / "folds")
    with pytest.raises(MemberError, match="a detector, whose boxes nobody votes on"):
        predicted(tmp_path)


def test_the_side_of_the_detector_is_small() -> None:
    assert detector_card().preprocess.size.width == SIDE


# ---- jitter


def test_jittered_views_are_the_mean_over_boxes_moved_by_hand(tmp_path: Path) -> None:
    member(tmp_path)
    save_images(tmp_path / "images", 3)
    sides = np.array([1.0, 1.0, 9.0, 9.0])  # 8 pixels: a quarter is 2
    moves = [[0, 0, 0, 0], [-2, 0, -2, 0], [2, 0, 2, 0], [0, -2, 0, -2], [0, 2, 0, 2],
             [-2, -2, 2, 2], [2, 2, -2, -2]]  # fmt: skip
    by_hand = []
    for number, move in enumerate(moves):
        boxes = {f"img{n}": Box(*map(float, sides + move)) for n in range(1, 4)}
        crops = table(tmp_path, boxes, f"moved{number}.csv")
        by_hand.append(predicted(tmp_path, crops=crops, margin=0.0).probs)
    still = tmp_path / "moved0.csv"
    seen = predicted(tmp_path, crops=still, margin=0.0, tta="jitter(0.25)")
    assert np.allclose(seen.probs, np.mean(by_hand, axis=0), atol=1e-6)
    assert evaluations(predicted(tmp_path, crops=still, margin=0.0, tta="jitter(0.25)")) == 0


@pytest.mark.parametrize("batch", [1, 2, "auto"])
def test_jittered_views_do_not_depend_on_the_batch(tmp_path: Path, batch: Any) -> None:
    member(tmp_path)
    save_images(tmp_path / "images", 5)
    how = {"crops": table(tmp_path, {f"img{n}": Box(1, 1, 9, 9) for n in range(1, 6)}),
           "margin": 0.1, "tta": "jitter(0.1)"}  # fmt: skip
    first = predicted(tmp_path, **how, batch_size=5)
    again = predicted(tmp_path, **how, batch_size=batch, store=tmp_path / "other")
    assert np.array_equal(first.probs, again.probs)


def test_an_early_exit_takes_jittered_views(tmp_path: Path) -> None:
    for name in ("ant-f0", "bee-f0", "cow-f0"):
        member(tmp_path, None, name)
    save_images(tmp_path / "images", 5)
    how = {"crops": table(tmp_path, {f"img{n}": Box(1, 1, 9, 9) for n in range(1, 6)}),
           "margin": 0.1, "tta": "jitter(0.1)", "output": "labels"}  # fmt: skip
    full = predicted(tmp_path, **how)
    early = predicted(tmp_path, **how, early_exit="lossless", store=tmp_path / "other")
    assert early.labels == full.labels


def test_jitter_is_refused_without_crops(tmp_path: Path) -> None:
    member(tmp_path)
    save_images(tmp_path / "images", 1)
    with pytest.raises(UsageError, match="--tta jitter moves the boxes of --crops"):
        predicted(tmp_path, tta="jitter(0.1)")
