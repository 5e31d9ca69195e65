"""Several tasks at the command line: runs, votes, scores, folds, inspect; and in Python."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
from task_toys import AGES, KINDS, LABELS, TURNS, label_map, save_all, save_pictures
from toys import ensemble

import ensemble as package

Captured = pytest.CaptureFixture[str]
MAP = ("--label-map", "label_map.csv")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_all(Path("members"))
    save_pictures(Path("images"), 12)
    label_map(Path())


def run(*more: str, out: str = "out") -> int:
    return ensemble("run", "--members", "members", *MAP, "--out", out, *more)


def rows(out: str = "out") -> dict[str, str]:
    with Path(out, "submission.csv").open() as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file)}


def record(out: str = "out") -> dict[str, object]:
    return dict(json.loads(Path(out, "run.json").read_text()))


def test_a_run_writes_one_label_an_image_and_says_what_is_cut_hard(capsys: Captured) -> None:
    assert run() == 0
    assert set(rows().values()) <= set(LABELS)
    assert "three/age: its values are cut hard" in capsys.readouterr().err
    told = record()
    assert told["answered"] == {
        "age": ["decades", "three/age"], "kind": ["kinds", "three/kind"], "label": ["joint"],
        "turn": ["three/turn", "turns"],
    }  # fmt: skip


def test_a_declared_spread_is_no_hard_cut(capsys: Captured) -> None:
    assert run("--tasks", "age = {spread = 4}") == 0
    assert "cut hard" not in capsys.readouterr().err


def test_the_recipe_file_declares_tasks(capsys: Captured) -> None:
    Path("ensemble.toml").write_text('label_map = "label_map.csv"\n[tasks.age]\nspread = 4\n')
    assert ensemble("run", "--members", "members", "--out", "out") == 0
    assert "cut hard" not in capsys.readouterr().err


def test_a_vote_on_a_run_is_the_run(capsys: Captured) -> None:
    run("--tasks", "age = {spread = 4}")
    assert ensemble("vote", "out", "--out", "again") == 0
    assert rows("again") == rows()
    assert ensemble("vote", "out", "--voting", "hard", "--out", "hard") == 0
    assert set(rows("hard").values()) <= set(LABELS)


def test_a_vote_may_read_the_map_otherwise() -> None:
    run()
    assert ensemble("vote", "out", "--tasks", "age = {cuts = [29, 58]}", "--out", "moved") == 0
    assert record("moved")["label_map"] != record()["label_map"]


def test_no_order_of_members_tasks_or_rows_changes_a_byte() -> None:
    run(out="first")
    every = [(k, t, a) for k in KINDS for t in TURNS for a in AGES]
    lines = [(a, label, t, k) for label, (k, t, a) in zip(LABELS, every, strict=True)]
    table = [("age", "label", "turn", "kind"), *lines[::-1]]
    Path("turned.csv").write_text("\n".join(map(",".join, table)))
    members = sorted(map(str, Path("members").glob("*.onnx")), reverse=True)
    assert ensemble("run", "--members", *members, "--label-map", "turned.csv", "--out", "two") == 0
    first, second = (Path(out, "submission.csv").read_bytes() for out in ("first", "two"))
    assert first == second


def test_inspect_tells_who_answers_what(capsys: Captured) -> None:
    assert ensemble("inspect", "members", *MAP) == 0
    told = capsys.readouterr().err
    assert "age: decades, three" in told
    assert "label: joint" in told


def test_without_the_map_these_members_do_not_go_together(capsys: Captured) -> None:
    assert ensemble("inspect", "members") == 4
    assert "joint-f0 has no head 'age'" in capsys.readouterr().err


def test_a_task_that_nobody_answers_ends_before_any_image(capsys: Captured) -> None:
    members = [str(path) for path in Path("members").glob("kinds*.onnx")]
    assert ensemble("run", "--members", *members, *MAP, "--out", "out") == 2
    assert "no member answers the task age, turn" in capsys.readouterr().err


def labels(train: list[Path]) -> None:
    """Write the truth of training images: a column a task, each label as often as another."""
    every = [(k, t, a) for k in KINDS for t in TURNS for a in ("17", "30", "61.5")]
    lines = [("id", "kind", "turn", "age")]
    lines += [(path.stem, *every[number % 18]) for number, path in enumerate(train)]
    Path("labels.csv").write_text("\n".join(map(",".join, lines)))


def test_folds_are_stratified_by_the_label_that_the_tasks_make() -> None:
    train = save_pictures(Path("train"), 200, seed=3)
    labels(train)
    assert ensemble("folds", "labels.csv", *MAP, "--k", "2") == 0
    with Path("labels.csv").open() as file:
        truth = {r["id"]: (r["kind"], r["turn"], r["age"]) for r in csv.DictReader(file)}
    with Path("folds.csv").open() as file:
        folds = {r["id"]: r["fold"] for r in csv.DictReader(file)}
    for group in set(truth.values()):
        held = [folds[name] for name in truth if truth[name] == group]
        assert abs(held.count("0") - held.count("1")) <= 1


def test_oof_weights_and_scores_go_by_the_same_map(capsys: Captured) -> None:
    labels(save_pictures(Path("train"), 120, seed=3))
    assert ensemble("folds", "labels.csv", *MAP, "--k", "2") == 0
    given = ("--members", "members", *MAP, "--images", "train", "--folds", "folds.csv")
    assert ensemble("oof", *given) == 0
    tune = ("tune-weights", "--oof", "oof.parquet", *MAP, "--labels", "labels.csv")
    assert ensemble(*tune, "--metric", "accuracy", "--write", "tuned") == 0
    assert run("--weights", "weights.json") == 0
    assert "cut hard" not in capsys.readouterr().err.splitlines()[-1]
    assert ensemble("score", "oof.parquet", "labels.csv", *MAP) == 0
    told = capsys.readouterr().out
    for name in ("age", "kind", "turn", "label"):
        assert name in told


def test_a_score_has_each_task_and_the_label(capsys: Captured) -> None:
    truth = {name: LABELS[place] for place, name in enumerate("abcdefghij")}
    said = truth | {"a": "5", "b": "1"}
    for name, table in (("truth", truth), ("said", said)):
        lines = ["id,label", *(f"{i},{label}" for i, label in table.items())]
        Path(f"{name}.csv").write_text("\n".join(lines))
    assert ensemble("score", "said.csv", "truth.csv", *MAP, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    shares = {name: one["scores"]["accuracy"]["score"] for name, one in record["tasks"].items()}
    # 0 is (bag, down, <30), said to be 5, (bag, up, >=60)
    assert shares == {"kind": 1.0, "turn": 0.9, "age": 0.9}
    assert record["scores"]["accuracy"]["score"] == 0.9


def test_weights_go_with_their_map_only(capsys: Captured) -> None:
    labels(save_pictures(Path("train"), 120, seed=3))
    ensemble("folds", "labels.csv", *MAP, "--k", "2")
    ensemble("oof", "--members", "members", *MAP, "--images", "train", "--folds", "folds.csv")
    ensemble("tune-weights", "--oof", "oof.parquet", *MAP, "--labels", "labels.csv")
    capsys.readouterr()
    moved = ("--tasks", "age = {cuts = [29, 58]}")
    assert run("--weights", "weights.json", *moved) == 2
    assert "another label map: cuts of age: (30.0, 60.0), here (29.0, 58.0)" in (
        capsys.readouterr().err
    )
    alone = ("--members", "members/joint-f0.onnx", "--weights", "weights.json", "--out", "x")
    assert ensemble("run", *alone) == 2
    assert "give it, by --label-map" in capsys.readouterr().err
    assert run("--weights", "joint=1") == 2
    assert "the weights know of no label map" in capsys.readouterr().err


def test_python_takes_frames_and_mappings() -> None:
    frame = pd.read_csv("label_map.csv", dtype=str)
    result = package.run(
        "members", label_map=frame, tasks={"age": {"spread": 4}}, out="frame", progress=None
    )
    run("--tasks", "age = {spread = 4}")
    assert dict(zip(result.ids, result.labels, strict=True)) == rows()


def test_python_tunes_and_votes_on_what_it_predicted() -> None:
    labels(save_pictures(Path("train"), 120, seed=3))
    ensemble("folds", "labels.csv", *MAP, "--k", "2")
    oof = package.predict_oof(
        "members", "train", "folds.csv", label_map="label_map.csv", progress=None
    )
    weights = package.tune_weights(oof, "labels.csv", metric="accuracy", progress=None)
    assert weights.joint is not None
    result = package.run(
        "members", label_map="label_map.csv", weights=weights, out="tuned", progress=None
    )
    assert len(result.labels) == 12


def cells(out: str) -> list[dict[str, str]]:
    with Path(out, "submission.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_sample_of_tasks_is_filled_task_by_task() -> None:
    ids = [f"img{number}" for number in range(12)]
    lines = ["id,turn,kind,age", *(f"{name},up,bag,<30" for name in ids)]
    Path("sample.csv").write_text("\n".join(lines))
    assert run("--sample", "sample.csv") == 0
    found = cells("out")
    assert [row["id"] for row in found] == ids
    for name, classes in (("kind", KINDS), ("turn", TURNS), ("age", AGES)):
        assert {row[name] for row in found} <= set(classes)


def test_a_melted_sample_of_tasks_has_a_row_a_pair() -> None:
    pairs = [f"img{number}_{task}" for number in range(12) for task in ("kind", "age")]
    classes = {"kind": "bag", "age": "<30"}
    lines = ["id,value", *(f"{pair},{classes[pair.rpartition('_')[2]]}" for pair in pairs)]
    Path("sample.csv").write_text("\n".join(lines))
    assert run("--sample", "sample.csv") == 0
    found = {row["id"]: row["value"] for row in cells("out")}
    assert list(found) == pairs
    assert found["img0_age"] in AGES
    assert found["img3_kind"] in KINDS


def test_a_wide_sample_of_labels_has_their_probabilities() -> None:
    zeros = ",".join(["0"] * 18)
    lines = [f"id,{','.join(LABELS)}", *(f"img{number},{zeros}" for number in range(12))]
    Path("sample.csv").write_text("\n".join(lines))
    assert run("--sample", "sample.csv") == 0
    for row in cells("out"):
        assert sum(float(row[label]) for label in LABELS) == pytest.approx(1, abs=1e-6)


def marginal(result: package.Submission, place: int) -> dict[str, str]:
    """The class of a task that the labels speak for in sum, by the map as pandas reads it."""
    frame = pd.read_csv("label_map.csv", dtype=str).set_index("label")
    shares = pd.DataFrame(result.probs, list(result.ids), list(result.classes)).T
    sums = shares.groupby(frame.iloc[:, place]).sum()
    return {name: str(sums[name].idxmax()) for name in result.ids}


def test_a_sample_of_tasks_has_the_class_of_each_by_name_or_number() -> None:
    names = sorted(path.stem for path in Path("images").iterdir())
    lines = "".join(f"{name},<30,bag\n" for name in reversed(names))
    Path("sample.csv").write_text(f"id,age,kind\n{lines}")
    result = package.run("members", label_map="label_map.csv", sample="sample.csv", out="out")
    found = pd.read_csv("out/submission.csv", dtype=str)
    assert found["id"].tolist() == names[::-1]
    assert dict(zip(found["id"], found["kind"], strict=True)) == marginal(result, 0)
    assert dict(zip(found["id"], found["age"], strict=True)) == marginal(result, 2)
    scored = package.score_submission("out", marginal(result, 0), label_col="kind")
    assert scored.lines[0].score == 1.0
    numbered = ("--labels-as", "index", "--form", "tasks", "--sample", "sample.csv")
    assert ensemble("vote", "out", *numbered, "--out", "numbers") == 0
    numbers = pd.read_csv("numbers/submission.csv", dtype=str)
    assert numbers["kind"].map(dict(zip("012", KINDS, strict=True))).equals(found["kind"])


def test_tasks_of_a_hard_vote_are_those_of_its_label() -> None:
    run("--voting", "hard")
    assert ensemble("vote", "out", "--voting", "hard", "--form", "tasks", "--out", "tasks") == 0
    frame = pd.read_csv("label_map.csv", dtype=str).set_index("label")
    found = pd.read_csv("tasks/submission.csv", dtype=str).set_index("id")
    for name, label in rows().items():
        assert found.loc[name].to_dict() == frame.loc[label].to_dict()


def test_a_dry_run_tells_who_answers_what_and_writes_nothing(capsys: Captured) -> None:
    assert run("--dry-run") == 0
    told = capsys.readouterr().out
    assert "turn: three, turns" in told
    assert "label: joint" in told
    assert not Path("out").exists()


def test_tasks_written_by_number_are_told_with_their_classes(capsys: Captured) -> None:
    lines = ["id,kind,turn", *(f"img{number},0,0" for number in range(12))]
    Path("sample.csv").write_text("\n".join(lines))
    assert run("--sample", "sample.csv", "--labels-as", "index") == 0
    assert "kind is written by number, from 0: bag, shoe, top" in capsys.readouterr().err
    assert {row["kind"] for row in cells("out")} <= {"0", "1", "2"}
