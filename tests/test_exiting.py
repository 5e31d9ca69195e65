"""A run that ends images early gives the labels of one that does not, and can be checked."""

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from commands import finish, start
from conftest import ensemble, save_images, save_member, toy_card, toy_model
from onnx import numpy_helper

from ensemble import api, inventory, lineup
from ensemble.config import Recipe, saving_of
from ensemble.decision import Decision
from ensemble.errors import ScoreError, StoreError, UsageError
from ensemble.exitplan import calibrated_of
from ensemble.exits.order import Evaluation
from ensemble.files import sha256_file, sha256_json
from ensemble.publish import Submission
from ensemble.spec import Quarantined
from ensemble.watch import WATCH
from ensemble.weights import Weights

COUNT = 60


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lineup, "seconds_per_image", lambda _: 0.001)  # so that orders are alike


@pytest.fixture
def sharp(tmp_path: Path) -> list[Path]:
    """Three families of two folds that mostly agree: one map, and a little noise each."""
    rng = np.random.default_rng(5)
    paths = []
    for family in ("ant", "bee", "cow"):
        for fold in (0, 1):
            card = toy_card(f"{family}-f{fold}")
            model = toy_model(card, seed=1)
            matrix = numpy_helper.to_array(model.graph.initializer[0])
            noisy = (2 * matrix + rng.normal(0, 0.03, matrix.shape)).astype(np.float32)
            model.graph.initializer[0].CopyFrom(numpy_helper.from_array(noisy, "matrix"))
            paths.append(save_member(tmp_path / "folds", card, model))
    return paths


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return save_images(tmp_path / "many", COUNT, seed=3)


def submit(members: list[Path], images: Path, out: str, **more: Any) -> Submission:
    return api.run(members, images, out=out, device="cpu", tta=more.pop("tta", "hflip"), **more)


def record(result: Submission) -> dict[str, Any]:
    return dict(result.record["early_exit"])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"tta": "none"},
        {"tta": "d4"},
        {"merge": "gmean"},
        {"voting": "hard"},
        {"weights": {"ant": 0.5, "bee": 0.3, "cow": 0.2}},
        {"weights": {"ant": 0.5, "bee": 0.5, "cow": 0.0}},
        {"weights": Weights({"ant": 1, "bee": 1, "cow": 1}, temperature=2.0,
                            decision=Decision(prior_tau=1.0, prior=(0.5, 0.3, 0.2)))},
    ],
)  # fmt: skip
def test_lossless_gives_every_label_with_fewer_evaluations(
    sharp: list[Path], many: Path, how: dict[str, Any]
) -> None:
    full = submit(sharp, many, "full", store="plain", **how)
    early = submit(sharp, many, "early", early_exit="lossless", **how)
    assert early.labels == full.labels
    assert early.evaluations is not None
    assert early.evaluations.mean() < record(early)["stages"]
    assert (early.folder / "submission.csv").read_bytes() == (
        full.folder / "submission.csv"
    ).read_bytes()
    assert not api.verify_exit("early").faults


def test_a_multilabel_head_ends_when_each_label_is_decided(tmp_path: Path, many: Path) -> None:
    members = [
        save_member(
            tmp_path / "folds",
            (card := toy_card(f"ant-f{fold}", task="multilabel", activation="sigmoid")),
            toy_model(card, seed=1),
        )
        for fold in range(4)
    ]
    full = submit(members, many, "full", store="plain", output="binary")
    early = submit(members, many, "early", output="binary", early_exit="lossless")
    assert (early.folder / "submission.csv").read_bytes() == (
        full.folder / "submission.csv"
    ).read_bytes()
    assert record(early)["evaluations_per_image"] < 8
    assert not api.verify_exit("early").faults


@pytest.mark.parametrize("pool", ["linear", "log-linear"])
def test_a_certificate_stands_in_run_json_and_holds(
    sharp: list[Path], tmp_path: Path, pool: Any
) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    how = Weights({"ant": 0.4, "bee": 0.5, "cow": 0.3}, pool=pool)
    full = submit(sharp, images, "full", store="plain", weights=how)
    early = submit(sharp, images, "early", weights=how, early_exit="5%")
    found = record(early)["certificate"]
    assert found["epsilon"] == 0.05
    assert found["calibrated"] == 50
    assert found["threshold"] is not None
    assert record(early)["evaluations_per_image"] < 12
    differ = sum(a != b for a, b in zip(early.labels, full.labels, strict=True))
    assert differ <= 15
    assert "with 95 % confidence" in record(early)["words"]
    assert not api.verify_exit(early).faults


