"""Early exits with a label map: whole runs of members of several tasks against undisturbed ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exit_runs import broken, record
from processes import finish, start
from task_toys import AGES, KINDS, TURNS, head, label_map, save, save_all, save_pictures, value
from toys import ensemble

from ensemble.api import predict
from ensemble.api.results import verify_exit
from ensemble.early_exit import forecast, planning
from ensemble.errors import UsageError
from ensemble.files.label_maps import read_label_map
from ensemble.members.member import open_member
from ensemble.records import hashes_of
from ensemble.submission.publish import Submission
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.weights import Weights

COUNT = 60
COLUMNS = ("decades", "joint", "kinds", "three/age", "three/kind", "three/turn", "turns")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members whose folds mostly agree, that cost alike; images, and the map."""
    monkeypatch.chdir(tmp_path)
    for module in (planning, forecast):  # so that orders are alike
        monkeypatch.setattr(module, "seconds_per_image", lambda _: 0.001)
    save_all(Path("members"), folds=3)
    save_pictures(Path("images"), COUNT)
    label_map(Path())


def heads() -> list[Path]:
    """The members but those of the label itself."""
    return sorted(path for path in Path("members").glob("*.onnx") if "joint" not in path.name)


def submit(out: str, members: list[Path] | str = "members", **more: Any) -> Submission:
    more = {"label_map": "label_map.csv", "tasks": "age = {spread = 4}", "tta": "hflip", **more}
    return predict.run(members, "images", out=out, device="cpu", **more)


def tuned() -> Weights:
    found = read_label_map(Path("label_map.csv"), "age = {spread = 4}")
    numbers = dict(zip(COLUMNS, (0.4, 0.9, 0.5, 0.3, 0.6, 0.5, 0.7), strict=True))
    joint = JointWeights(found, {"three/age": 6.0}, tuple(n / 40 for n in range(18)), 0.3)
    members = hashes_of(open_member(path).identity for path in Path("members").glob("*.onnx"))
    return Weights(numbers, pool="log-linear", members=members, joint=joint)


@pytest.mark.parametrize(
    "how",
    [{}, {"tta": "none"}, {"tta": "three=none,decades=hflip,kinds=hflip,turns=hflip"},
     {"tasks": ""}, {"precision": "fp16"}],
)  # fmt: skip
def test_lossless_gives_every_label_of_the_undisturbed_run(how: dict[str, Any]) -> None:
    full = submit("full", heads(), store="plain", **how)
    early = submit("early", heads(), early_exit="lossless", **how)
    assert early.labels == full.labels
    assert record(early)["evaluations_per_image"] < record(early)["stages"]
    assert Path("early/submission.csv").read_bytes() == Path("full/submission.csv").read_bytes()
    assert not verify_exit("early").faults


def test_lossless_goes_by_the_label_where_every_family_says_it() -> None:
    joint = sorted(Path("members").glob("joint*.onnx"))
    full = submit("full", joint, store="plain")
    early = submit("early", joint, early_exit="lossless")
    assert early.labels == full.labels
    assert not verify_exit("early").faults


def test_lossless_is_kept_where_combinations_are_impossible() -> None:
    every = [(k, t, a) for k in KINDS for t in TURNS for a in AGES]
    rows = [(str(n), *row) for n, row in enumerate(every) if n % 5]
    label_map(Path(), rows)
    full = submit("full", heads(), store="plain")
    early = submit("early", heads(), early_exit="lossless")
    assert early.labels == full.labels
    assert not verify_exit("early").faults


@pytest.mark.parametrize("weighted", [False, True])
def test_a_certified_exit_differs_in_no_more_labels_than_it_says(weighted: bool) -> None:
    how: dict[str, Any] = {"weights": tuned()} if weighted else {}
    full = submit("full", store="plain", **how)
    early = submit("early", early_exit="20%", calibration=30, **how)
    differ = sum(a != b for a, b in zip(early.labels, full.labels, strict=True))
    assert differ <= 0.2 * COUNT
    assert record(early)["certificate"]["calibrated"] == 30
    assert not verify_exit("early").faults


def test_a_budget_of_evaluations_is_kept() -> None:
    early = submit("early", evals_per_image=12)
    assert record(early)["evaluations_per_image"] <= 12
    assert not verify_exit("early").faults


def test_a_run_says_of_its_map_what_one_without_early_exit_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = submit("full", heads(), tasks="", store="plain")
    early = submit("early", heads(), tasks="", early_exit="lossless")
    for name in ("label_map", "answered"):
        assert early.record[name] == full.record[name]
    assert capsys.readouterr().err.count("three/age: its values are cut hard") == 2


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "families of the label itself"),
        ({"weights": True}, "tuned weights of several tasks .* no bound"),
        ({"voting": "hard"}, "use --voting soft"),
        ({"output": "probs"}, "probabilities change"),
        ({"form": "tasks"}, "a class for each task, .* needs every evaluation"),
    ],
)
def test_what_cannot_keep_every_label_is_refused_with_the_reason(
    how: dict[str, Any], words: str
) -> None:
    how = {**how, "weights": tuned()} if "weights" in how else how
    with pytest.raises(UsageError, match=f"^early exit: .*{words}"):
        submit("early", early_exit="lossless", **how)
    assert not Path(".ensemble/predictions").exists()


