"""A run that ends images early gives the labels of one that does not, and can be checked."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from exit_runs import COUNT, record, submit
from processes import finish, start
from toys import CLASSES, ensemble, save_member, toy_card, toy_model

from ensemble.api.results import verify_exit
from ensemble.api.vote import vote
from ensemble.errors import UsageError
from ensemble.predictions import garbage, inventory
from ensemble.voting.decision import Decision
from ensemble.voting.weights import Weights

pytestmark = pytest.mark.usefixtures("alike")


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
    assert not verify_exit("early").faults


@pytest.mark.parametrize("form", ["wide", "list", "melted"])
def test_a_multilabel_head_ends_when_each_label_is_decided(
    tmp_path: Path, many: Path, form: str
) -> None:
    members = [
        save_member(
            tmp_path / "folds",
            (card := toy_card(f"ant-f{fold}", task="multilabel", activation="sigmoid")),
            toy_model(card, seed=1),
        )
        for fold in range(4)
    ]
    rows = [f"{image.stem}_{name},0\n" for image in many.iterdir() for name in CLASSES]
    Path("s.csv").write_text("id,value\n" + "".join(rows))
    said = {"output": "labels"} if form == "list" else {"output": "binary"}
    said |= {"sample": "s.csv"} if form == "melted" else {}
    full = submit(members, many, "full", store="plain", **said)
    early = submit(members, many, "early", early_exit="lossless", **said)
    assert (early.folder / "submission.csv").read_bytes() == (
        full.folder / "submission.csv"
    ).read_bytes()
    assert record(early)["evaluations_per_image"] < 8
    assert not verify_exit("early").faults


def test_a_time_budget_that_is_long_costs_no_label(sharp: list[Path], many: Path) -> None:
    full = submit(sharp, many, "full", store="plain")
    early = submit(sharp, many, "early", time_budget="1h")
    assert early.labels == full.labels
    assert not verify_exit("early").faults


def test_the_predictions_hold_labels_and_evaluations_and_no_probabilities(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="lossless")
    table = pq.read_table("early/predictions.parquet")
    assert table.column_names == ["id", "label", "n_evals"]
    assert early.probs.shape == (COUNT, 0)
    assert list(early.frame.columns) == ["id", "label", "n_evals"]
    with pytest.raises(UsageError, match="images ended early"):
        vote("early", out="again")
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
        ({"early_exit": "lossless", "time_budget": "1h"}, "leave the budget out"),
        ({"early_exit": "lossless", "evals_per_image": 3}, "early_exit off"),
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


def test_a_lossless_rule_of_the_recipe_file_is_refused_with_the_budget_of_a_flag(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("ensemble.toml").write_text('early_exit = "lossless"\n')
    args = ["run", "--members", "folds", "--images", "many", "--time-budget", "1h"]
    assert ensemble(*args) == 2
    assert "early_exit lossless keeps every label" in capsys.readouterr().err
    assert ensemble(*args, "--early-exit", "off", "--dry-run") == 0


def test_the_same_command_after_a_full_run_gives_the_same_labels(
    sharp: list[Path], many: Path
) -> None:
    first = submit(sharp, many, "first", early_exit="20%")
    submit(sharp, many, "full")
    again = submit(sharp, many, "first", early_exit="20%")
    assert again.labels == first.labels
    assert record(again) == record(first)


def test_a_run_without_calibration_leaves_no_other_key(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    assert len(list(Path(".ensemble/predictions").iterdir())) == 1


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


@pytest.mark.parametrize(
    "how",
    [("--early-exit", "20%"), ("--evals-per-image", "4")],
)
def test_a_killed_run_goes_on_and_gives_the_same_labels(
    sharp: list[Path], many: Path, how: tuple[str, str]
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu",
            "--shard-size", "10", *how]  # fmt: skip
    broken = [*args, "--out", "broken", "--store", "s1"]
    killed = start(Path(), *broken, faults=KILLED, ENSEMBLE_SUPERVISE="0")
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
    assert not verify_exit("broken").faults


def test_a_budget_goes_on_by_the_shards_it_began_with_whatever_size_is_asked_for(
    sharp: list[Path], many: Path
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu",
            "--evals-per-image", "2.5"]  # fmt: skip
    broken = [*args, "--out", "broken", "--store", "s1", "--shard-size"]
    killed = start(Path(), *broken, "5", faults=KILLED, ENSEMBLE_SUPERVISE="0")
    assert finish(killed)[0] == -9
    assert ensemble(*broken, "60") == 0
    assert ensemble(*args, "--out", "whole", "--store", "s2", "--shard-size", "5") == 0
    both = [pq.read_table(f"{out}/predictions.parquet") for out in ("broken", "whole")]
    assert both[0]["n_evals"].to_pylist() == both[1]["n_evals"].to_pylist()
    assert both[0]["label"].to_pylist() == both[1]["label"].to_pylist()


def test_the_store_keeps_what_an_early_exit_refers_to(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "runs/early", early_exit="20%")
    held = inventory.inventory(Path(".ensemble"), [Path("runs")])
    assert len(held) == 2
    assert all(entry.runs == ("runs/early",) for entry in held)
    assert not garbage.garbage(Path(".ensemble"), [Path("runs")]).keys
    assert not garbage.garbage(Path(".ensemble")).keys