def test_where_nothing_certifies_only_the_lossless_rule_ends_images(
    sharp: list[Path], many: Path
) -> None:
    full = submit(sharp, many, "full", store="plain")
    early = submit(sharp, many, "early", early_exit="0.5%")
    assert early.labels == full.labels
    assert "no early exit within 0.5 %" in record(early)["words"]
    assert record(early)["certificate"]["threshold"] is None


def test_calibrated_images_get_every_evaluation_and_are_the_drawn_ones(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="20%", calibration=20)
    assert early.evaluations is not None
    assert (early.evaluations == 12).sum() >= 20
    assert record(early)["certificate"]["calibrated"] == 20


def test_a_budget_of_evaluations_is_kept(sharp: list[Path], tmp_path: Path) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    early = submit(sharp, images, "early", evals_per_image=3, shard_size=40)
    assert early.evaluations is not None
    assert early.evaluations.mean() == pytest.approx(3, abs=0.15)
    assert "nothing is certified" in record(early)["words"]
    assert not api.verify_exit("early").faults


def test_a_budget_too_small_for_its_calibration_is_refused(sharp: list[Path], many: Path) -> None:
    with pytest.raises(UsageError, match="give 3.75 or more"):
        submit(sharp, many, "early", evals_per_image=2, calibration=15)


def test_a_time_budget_that_is_long_costs_no_label(sharp: list[Path], many: Path) -> None:
    full = submit(sharp, many, "full", store="plain")
    early = submit(sharp, many, "early", time_budget="1h")
    assert early.labels == full.labels


def test_a_time_budget_counts_from_the_start_of_the_supervisor(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"pipe": -1, "pid": 1, "began": time.monotonic() - 3600, "suspects": [], "poison": []}
    monkeypatch.setenv(WATCH, json.dumps(told))
    with pytest.raises(UsageError, match="a time budget of 3000 s is too small"):
        submit(sharp, many, "early", time_budget="50m")


def test_a_time_budget_too_short_is_refused_with_what_it_takes(
    sharp: list[Path], many: Path
) -> None:
    with pytest.raises(UsageError, match="so give 2s or more"):
        submit(sharp, many, "early", time_budget="1s")


def test_shards_threads_and_batches_change_no_label(sharp: list[Path], many: Path) -> None:
    one = submit(sharp, many, "one", early_exit="20%", store="s1")
    other = submit(
        sharp, many, "other", early_exit="20%", store="s2", shard_size=7, threads=1, batch_size=3
    )
    assert one.labels == other.labels
    assert one.evaluations is not None
    assert other.evaluations is not None
    assert one.evaluations.tolist() == other.evaluations.tolist()


def test_stored_predictions_are_used_and_cost_nothing(sharp: list[Path], many: Path) -> None:
    full = submit(sharp, many, "full")
    early = submit(sharp, many, "early", early_exit="lossless")
    assert early.labels == full.labels
    assert early.record["evaluations"] == 0
    assert "early_exit" not in early.record, "every evaluation is there already"
    some = submit(sharp[:2], many, "some", store="other")
    assert some.record["evaluations"] == 120
    mixed = submit(sharp, many, "mixed", store="other", early_exit="lossless")
    assert mixed.labels == full.labels
    assert record(mixed)["stages"] == 2 + 8, "a stored member is one evaluation with all its views"
    assert len(record(mixed)["stored"]) == 2
    paid = mixed.evaluations.sum() if mixed.evaluations is not None else 0
    assert 0 < mixed.record["evaluations"] < paid  # type: ignore[operator]


