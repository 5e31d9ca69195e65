"""A policy for several tasks: views apart, chosen, and run as its views and weights would."""

import json
from pathlib import Path

import numpy as np
import pytest
from task_toys import LABELS, label_map, save_all, save_pictures
from toys import ensemble

import ensemble as package

FLAGS = {"device": "cpu", "progress": None}


@pytest.fixture(autouse=True)
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> package.Policy:
    """policy.json, of members of every kind, over images of every label in each fold."""
    monkeypatch.chdir(tmp_path)
    save_all(Path("members"))
    label_map(Path())
    ids = [path.stem for path in save_pictures(Path("train"), 80, seed=1)]
    save_pictures(Path("images"), 6)
    rows = [f"{name},{LABELS[n // 2 % len(LABELS)]},{n % 2}" for n, name in enumerate(ids)]
    Path("train.csv").write_text("\n".join(["id,label,fold", *rows]))
    tta = "decades=none,joint=hflip,kinds=none,three=hflip,turns=none"
    flags = ("--members", "members", "--images", "train", "--folds", "train.csv", "--device", "cpu")
    assert ensemble("oof", *flags, "--tta", tta, "--keep-views", "--label-map", "label_map.csv",
                    "--out", "views.parquet") == 0  # fmt: skip
    assert ensemble("choose", "--oof", "views.parquet", "--labels", "train.csv",
                    "--label-map", "label_map.csv") == 0  # fmt: skip
    return package.Policy.load("policy.json")


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


def test_a_run_of_another_label_map_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Path("label_map.csv").read_text().splitlines()
    Path("other.csv").write_text("\n".join(line.replace("bag", "sack") for line in lines))
    assert ensemble("run", "--members", "members", "--images", "images", "--device", "cpu",
                    "--policy", "policy.json", "--label-map", "other.csv") == 2  # fmt: skip
    assert "label map" in " ".join(capsys.readouterr().err.split())


def test_views_apart_of_tasks_tune_weights_as_their_merge_does() -> None:
    assert ensemble("tune-weights", "--oof", "views.parquet", "--labels", "train.csv",
                    "--label-map", "label_map.csv", "--out", "w.json") == 0  # fmt: skip
    assert json.loads(Path("w.json").read_text())["joint"]


def test_files_of_several_heads_without_a_label_map_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ensemble("choose", "--oof", "views.parquet", "--labels", "train.csv") == 2
    assert "give --label-map" in " ".join(capsys.readouterr().err.split())