def test_a_hard_vote_on_tasks_is_refused_whatever_ends_images() -> None:
    with pytest.raises(UsageError, match="use --voting soft"):
        submit("early", early_exit="20%", voting="hard")


def test_what_the_store_has_of_members_is_used_and_costs_nothing() -> None:
    full = submit("full", heads(), store="plain")
    again = submit("again", heads(), store="plain", early_exit="lossless")
    assert (again.labels, again.record["evaluations"]) == (full.labels, 0)
    assert "early_exit" not in again.record, "every evaluation is there already"
    three = [path for path in heads() if "three" in path.name]
    submit("some", three)
    mixed = submit("mixed", heads(), early_exit="lossless")
    assert mixed.labels == full.labels
    assert set(record(mixed)["stored"]) == {path.stem for path in three}
    assert not verify_exit("mixed").faults


def test_a_broken_image_is_quarantined(tmp_path: Path) -> None:
    broken(tmp_path / "images", range(3, 6))
    early = submit("early", early_exit="20%", calibration=30)
    assert len(early.quarantined) == 3
    assert not verify_exit("early").faults


def test_a_label_that_was_changed_is_found() -> None:
    submit("early", heads(), early_exit="lossless")
    path = Path("early/predictions.parquet")
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    labels[3] = "0" if labels[3] != "0" else "1"
    field = table.schema.field("label")
    at = table.column_names.index("label")
    pq.write_table(table.set_column(at, field, pa.array(labels, field.type)), path)
    assert ["another label" in fault for fault in verify_exit("early").faults] == [True]


def test_a_label_map_or_weights_that_run_json_was_changed_to_have_are_found() -> None:
    submit("early", weights=tuned(), early_exit="20%", calibration=30)
    path = Path("early/run.json")
    told = json.loads(path.read_text())
    told["label_map"]["tasks"]["age"]["cuts"] = [20, 60]
    path.write_text(json.dumps(told))
    assert any("run.json has joint" in fault for fault in verify_exit("early").faults)
    told["recipe"]["weights"]["joint"]["rho"] = 0.4
    path.write_text(json.dumps(told))
    assert any("run.json has weights" in fault for fault in verify_exit("early").faults)


def test_other_spreads_or_another_map_never_use_what_an_early_exit_kept() -> None:
    every = [(k, t, a) for k in KINDS for t in TURNS for a in AGES]
    label_map(Path("turned"), [(str(n), *row) for n, row in enumerate(every[::-1])])
    weights = tuned()
    joint = weights.joint
    assert joint is not None
    other = replace(weights, joint=replace(joint, spreads={"three/age": 5.0}))
    hows: list[dict[str, Any]] = [
        {}, {"tasks": "age = {spread = 5}"}, {"label_map": "turned/label_map.csv"},
        {"weights": weights}, {"weights": other},
    ]  # fmt: skip
    keys = [
        record(submit(f"out{n}", early_exit="20%", calibration=20, tta="none", **how))["key"]
        for n, how in enumerate(hows)
    ]
    assert len(set(keys)) == len(keys)


def test_no_order_of_columns_changes_a_label() -> None:
    """A member whose heads stand in another order says the same."""
    early = submit("early", heads(), early_exit="lossless")
    for fold in range(3):
        turned = [(head("turn", TURNS), 1.0, 0.0), (head("kind", KINDS), 1.0, 0.0),
                  (value("age"), 8.0, 45.0)]  # fmt: skip
        save(Path("members"), "three", fold, turned, seed=4)
    full = submit("full", heads(), store="plain")
    again = submit("again", heads(), early_exit="lossless", store="other")
    assert again.labels == full.labels
    assert len(early.labels) == len(again.labels)


KILLED = (
    "import os, ensemble.files.atomic as files, ensemble.early_exit.planning as planning\n"
    "planning.seconds_per_image = lambda _: 0.001\n"
    "publish = files.publish\n"
    "def cut(path, write):\n"
    "    if path.name == 'part-00003.json': os.kill(os.getpid(), 9)\n"
    "    publish(path, write)\n"
    "files.publish = cut\n"
)
"""What kills a command as it commits its fourth shard."""


def test_a_killed_run_goes_on_and_gives_the_same_labels() -> None:
    args = ["run", "--members", "members", "--images", "images", "--label-map", "label_map.csv",
            "--device", "cpu", "--shard-size", "10", "--early-exit", "20%",
            "--calibration", "30"]  # fmt: skip
    cut = [*args, "--out", "broken", "--store", "s1"]
    assert finish(start(Path(), *cut, faults=KILLED, ENSEMBLE_SUPERVISE="0"))[0] == -9
    assert ensemble(*cut) == 0
    assert ensemble(*args, "--out", "whole", "--store", "s2") == 0
    assert Path("broken/submission.csv").read_bytes() == Path("whole/submission.csv").read_bytes()
    assert ensemble("verify-exit", "broken") == 0


def test_a_dry_run_tells_of_the_evaluations(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["run", "--members", "members", "--images", "images", "--label-map", "label_map.csv",
            "--device", "cpu", "--early-exit", "20%", "--calibration", "30"]  # fmt: skip
    assert ensemble(*args, "--dry-run") == 0
    assert "30 images get all 15 evaluations" in capsys.readouterr().out
    assert not Path(".ensemble/predictions").exists()
