"""From files to weights: what is read and joined, and the temperature of a hold-out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from blends import ROWS, SPLIT, TRUTH, tuned_on
from numpy.typing import NDArray
from toys import CLASSES, ensemble

import ensemble as package
from ensemble.errors import UsageError
from ensemble.evaluation import metrics
from ensemble.files.csv_tables import column_of
from ensemble.predictions import table as oof
from ensemble.predictions.formats import read
from ensemble.predictions.join import join
from ensemble.predictions.oof_file import write
from ensemble.records import Task
from ensemble.tuning.tune import calibrate, tune_weights
from ensemble.tuning.weigh import TuneOrder
from ensemble.voting.decision import Decision
from ensemble.voting.vote import fuse
from ensemble.voting.weights import Pool, Weights

pytestmark = pytest.mark.usefixtures("train")


def test_the_order_of_the_files_changes_no_weight() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0, "cow": 0.1}, metric="accuracy", polish="always")
    back = tuned_on({"ant": 2.0, "bee": 1.0, "cow": 0.1}, metric="accuracy", polish="always")
    first = tune_weights(order)
    again = tune_weights(TuneOrder(list(reversed(back.files)), back.labels, "accuracy",
                                   polish="always"))  # fmt: skip
    assert again.families == first.families


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\nimg0,cat\n", "no label for img1"),
        ("id,label\n" + "\n".join(f"img{r},fox" for r in range(ROWS)), "labels that are no class"),
        ("id,label\n" + "\n".join(f"img{r},cat" for r in range(ROWS)), "f1_macro is not defined"),
        ("id,label\nimg0,cat\nimg0,cat\n", "stands in line 2 too"),
    ],
)
def test_labels_that_are_wrong_are_refused(text: str, message: str) -> None:
    Path("labels.csv").write_text(text)
    order = tuned_on({"ant": 2.0}, labels=Path("labels.csv"), metric="f1_macro")
    with pytest.raises(UsageError, match=message):
        tune_weights(order)


def test_names_are_no_truth_of_a_regression() -> None:
    ids = tuple(f"img{row}" for row in range(ROWS))
    made = oof.Oof(ids, ("age",), {"ant": np.ones((ROWS, 1))}, SPLIT, task="regression")
    write(Path("age.parquet"), made)
    order = TuneOrder([(None, Path("age.parquet"))], Path("train.csv"), "rmse")
    with pytest.raises(UsageError, match="line 2, column 'label': expected a finite number, found"):
        tune_weights(order)


def held_out(temperature: float, rows: int = 400) -> tuple[oof.Oof, NDArray[np.int64]]:
    """Rows outside the folds whose probabilities are right at some temperature."""
    rng = np.random.default_rng(8)
    scores = rng.normal(0, 2, (rows, 3))
    right = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    truth = np.array([rng.choice(3, p=p) for p in right])
    said = np.exp(scores * temperature)
    said /= said.sum(1, keepdims=True)
    ids = tuple(f"held{row}" for row in range(rows))
    found = oof.Oof(ids, CLASSES, {"ant": said, "bee": said}, deployed=True)
    return found, truth


def test_the_temperature_comes_from_rows_outside_all_folds() -> None:
    labels = column_of(Path("train.csv"), "label")
    tuned = tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="accuracy", pool="linear"))
    holdout, truth = held_out(0.5)
    found = calibrate(tuned, holdout, truth, tuple(labels))
    assert found.families == tuned.families
    assert found.temperature == pytest.approx(0.5, rel=0.2)
    assert found.evidence["holdout"]["n"] == 400
    assert found.evidence["holdout"]["log_loss"] < found.evidence["holdout"]["log_loss_before"]


def test_hold_out_files_are_read_by_the_command() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    holdout, truth = held_out(0.5)
    write(Path("holdout.parquet"), holdout)
    lines = "".join(f"{n},{CLASSES[c]}\n" for n, c in zip(holdout.ids, truth, strict=True))
    Path("held.csv").write_text("id,label\n" + lines)
    files = ["--oof", *(str(path) for _, path in order.files), "--labels", "train.csv"]
    assert ensemble("tune-weights", *files, "--holdout", "holdout.parquet", "--holdout-labels",
                    "held.csv") == 0  # fmt: skip
    written = json.loads(Path("weights.json").read_text())
    assert written["evidence"]["holdout"]["n"] == 400
    assert ensemble("tune-weights", *files, "--holdout", "holdout.parquet") == 2


def test_a_hold_out_whose_classes_come_in_another_order_is_the_same() -> None:
    tuned = tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}))
    holdout, truth = held_out(0.5)
    turned = replace(
        holdout,
        classes=CLASSES[::-1],
        families={name: probs[:, ::-1] for name, probs in holdout.families.items()},
    )
    found = calibrate(tuned, holdout, truth, ())
    again = calibrate(tuned, turned, 2 - truth, ())
    assert again.temperature == pytest.approx(found.temperature, rel=1e-9)


def test_labels_without_a_hold_out_are_refused() -> None:
    with pytest.raises(UsageError, match="--holdout-labels are of the rows of --holdout"):
        tune_weights(tuned_on({"ant": 2.0}, holdout_labels=Path("train.csv")))
    frames = {"ant": pd.DataFrame([[0.4, 0.6]], ["a"], ["cat", "dog"])}
    with pytest.raises(UsageError, match="holdout_labels are of the rows of holdout"):
        package.tune_weights(frames, {"a": "cat"}, metric="log_loss", holdout_labels={"b": "cat"})


def test_rows_that_weights_were_tuned_on_are_no_hold_out() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    tuned = tune_weights(order)
    same = join([read(path) for _, path in order.files])
    with pytest.raises(UsageError, match=r"tuned on img0.*take other rows"):
        calibrate(tuned, same, TRUTH, same.ids)


def test_a_hold_out_of_other_families_is_refused() -> None:
    tuned = tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}))
    holdout, truth = held_out(0.5)
    other = replace(holdout, families={"ant": holdout.families["ant"]})
    with pytest.raises(UsageError, match="no family for bee"):
        calibrate(tuned, other, truth, ())


def test_python_takes_a_hold_out_too() -> None:
    table = join([read(path) for _, path in tuned_on({"ant": 2.0, "bee": 1.0}).files])
    holdout, truth = held_out(0.5)
    labels = column_of(Path("train.csv"), "label")
    said = {name: CLASSES[c] for name, c in zip(holdout.ids, truth, strict=True)}
    found = package.tune_weights(
        table, labels, metric="log_loss", holdout=holdout, holdout_labels=said
    )
    assert "holdout" in found.evidence


def test_a_new_temperature_changes_no_label_of_a_prior_rule() -> None:
    holdout, truth = held_out(0.5)
    rule = Decision(0.6, (0.5, 0.3, 0.2))
    tuned = Weights({"ant": 0.7, "bee": 0.3}, temperature=2.0, decision=rule, classes=CLASSES)
    found = calibrate(tuned, holdout, truth, ())
    assert found.temperature != tuned.temperature
    ballots = holdout.ballots
    before, after = (fuse(ballots, "soft", w, "classification").labels for w in (tuned, found))
    np.testing.assert_array_equal(after, before)


def test_cut_points_do_not_go_with_a_hold_out() -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 1, "bee": 1}, decision=Decision(cut_points=(0.5, 1.5)))
    with pytest.raises(UsageError, match="cut points"):
        calibrate(tuned, holdout, truth, ())


def test_the_loss_before_a_hold_out_is_that_of_the_vote_as_it_was() -> None:
    holdout, truth = held_out(6.0)  # so sure of itself that some probabilities are below any floor
    assert min(probs.min() for probs in holdout.families.values()) < 1e-9
    tuned = Weights({"ant": 1, "bee": 1}, classes=CLASSES)
    found = calibrate(tuned, holdout, truth, ())
    ballots = holdout.ballots
    for weights, name in ((tuned, "log_loss_before"), (found, "log_loss")):
        probs = fuse(ballots, "soft", weights, "classification").probs
        assert found.evidence["holdout"][name] == metrics.log_loss(truth, probs)


def test_a_family_may_be_named_beside_its_file() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    table = read(Path("bee.parquet"))
    np.savez("b.npz", ids=np.array(table.ids), probs=table.families["bee"], classes=CLASSES)
    files = [order.files[0], ("wasp", Path("b.npz"))]
    assert set(tune_weights(replace(order, files=files)).families) == {"ant", "wasp"}


def test_folds_of_a_table_take_the_place_of_those_of_the_files() -> None:
    lines = ["id,fold", *(f"img{row},{row % 2}" for row in range(ROWS))]
    Path("two.csv").write_text("\n".join(lines))
    plain, other = (tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, folds=folds))
                    for folds in (None, Path("two.csv")))  # fmt: skip
    assert (plain.evidence["folds"], other.evidence["folds"]) == (3, 2)
    assert plain.evidence["fitted"] == other.evidence["fitted"]  # of all rows


def test_a_hold_out_at_its_own_temperature_keeps_it() -> None:
    holdout, truth = held_out(1.0)
    tuned = Weights({"ant": 1, "bee": 1}, classes=CLASSES)
    once = calibrate(tuned, holdout, truth, ())
    again = calibrate(once, holdout, truth, ())
    assert again.temperature == pytest.approx(once.temperature)
    record = again.evidence["holdout"]
    assert record["log_loss"] == pytest.approx(record["log_loss_before"])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_the_temperature_that_was_tuned_before_does_not_matter(temperature: float) -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 1, "bee": 1}, temperature=temperature, classes=CLASSES)
    plain = Weights({"ant": 1, "bee": 1}, classes=CLASSES)
    found = calibrate(tuned, holdout, truth, ())
    assert found.temperature == calibrate(plain, holdout, truth, ()).temperature


def test_no_hold_out_makes_the_log_loss_worse() -> None:
    holdout, truth = held_out(0.5)
    for temperature in (0.2, 0.5, 1.0, 4.0):
        tuned = Weights({"ant": 2, "bee": 1}, temperature=temperature, classes=CLASSES)
        record = calibrate(tuned, holdout, truth, ()).evidence["holdout"]
        assert record["log_loss"] <= record["log_loss_before"] + 1e-9


def test_the_evidence_that_was_there_stays_beside_a_hold_out() -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 1, "bee": 1}, classes=CLASSES, evidence={"verdict": "gain"})
    evidence = calibrate(tuned, holdout, truth, ()).evidence
    assert evidence["verdict"] == "gain"
    assert set(evidence["holdout"]) == {"n", "log_loss_before", "log_loss"}


@pytest.mark.parametrize(("pool", "task"), [("rank", "classification"), ("linear", "multilabel")])
def test_what_has_no_temperature_takes_no_hold_out(pool: Pool, task: Task) -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 1, "bee": 1}, pool)
    with pytest.raises(UsageError, match="--holdout: ranks, labels and values have no temperature"):
        calibrate(tuned, replace(holdout, task=task), truth, ())


def test_the_rows_of_a_hold_out_that_were_seen_are_named() -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 1, "bee": 1}, classes=CLASSES)
    with pytest.raises(UsageError, match="the weights were tuned on held3, held7; take other rows"):
        calibrate(tuned, holdout, truth, ("held7", "x", "held3"))


def test_a_hold_out_of_other_classes_is_refused() -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 1, "bee": 1}, classes=("cat", "dog", "gnu"))
    with pytest.raises(UsageError, match="class"):
        calibrate(tuned, holdout, truth, ())


def test_weights_stay_as_they_were_but_for_the_temperature() -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 0.9, "bee": 0.4}, "log-linear", classes=CLASSES, metric="log_loss")
    found = calibrate(tuned, holdout, truth, ())
    back = replace(found, temperature=1.0, evidence={})
    assert back == tuned


def test_tables_whose_ids_have_an_extension_tune_as_those_without(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Labels, folds and groups of one table, which is told of once."""
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    plain = tune_weights(replace(order, folds=order.labels, group="patient"))
    Path("named.csv").write_text(Path("train.csv").read_text().replace("img", "train/img"))
    files = [str(path) for _, path in order.files]
    assert ensemble("tune-weights", "--oof", *files, "--labels", "named.csv", "--folds",
                    "named.csv", "--group", "patient") == 0  # fmt: skip
    found = Weights.load("weights.json")
    assert found.families == pytest.approx(plain.families)
    assert found.evidence["nested"] == pytest.approx(plain.evidence["nested"])
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("such as 'train/img0' for 'img0'") == 1
