"""What a run cost and left out, as run.json tells it."""

import numpy as np
from pages import tables, texts

from ensemble.predictions.run_record import RecordedMember, RunRecord
from ensemble.records import MemberId, Quarantined
from ensemble.reports.page.blocks import Chart, Facts, Note
from ensemble.reports.page.made import (
    LISTED,
    cost_blocks,
    crop_blocks,
    quarantine_blocks,
    recipe_blocks,
)

FACTS = {"seconds": 12.5, "evaluations": 400, "provider": "CPUExecutionProvider",
         "odd_files": {"<b>": 2}, "dropped_members": ["bad-f0"]}  # fmt: skip


def record(**facts: object) -> RunRecord:
    member = RecordedMember(MemberId("ant-f0", "ant", 0, "ab" * 32), "key")
    settings = {"tta": "hflip", "weights": None, "images": ["a", "b"]}
    return RunRecord(settings, "label", ("x", "y"), (member,), {}, {"numpy": "2"}, FACTS | facts)


def lost(name: str) -> Quarantined:
    return Quarantined(name, f"{name}.png", "decode", "truncated", "cut short", "", 3)


def test_seconds_and_evaluations_are_those_of_the_record() -> None:
    blocks = cost_blocks(record(), None)
    facts = next(block for block in blocks if isinstance(block, Facts)).facts
    assert [fact.shown.exact for fact in facts[:2]] == ["12.5", "400"]
    notes = [block.text for block in blocks if isinstance(block, Note)]
    assert any("2 <b>" in note for note in notes)
    assert any("bad-f0" in note for note in notes)


def test_an_early_exit_is_told_and_drawn() -> None:
    told = {"words": "3 of 8", "evaluations_per_image": 3.0, "stages": 8, "rule": "lossless"}
    blocks = cost_blocks(record(early_exit=told), np.array([1, 2, 2, 7]))
    assert any(isinstance(block, Chart) for block in blocks)
    assert any(isinstance(block, Note) and "3 of 8" in block.text for block in blocks)


def test_images_without_a_prediction_are_listed_up_to_a_bound() -> None:
    (table,) = tables(quarantine_blocks([lost("a"), lost("b")]))
    assert texts(table)[0] == ["a", "decode", "truncated", "cut short"]
    (table,) = tables(quarantine_blocks([lost(f"i{n}") for n in range(LISTED + 7)]))
    assert len(table.rows) == LISTED
    assert "7 more stand in quarantine.csv" in table.caption
    assert isinstance(quarantine_blocks([])[0], Note)


def test_the_recipe_names_settings_members_and_versions() -> None:
    members, settings, versions = tables(recipe_blocks(record()))
    assert texts(settings) == [["images", "a, b"], ["tta", "hflip"]]
    assert texts(members)[0][:3] == ["ant-f0", "ant", "0"]
    assert texts(versions) == [["numpy", "2"]]


def test_rules_of_boxes_are_counted() -> None:
    (table,) = tables(crop_blocks({"sure": 8, "fallback": 2}))
    assert texts(table) == [["sure", "8"], ["fallback", "2"]]
    assert crop_blocks({}) == []
