"""A policy for several tasks: views apart, chosen, and run as its views and weights would."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from task_toys import LABELS, label_map, save_all, save_pictures
from toys import ensemble

import ensemble as package
from ensemble.api.results import verify_exit
from ensemble.early_exit import forecast, planning
from ensemble.errors import UsageError

FLAGS = {"device": "cpu", "progress": None}


TTA = "decades=none,joint=hflip,kinds=none,three=hflip,turns=none"
TASKS = ("decades", "kinds", "turns")
"""Families that answer a task each, so a policy of them runs all three."""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members of every kind, images of every label in each fold, and the map."""
    monkeypatch.chdir(tmp_path)
    save_all(Path("members"))
    label_map(Path())
    ids = [path.stem for path in save_pictures(Path("train"), 80, seed=1)]
    save_pictures(Path("images"), 6)
    rows = [f"{name},{LABELS[n // 2 % len(LABELS)]},{n % 2}" for n, name in enumerate(ids)]
    Path("train.csv").write_text("\n".join(["id,label,fold", *rows]))


def choose(members: Sequence[Path], tta: str) -> package.Policy:
    """Keep the views of members apart in views.parquet, and choose policy.json."""
    flags = ("--images", "train", "--folds", "train.csv", "--device", "cpu", "--tta", tta)
    assert ensemble("oof", "--members", *map(str, members), *flags, "--keep-views", "--label-map",
                    "label_map.csv", "--out", "views.parquet") == 0  # fmt: skip
    assert ensemble("choose", "--oof", "views.parquet", "--labels", "train.csv",
                    "--label-map", "label_map.csv") == 0  # fmt: skip
    return package.Policy.load("policy.json")


@pytest.fixture
def chosen() -> package.Policy:
    """The policy of all members."""
    return choose(sorted(Path("members").glob("*.onnx")), TTA)


@pytest.fixture
def by_task() -> package.Policy:
    """The policy of families that answer a task each."""
    members = [path for name in TASKS for path in sorted(Path("members").glob(f"{name}*.onnx"))]
    return choose(members, "none")


def test_a_policy_of_tasks_runs_as_its_views_weights_and_members_would(
    chosen: package.Policy,
) -> None:
    by_policy = package.run("members", "images", policy="policy.json", output="probs", out="one",
                            **FLAGS)  # type: ignore[arg-type]  # fmt: skip
    names = [f"members/{family}-f{fold}.onnx"
             for family, own in chosen.families.items() for fold in own.members]  # fmt: skip
    by_hand = package.run(names, "images", tta=chosen.tta, weights=chosen.weights,
                          label_map="label_map.csv", output="probs", out="two", store="other",
                          **FLAGS)  # type: ignore[arg-type]  # fmt: skip
    np.testing.assert_array_equal(by_policy.probs, by_hand.probs)
    assert by_policy.probs is not None
    assert by_policy.probs.shape == (6, len(LABELS))


def run_by_task(out: str, **more: object) -> package.Submission:
    members = [str(path) for name in TASKS for path in Path("members").glob(f"{name}*.onnx")]
    return package.run(members, "train", policy="policy.json", out=out, **FLAGS,
                       **more)  # type: ignore[arg-type]  # fmt: skip


def test_an_early_exit_of_a_policy_of_tasks_keeps_its_bound(
    by_task: package.Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (planning, forecast):  # so that orders are alike
        monkeypatch.setattr(module, "seconds_per_image", lambda _: 0.001)
    whole = run_by_task("whole", store="other")
    early = run_by_task("early", early_exit="20%")
    told = early.record["early_exit"]
    assert by_task.evaluations == len(TASKS) * 2
    assert told["evaluations_per_image"] < by_task.evaluations
    assert early.ids == whole.ids
    differing = sum(a != b for a, b in zip(early.labels, whole.labels, strict=True))
    assert differing <= 0.2 * len(whole.labels)
    assert not verify_exit("early").faults


def test_an_early_exit_of_a_policy_of_tasks_that_is_to_be_lossless_is_refused(
    by_task: package.Policy,
) -> None:
    with pytest.raises(UsageError, match="certified exit"):
        run_by_task("early", early_exit="lossless")


def test_a_run_of_another_label_map_is_refused(
    chosen: package.Policy, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Path("label_map.csv").read_text().splitlines()
    Path("other.csv").write_text("\n".join(line.replace("bag", "sack") for line in lines))
    assert ensemble("run", "--members", "members", "--images", "images", "--device", "cpu",
                    "--policy", "policy.json", "--label-map", "other.csv") == 2  # fmt: skip
    assert "label map" in " ".join(capsys.readouterr().err.split())


def test_views_apart_of_tasks_tune_weights_as_their_merge_does(chosen: package.Policy) -> None:
    assert ensemble("tune-weights", "--oof", "views.parquet", "--labels", "train.csv",
                    "--label-map", "label_map.csv", "--out", "w.json") == 0  # fmt: skip
    assert json.loads(Path("w.json").read_text())["joint"]


def test_files_of_several_heads_without_a_label_map_are_refused(
    chosen: package.Policy,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ensemble("choose", "--oof", "views.parquet", "--labels", "train.csv") == 2
    assert "give --label-map" in " ".join(capsys.readouterr().err.split())
