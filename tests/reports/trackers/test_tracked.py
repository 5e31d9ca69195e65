"""What is told to trackers: scores and settings, and nothing that names an image or a place."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from blends import tuned_on
from runs import submit

from ensemble.files.text_table import TextTable
from ensemble.pipeline.scores import score
from ensemble.predictions.run_record import RunRecord, to_json
from ensemble.recipe.policy import FamilyPolicy, FrontierPoint, Policy
from ensemble.recipe.settings import TABLE, Settings, settings_of
from ensemble.reports.scorecard import Labels
from ensemble.reports.trackers.tracked import AT_HOME, of_policy, of_run, of_scores, of_weights
from ensemble.tuning.tune import tune_weights
from ensemble.voting.weights import Weights


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_settings_that_name_files_stay_at_home() -> None:
    named = {name for name, row in TABLE.items() if Path in (row.kind, *get_args(row.kind))}
    assert named | {"members", "images", "ray_address"} <= set(AT_HOME) <= set(TABLE)


def test_a_run_tells_no_image_no_path_and_no_id(members: list[Path], images: Path) -> None:
    made = submit(members, images, out=str(images.parent / "out"), tta="hflip")
    told = of_run("run", made.folder.name, made.record)
    text = json.dumps([told.name, dict(told.settings), dict(told.scores)])
    assert str(images.parent) not in text
    assert not [name for name in made.ids if name in text]


def test_a_run_tells_its_settings_members_versions_and_counts(
    members: list[Path], images: Path
) -> None:
    made = submit(members, images, out=str(images.parent / "out"), tta="hflip")
    told = of_run("run", "out", made.record)
    hashes = {each["name"]: each["sha256"] for each in made.record["members"]}  # type: ignore[attr-defined]
    assert told.settings["tta"] == "hflip"
    assert told.settings["command"] == "run"
    assert told.settings["members/ant-f0"] == hashes["ant-f0"]
    assert told.settings["image_set"] == made.record["image_set"]
    assert told.scores["counts/predicted"] == 12
    assert told.scores["evaluations"] == 12 * 4
    assert told.scores["seconds"] == made.record["seconds"]


def test_a_run_tells_weights_by_family_and_what_an_early_exit_saved() -> None:
    how = Settings(("a.onnx",), ("images",), weights=Weights({"ant": 0.25, "bee": 0.75}))
    facts = {"early_exit": {"evaluations": 7, "key": "ab", "bound": math.nan, "kept": True}}
    record = RunRecord(settings_of(how), "label", (), (), {"predicted": 1}, {}, facts)
    told = of_run("run", "out", to_json(record))
    assert told.scores == {
        "counts/predicted": 1, "weights/ant": 0.25, "weights/bee": 0.75, "early_exit/evaluations": 7
    }  # fmt: skip


@pytest.mark.usefixtures("train")
def test_weights_tell_what_they_are_worth_and_have_a_picture(tmp_path: Path) -> None:
    weights = tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}))
    told = of_weights("weights", weights)
    assert told.settings["verdict"] == weights.evidence["verdict"]
    assert told.scores["weights/ant"] == weights.families["ant"]
    assert told.scores["singles/bee"] == weights.evidence["singles"]["bee"]
    assert told.scores["nested"] == weights.evidence["nested"]
    told.pictures["weights"](tmp_path / "w.png")
    assert (tmp_path / "w.png").read_bytes()[:4] == b"\x89PNG"


def test_weights_that_were_not_tuned_tell_what_there_is() -> None:
    assert of_weights("weights", Weights({"ant": 1.0})).scores == {
        "weights/ant": 1.0, "temperature": 1.0
    }  # fmt: skip


def test_a_policy_tells_its_cost_its_frontier_and_has_a_picture(tmp_path: Path) -> None:
    views = {"ant": ("plain",)}
    points = tuple(FrontierPoint(views, n, n / 10, n / 2, None, knee=n == 2) for n in (1, 2))
    weights = Weights({"ant": 1.0}, metric="accuracy")
    family = FamilyPolicy(views["ant"], {0: "a"})
    policy = Policy({"ant": family}, weights, (), "label", 2, 0.2, 0.0, frontier=points)
    told = of_policy("policy", policy)
    assert told.settings["metric"] == "accuracy"
    assert (told.scores["evaluations"], told.scores["seconds"]) == (2, 0.2)
    assert told.scores["frontier/0/score"] == 0.5
    assert told.scores["frontier/1/seconds"] == 0.2
    told.pictures["frontier"](tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"


def test_scores_tell_the_ends_of_their_intervals_and_the_confusion(tmp_path: Path) -> None:
    rows = tuple((str(n), "ab"[n % 2]) for n in range(40))
    truth = TextTable("labels", ("id", "label"), rows)
    card = score(truth, Labels(truth))
    told = of_scores("first", card)
    assert (told.scores["accuracy"], told.scores["accuracy/low"], told.scores["rows"]) == (1, 1, 40)
    told.pictures["confusion"](tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    tasks = of_scores("first", replace(card, tasks={"age": card}))
    assert tasks.scores["age/accuracy"] == 1


def test_scores_of_values_have_no_picture() -> None:
    truth = TextTable("labels", ("id", "x", "y"), (("a", "1", "2"), ("b", "2", "3.5")))
    assert not of_scores("first", score(truth, Labels(truth), task="regression")).pictures