def test_broken_images_are_quarantined_also_in_the_calibration(
    sharp: list[Path], many: Path
) -> None:
    for number in range(1, COUNT, 3):
        (many / f"img{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    full = submit(sharp, many, "full", store="plain", fill="cat")
    early = submit(sharp, many, "early", fill="cat", early_exit="30%", calibration=15)
    assert [q.id for q in early.quarantined] == [q.id for q in full.quarantined]
    assert early.ids == full.ids
    assert not api.verify_exit("early").faults


def test_the_predictions_hold_labels_and_evaluations_and_no_probabilities(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="lossless")
    table = pq.read_table("early/predictions.parquet")
    assert table.column_names == ["id", "label", "n_evals"]
    assert early.probs.shape == (COUNT, 0)
    assert list(early.frame.columns) == ["id", "label", "n_evals"]
    with pytest.raises(UsageError, match="images ended early"):
        api.vote("early", out="again")
    assert ensemble("vote", "--predictions", "early/predictions.parquet", "--out", "again") == 2


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"early_exit": "lossless", "output": "probs"}, "probabilities change"),
        ({"early_exit": "0.5%", "output": "probs"}, "probabilities change"),
        ({"early_exit": "lossless", "voting": "geometric"}, "certified exit"),
        ({"early_exit": "soon"}, "off, lossless or a share"),
        ({"early_exit": "0.5"}, "did you mean 50% or 0.5%"),
        ({"early_exit": 0.05}, "expected a text"),
        ({"evals_per_image": "6"}, "is a number"),
        ({"time_budget": 30}, "expected a text"),
        ({"early_exit": "1%", "confidence": "5%"}, "50% or more"),
        ({"early_exit": "1%", "calibration": 2}, "can certify nothing"),
        ({"early_exit": "100%"}, "less than 100%"),
        ({"early_exit": "1%", "confidence": "sure"}, "confidence 'sure'"),
        ({"time_budget": "tomorrow"}, "2h30m"),
        ({"time_budget": "1h", "evals_per_image": 3}, "two budgets"),
        ({"evals_per_image": 0.5}, "at least 1"),
        ({"calibration": 5}, "goes with"),
        ({"early_exit": "lossless", "on_nan": "drop-member"}, "--on-nan fail"),
    ],
)
def test_what_has_no_meaning_is_refused_with_the_reason(
    sharp: list[Path], many: Path, how: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        submit(sharp, many, "early", **how)
    assert not Path(".ensemble/predictions").exists()


def broken(folder: Path, numbers: range) -> None:
    for number in numbers:
        (folder / f"img{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")


@pytest.mark.parametrize("how", [{"early_exit": "lossless"}, {"early_exit": "20%"},
                                 {"evals_per_image": 3}, {"time_budget": "1h"}])  # fmt: skip
@pytest.mark.parametrize("numbers", [range(1, 11), range(1, COUNT + 1)])
def test_a_shard_of_broken_images_is_quarantined(
    sharp: list[Path], many: Path, how: dict[str, Any], numbers: range
) -> None:
    broken(many, numbers)
    early = submit(sharp[:3], many, "early", shard_size=10, **how)
    assert len(early.quarantined) == len(numbers)
    assert len(early.ids) == COUNT - len(numbers)
    assert not api.verify_exit("early").faults


def test_an_image_that_a_stored_member_lacks_is_quarantined(sharp: list[Path], many: Path) -> None:
    good = (many / "img7.png").read_bytes()
    broken(many, range(7, 8))
    submit(sharp[:2], many, "some")
    partitions = list(Path(".ensemble/predictions").iterdir())
    (many / "img7.png").write_bytes(good)
    submit(sharp[:2], many, "again")
    for folder in set(Path(".ensemble/predictions").iterdir()) - set(partitions):
        mark = next(folder.glob("part-*.json"))
        kept = json.loads(mark.read_text())
        table = pq.read_table(mark.with_suffix(".parquet"))
        left = table.filter(pa.compute.not_equal(table["id"], "img7"))
        pq.write_table(left, mark.with_suffix(".parquet"))
        lost = Quarantined("img7", "img7.png", "decode", "crash", "it crashed then", "ab", 1)
        kept |= {"rows": COUNT - 1, "quarantined": [asdict(lost)], "check": None}
        kept["sha256"] = sha256_file(mark.with_suffix(".parquet"))
        del kept["check"]
        mark.write_text(json.dumps({**kept, "check": sha256_json(kept)}))
    early = submit(sharp, many, "early", early_exit="lossless")
    assert [q.id for q in early.quarantined] == ["img7"]
    assert not api.verify_exit("early").faults


def test_a_broken_calibrated_image_voids_no_certificate(sharp: list[Path], tmp_path: Path) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    broken(images, range(1, 301, 9))
    early = submit(sharp, images, "early", early_exit="5%")
    assert record(early)["certificate"]["calibrated"] == 50
    assert record(early)["certificate"]["threshold"] is not None
    assert not api.verify_exit("early").faults


def test_a_budget_is_kept_also_where_nothing_can_be_certified(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="0.5%", evals_per_image=4, shard_size=8)
    assert record(early)["evaluations_per_image"] == pytest.approx(4, abs=0.6)
    assert record(early)["certificate"] is None
    assert "nothing is certified" in record(early)["words"]


def test_a_budget_that_pays_for_more_than_the_certificate_needs_is_no_spending(
    sharp: list[Path], tmp_path: Path
) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    alone = submit(sharp, images, "alone", early_exit="5%", store="s1")
    beside = submit(sharp, images, "beside", early_exit="5%", evals_per_image=11, store="s2")
    assert record(beside)["certificate"] is not None
    assert record(beside)["evaluations_per_image"] < 11
    assert record(alone)["certificate"]["threshold"] is not None


def test_the_same_command_after_a_full_run_gives_the_same_labels(
    sharp: list[Path], many: Path
) -> None:
    first = submit(sharp, many, "first", early_exit="20%")
    submit(sharp, many, "full")
    again = submit(sharp, many, "first", early_exit="20%")
    assert again.labels == first.labels
    assert record(again) == record(first)


def test_parts_without_their_plan_are_not_read_by_another(sharp: list[Path], many: Path) -> None:
    first = submit(sharp, many, "first", early_exit="lossless")
    Path(".ensemble/predictions", record(first)["key"], "plan.json").unlink()
    with pytest.raises(StoreError, match="plan.json cannot be read"):
        submit(sharp, many, "first", early_exit="lossless")


def test_a_run_without_calibration_leaves_no_other_key(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    assert len(list(Path(".ensemble/predictions").iterdir())) == 1


def test_a_member_that_gives_nan_fails_the_run(sharp: list[Path], many: Path) -> None:
    card = toy_card("ant-f0")
    model = toy_model(card, seed=1)
    matrix = np.full((192, 3), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    save_member(Path("folds"), card, model)
    with pytest.raises(ScoreError, match="NaN"):
        submit(sharp, many, "early", early_exit="lossless")


@pytest.mark.parametrize(
    "how",
    [("--early-exit", "20%"), ("--evals-per-image", "4")],
)
def test_a_killed_run_goes_on_and_gives_the_same_labels(
    sharp: list[Path], many: Path, how: tuple[str, str]
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu",
            "--shard-size", "10", *how]  # fmt: skip
    killing = (
        "import os, ensemble.files as files, ensemble.lineup as lineup\n"
        "lineup.seconds_per_image = lambda _: 0.001\n"
        "publish = files.publish\n"
        "def cut(path, write):\n"
        "    if path.name == 'part-00003.json': os.kill(os.getpid(), 9)\n"
        "    publish(path, write)\n"
        "files.publish = cut\n"
    )
    broken = [*args, "--out", "broken", "--store", "s1"]
    killed = start(Path(), *broken, faults=killing, ENSEMBLE_SUPERVISE="0")
    assert finish(killed)[0] == -9
    assert ensemble(*broken) == 0
    assert ensemble(*args, "--out", "whole", "--store", "s2") == 0
    assert Path("broken/submission.csv").read_bytes() == Path("whole/submission.csv").read_bytes()
    both = [pq.read_table(f"{out}/predictions.parquet") for out in ("broken", "whole")]
    assert both[0]["n_evals"].to_pylist() == both[1]["n_evals"].to_pylist()
    made = [
        json.loads(Path(out, "run.json").read_text())["evaluations"] for out in ("broken", "whole")
    ]
    assert made[0] < made[1], "what was committed was not made again"
    assert not api.verify_exit("broken").faults


def test_another_rule_or_vote_never_uses_what_an_early_exit_kept(
    sharp: list[Path], many: Path
) -> None:
    others: list[dict[str, Any]] = [
        {}, {"confidence": "90%"}, {"early_exit": "30%"}, {"voting": "hard"}, {"tta": "vflip"},
        {"weights": {"ant": 0.5, "bee": 0.3, "cow": 0.2}}, {"evals_per_image": 5},
    ]  # fmt: skip
    keys = [
        record(submit(sharp[::2], many, f"out{n}", **{"early_exit": "20%", **how}))["key"]
        for n, how in enumerate(others)
    ]
    assert len(set(keys)) == len(keys)


def test_a_dry_run_tells_how_many_images_are_calibrated_and_writes_nothing(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu"]
    assert ensemble(*args, "--early-exit", "20%", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "early exit: 12 images get all 12 evaluations" in said
    assert "ant-f0: 120 evaluations" in said
    assert not Path(".ensemble").exists()


def test_the_store_keeps_what_an_early_exit_refers_to(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "runs/early", early_exit="20%")
    held = inventory.inventory(Path(".ensemble"), [Path("runs")])
    assert len(held) == 2
    assert all(entry.runs == ("runs/early",) for entry in held)
    assert not inventory.garbage(Path(".ensemble"), [Path("runs")]).keys
    assert not inventory.garbage(Path(".ensemble")).keys


@pytest.mark.parametrize(
    ("early_exit", "budget", "images", "stages", "expected"),
    [
        ("lossless", {}, 1000, 20, 0),
        ("0.5%", {}, 10_000, 20, 570),
        ("0.5%", {"calibration": 80}, 10_000, 20, 80),
        ("0.5%", {}, 100, 20, 0),
        ("off", {"time_budget": "1h"}, 10_000, 20, 300),
        ("off", {"evals_per_image": 2}, 1000, 20, 25),
        ("0.5%", {"evals_per_image": 2}, 10_000, 20, 250),
        ("0.5%", {"evals_per_image": 4}, 10_000, 20, 570),
        ("0.5%", {"time_budget": "12.1s"}, 10_000, 20, 151),
        ("off", {"time_budget": "1h"}, 3, 20, 1),
    ],
)
def test_as_few_images_are_calibrated_as_will_do(
    early_exit: str, budget: dict[str, Any], images: int, stages: int, expected: int
) -> None:
    saving = saving_of(Recipe((), (), early_exit=early_exit, **budget))
    assert saving is not None
    evaluations = [Evaluation(str(n), "ant", 0, 1.0, 0.001) for n in range(stages)]
    assert calibrated_of(saving, images, evaluations) == expected


def tampered(folder: str, column: str) -> None:
    """Change one row of what the run published."""
    path = Path(folder, "predictions.parquet")
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[3] = {"label": "dog" if values[3] != "dog" else "cat", "n_evals": 2}[column]
    at = table.column_names.index(column)
    field = table.schema.field(column)
    pq.write_table(table.set_column(at, field, pa.array(values, field.type)), path)


@pytest.mark.parametrize(("column", "words"), [("label", "label"), ("n_evals", "n_evals")])
def test_a_label_that_was_changed_is_found(
    sharp: list[Path], many: Path, column: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    tampered("early", column)
    found = api.verify_exit("early")
    assert len(found.faults) == 1
    assert words in found.faults[0]
    assert ensemble("verify-exit", "early") == 5
    assert "1 rows have another" in capsys.readouterr().err


def test_exits_that_were_too_early_for_the_rule_are_found(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    submit(sharp, many, "bold", evals_per_image=2, store="bold")
    record = json.loads(Path("bold/run.json").read_text())
    record["early_exit"]["rule"] = "lossless"
    Path("bold/run.json").write_text(json.dumps(record))
    assert "which is all that lossless allows" in api.verify_exit("bold").faults[0]


def test_a_submission_that_was_changed_is_found(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    with Path("early/submission.csv").open("a") as stream:
        stream.write("more,cat\n")
    assert "submission.csv" in api.verify_exit("early").faults[0]


def test_a_label_that_was_changed_in_the_submission_and_its_hash_is_found(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    path, told = Path("early/submission.csv"), Path("early/run.json")
    header, first, *rest = path.read_text().splitlines()
    name, label = first.split(",")
    other = f"{name},{'dog' if label == 'cat' else 'cat'}"
    path.write_text("\n".join([header, other, *rest]) + "\n")
    changed = json.loads(told.read_text()) | {"submission_sha256": sha256_file(path)}
    told.write_text(json.dumps(changed))
    assert ensemble("verify-exit", "early") == 5
    said = capsys.readouterr()
    assert f"another label than was decided in 1 rows: {name}" in said.err
    assert f"{COUNT} rows were checked: 1 fault\n" in said.out


def test_a_run_whose_store_is_gone_cannot_be_checked(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    shutil.rmtree(".ensemble")
    with pytest.raises(UsageError, match="does not hold"):
        api.verify_exit("early")


def test_a_run_without_early_exit_has_nothing_to_check(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "full")
    with pytest.raises(UsageError, match="every image got every evaluation"):
        api.verify_exit("full")
