"""Sections come in one order, each only where there is something to show."""

from dataclasses import replace

from pages import CLASSES, answer_of, card_of, galleries, given

from ensemble.boxes import Box
from ensemble.records import Quarantined
from ensemble.reports.page.blocks import Note
from ensemble.reports.page.layout import page_of
from ensemble.reports.page.looked import Looked, ScoredBox

PROBS = given(40)
CARD = card_of([CLASSES[n % 3] for n in range(40)], PROBS)
ANSWER = answer_of(PROBS, CARD, families={"one": PROBS, "two": given(40, 3)})


def anchors(looked: Looked) -> list[str]:
    return [section.anchor for section in page_of(looked).sections]


def test_labelled_predictions_have_all_sections() -> None:
    found = anchors(Looked("a", "b", (ANSWER,)))
    assert found == ["scores", "confusion", "calibration", "families", "look", "cells"]


def test_without_labels_the_rest_is_shown_and_what_lacks_is_said() -> None:
    bare = answer_of(PROBS, families={"one": PROBS, "two": given(40, 3)})
    looked = Looked("a", "b", (bare,), lacking=("no scores: --labels",))
    assert anchors(looked) == ["families", "predicted", "look", "lacking"]
    (section,) = (each for each in page_of(looked).sections if each.anchor == "lacking")
    assert section.blocks == (Note("no scores: --labels"),)


def test_several_tasks_have_a_section_each_with_anchors_of_their_own() -> None:
    page = page_of(Looked("a", "b", (replace(ANSWER, joint=True), replace(ANSWER, name="kind"))))
    assert [section.anchor for section in page.sections] == ["task0", "task1"]
    inner = [each.anchor for section in page.sections for each in section.inner]
    assert len(set(inner)) == len(inner)
    assert "task1-confusion" in inner


def test_images_without_a_prediction_or_a_picture_are_named() -> None:
    lost = Quarantined("bad", "bad.png", "decode", "truncated", "cut", "", 3)
    looked = Looked("a", "b", (ANSWER,), quarantined=(lost,), unfound=("r1",))
    page = page_of(looked)
    (section,) = (each for each in page.sections if each.anchor == "quarantine")
    notes = [block.text for block in section.blocks if isinstance(block, Note)]
    assert notes == ["No image was found for 1 predictions: r1."]
    assert [fact.shown.text for fact in page.facts[:2]] == ["40", "1"]


def test_the_least_certain_boxes_come_first() -> None:
    boxes = tuple(ScoredBox(f"i{n}", Box(0, 0, 1, 1, "sure"), n / 10) for n in (5, 1, 9))
    (section,) = page_of(Looked("a", "b", boxes=boxes)).sections
    (gallery,) = galleries(section.blocks)
    assert [image.id for image in gallery.images] == ["i1", "i5", "i9"]
