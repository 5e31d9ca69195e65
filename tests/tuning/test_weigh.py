"""From fold members to weights: who predicts which row, and what is refused."""

import json
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from blends import FOLDS, ROWS, SPLIT, TRUTH, memory, recipe, tied, write_train
from numpy.typing import NDArray
from PIL import Image
from toys import CLASSES, ensemble

import ensemble as package
from ensemble.errors import UsageError
from ensemble.evaluation import metrics
from ensemble.files.csv_tables import column_of
from ensemble.pipeline.oof import predict_oof
from ensemble.predictions import table as oof
from ensemble.predictions.formats import read, write
from ensemble.predictions.stored import votes_from
from ensemble.progress import Quiet
from ensemble.reports.figures import draw
from ensemble.tuning.tune import calibrate, tune_weights
from ensemble.tuning.weigh import TuneOrder
from ensemble.voting.decision import Decision, order_of
from ensemble.voting.vote import fuse
from ensemble.voting.weights import Weights


@pytest.fixture(autouse=True)
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty images, and train.csv, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_train()


def tuned_on(files: dict[str, float], **more: object) -> TuneOrder:
    """Families of some strength, saved; and the order to tune weights on them."""
    rng = np.random.default_rng(1)
    for name, strength in files.items():
        scores = rng.normal(0, 1, (ROWS, 3)) + strength * np.eye(3)[TRUTH]
        probs = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        ids = tuple(f"img{row}" for row in range(ROWS))
        write(Path(f"{name}.parquet"), oof.Oof(ids, CLASSES, {name: probs}, SPLIT))
    named = [(None, Path(f"{name}.parquet")) for name in files]
    values = {"files": named, "labels": Path("train.csv"), "metric": "log_loss", **more}
    return TuneOrder(**values)  # type: ignore[arg-type]


def test_the_order_of_the_files_changes_no_weight() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0, "cow": 0.1}, metric="accuracy", polish="always")
    back = tuned_on({"ant": 2.0, "bee": 1.0, "cow": 0.1}, metric="accuracy", polish="always")
    first = tune_weights(order)
    again = tune_weights(TuneOrder(list(reversed(back.files)), back.labels, "accuracy",
                                   polish="always"))  # fmt: skip
    assert again.families == first.families


def test_groups_across_folds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"groups lie in several folds: .*folds 0, 1, 2"):
        tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, group="label"))
    assert tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, group="patient")).evidence["n"] == ROWS


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


def test_a_fold_with_every_row_of_a_class_is_refused() -> None:
    Path("folds.csv").write_text(
        "\n".join(["id,fold", *(f"img{r},{int(TRUTH[r] == 0)}" for r in range(ROWS))])
    )
    with pytest.raises(UsageError, match="fold 0 holds every row of dog, eel"):
        tune_weights(tuned_on({"ant": 2.0}, folds=Path("folds.csv")))


def test_one_fold_is_no_evidence_and_is_refused() -> None:
    rows = [f"img{r},0" for r in range(ROWS)]
    Path("folds.csv").write_text("\n".join(["id,fold", *rows]))
    with pytest.raises(UsageError, match=r"fold 0 holds every row"):
        tune_weights(tuned_on({"ant": 2.0}, folds=Path("folds.csv")))


def test_near_copies_and_lone_families_are_told() -> None:
    told: list[str] = []

    class Listener(Quiet):
        def warn(self, message: str) -> None:
            told.append(message)

    order = tuned_on({"ant": 2.0})
    tune_weights(order, Listener())
    copy = [*order.files, ("bee", Path("bee.npz"))]
    table = read(Path("ant.parquet"))
    np.savez("bee.npz", ids=np.array(table.ids), probs=table.families["ant"], classes=CLASSES)
    tune_weights(TuneOrder(copy, order.labels, "log_loss"), Listener())
    assert any("one family" in line for line in told)
    assert any("ant and bee are near copies" in line for line in told)


def test_a_metric_of_ones_own_is_climbed() -> None:
    Path("mine.py").write_text("def right(y, probs):\n    return (probs.argmax(1) == y).mean()\n")
    found = tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="mine:right"))
    assert found.metric == "mine:right"
    assert found.evidence["verdict"] in ("gain", "weak", "no evidence")


def test_from_fold_members_to_a_weighted_submission(capsys: pytest.CaptureFixture[str]) -> None:
    for family, blind, noise in (("ant", 0, 0.3), ("bee", 0, 2.0), ("cow", 1, 0.5)):
        for fold in range(FOLDS):
            memory(family, fold, blind=blind, noise=noise)
    flags = ["--members", "folds", "--images", "train", "--device", "cpu"]
    assert ensemble("oof", *flags, "--folds", "train.csv") == 0
    order = ["--oof", "oof.parquet", "--labels", "train.csv", "--metric", "accuracy"]
    assert ensemble("tune-weights", *order, "--pool", "log-linear") == 0
    assert "nested gain over uniform" in capsys.readouterr().out
    written = json.loads(Path("weights.json").read_text())
    assert set(written["weights"]) == {"ant", "bee", "cow"}
    assert written["evidence"]["verdict"] == "gain"
    with Image.open("weights.png") as picture:
        assert min(picture.size) > 300
        assert picture.convert("L").getextrema()[0] < 100
    assert ensemble("run", *flags, "--weights", "weights.json", "--out", "out") == 0
    assert json.loads(Path("out/run.json").read_text())["recipe"]["weights"]["pool"] == "log-linear"


def test_weights_of_other_members_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for fold in range(FOLDS):
        memory("ant", fold)
    flags = ["--members", "folds", "--images", "train"]
    ensemble("oof", *flags, "--folds", "train.csv")
    ensemble("tune-weights", "--oof", "oof.parquet", "--labels", "train.csv")
    memory("ant", 0, noise=0.1)
    assert ensemble("run", *flags, "--weights", "weights.json") == 2
    assert "tuned for other members of ant" in capsys.readouterr().err


def test_python_gives_what_the_command_gives() -> None:
    members = [
        memory(f, fold, noise=n) for f, n in (("ant", 0.3), ("bee", 2.0)) for fold in range(3)
    ]
    found = predict_oof(recipe(members), Path("train.csv"))
    assert package.predict_oof(members, "train", "train.csv", device="cpu").families.keys() == {
        "ant",
        "bee",
    }
    labels = pd.read_csv("train.csv", index_col="id")["label"]
    weights = package.tune_weights(found, labels, metric="log_loss")
    write(Path("oof.parquet"), found)
    order = TuneOrder([(None, Path("oof.parquet"))], Path("train.csv"), "log_loss")
    assert weights.families == pytest.approx(tune_weights(order).families, abs=1e-5)
    assert package.run(members, "train", weights=weights, out="out").path is not None


def test_python_names_images_for_out_of_fold_predictions_too() -> None:
    members = [memory("ant", fold) for fold in range(3)]
    Path("names.csv").write_text(
        "\n".join(["id,fold", *(f"img{row}.png,{SPLIT[row]}" for row in range(ROWS))])
    )
    found = package.predict_oof(
        members, "train", "names.csv", id_from="name", batch_size=7, threads=1
    )
    assert found.ids[0] == "img0.png"


def test_frames_of_families_are_joined_by_their_index() -> None:
    tuned_on({"ant": 2.0, "bee": 1.0})
    frames, folds = {}, pd.read_csv("train.csv", index_col="id")["fold"]
    for name in ("ant", "bee"):
        table = read(Path(f"{name}.parquet"))
        frame = pd.DataFrame(table.families[name], table.ids, list(CLASSES))
        frames[name] = frame if name == "ant" else frame.iloc[::-1]
    labels = pd.read_csv("train.csv", index_col="id")["label"]
    found = package.tune_weights(frames, labels, metric="log_loss", folds=folds)
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    assert found.families == pytest.approx(tune_weights(order).families, abs=1e-5)


def test_weights_without_folds_are_drawn_too() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    found = [read(path) for _, path in order.files]
    labels = column_of(Path("train.csv"), "label")
    weights = package.tune_weights(replace(oof.join(found), folds=None), labels, metric="log_loss")
    draw(weights, Path("apparent.png"))
    assert Path("apparent.png").stat().st_size > 5000


def test_without_matplotlib_there_are_weights_and_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned_on({"ant": 2.0, "bee": 1.0})
    monkeypatch.setitem(sys.modules, "ensemble.reports.figures", None)
    files = ["--oof", "ant.parquet", "bee.parquet"]
    assert ensemble("tune-weights", *files, "--labels", "train.csv") == 0
    assert "no picture" in capsys.readouterr().err
    assert Path("weights.json").exists()
    assert not Path("weights.png").exists()


def test_two_files_of_weights_have_pictures_of_their_own() -> None:
    tuned_on({"ant": 2.0, "bee": 1.0})
    flags = ("tune-weights", "--oof", "ant.parquet", "bee.parquet", "--labels", "train.csv")
    for metric in ("accuracy", "log_loss"):
        assert ensemble(*flags, "--metric", metric, "--out", f"{metric}.json") == 0
    assert {p.name for p in Path().glob("*.png")} == {"accuracy.png", "log_loss.png"}


@pytest.mark.parametrize(
    ("out", "said"), [("train.csv/w.json", "--out train.csv cannot be"), ("w.png", "name it .json")]
)
def test_weights_that_cannot_be_written_are_refused_before_anything_is_read(
    out: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("tune-weights", "--oof", "none.parquet", "--labels", "none.csv")
    assert ensemble(*flags, "--out", out) == 2
    assert said in capsys.readouterr().err


def test_names_are_no_truth_of_a_regression() -> None:
    ids = tuple(f"img{row}" for row in range(ROWS))
    made = oof.Oof(ids, ("age",), {"ant": np.ones((ROWS, 1))}, SPLIT, task="regression")
    write(Path("age.parquet"), made)
    order = TuneOrder([(None, Path("age.parquet"))], Path("train.csv"), "rmse")
    with pytest.raises(UsageError, match="line 2, column 'label': expected a finite number, found"):
        tune_weights(order)


def test_an_id_without_a_fold_is_refused_from_python_too() -> None:
    tuned_on({"ant": 2.0})
    table = read(Path("ant.parquet"))
    labels = column_of(Path("train.csv"), "label")
    with pytest.raises(UsageError, match="folds: no fold for img1"):
        package.tune_weights(table, labels, metric="log_loss", folds={"img0": 0})


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
    same = oof.join([read(path) for _, path in order.files])
    with pytest.raises(UsageError, match=r"tuned on img0.*take other rows"):
        calibrate(tuned, same, TRUTH, same.ids)


def test_a_hold_out_of_other_families_is_refused() -> None:
    tuned = tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}))
    holdout, truth = held_out(0.5)
    other = replace(holdout, families={"ant": holdout.families["ant"]})
    with pytest.raises(UsageError, match="no family for bee"):
        calibrate(tuned, other, truth, ())


def test_python_takes_a_hold_out_too() -> None:
    table = oof.join([read(path) for _, path in tuned_on({"ant": 2.0, "bee": 1.0}).files])
    holdout, truth = held_out(0.5)
    labels = column_of(Path("train.csv"), "label")
    said = {name: CLASSES[c] for name, c in zip(holdout.ids, truth, strict=True)}
    found = package.tune_weights(
        table, labels, metric="log_loss", holdout=holdout, holdout_labels=said
    )
    assert "holdout" in found.evidence


def test_a_pool_of_ranks_goes_through_its_file_to_a_vote() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.5})
    files = [str(path) for _, path in order.files]
    assert ensemble("tune-weights", "--oof", *files, "--labels", "train.csv", "--metric", "auc",
                    "--pool", "rank") == 0  # fmt: skip
    assert ensemble("vote", "--predictions", *files, "--voting", "rank", "--weights",
                    "weights.json", "--output", "probs", "--out", "out") == 0  # fmt: skip
    table = pd.read_csv("out/submission.csv", index_col="id")
    one, two = (read(path) for _, path in order.files)
    for c, name in enumerate(CLASSES):
        ranks = sum(pd.Series(f.families[n][:, c], f.ids).rank(pct=True)
                    for n, f in (("ant", one), ("bee", two))) / 2  # fmt: skip
        np.testing.assert_allclose(table[name].loc[list(one.ids)], ranks, atol=0.02)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "qwk", "f1_macro"])
def test_ranks_are_refused_where_probabilities_are_needed(metric: str) -> None:
    with pytest.raises(UsageError, match="that are no probabilities"):
        tune_weights(tuned_on({"ant": 2.0}, metric=metric, pool="rank"))


def test_every_order_of_the_families_gives_the_same_weights() -> None:
    """The tie fixture: few rows, and many blends that are equally good."""
    stack, y = tied()
    ids = tuple(map(str, range(len(y))))
    labels = {name: CLASSES[c] for name, c in zip(ids, y, strict=True)}
    parts = [oof.Oof(ids, CLASSES[:2], {f"m{m}": p}) for m, p in enumerate(stack)]
    joined = [oof.join(order) for order in permutations(parts)]
    for other in joined:  # all that tuning sees
        assert list(other.families) == list(joined[0].families)
        np.testing.assert_array_equal(list(other.families.values()), stack)
    found = [
        package.tune_weights(each, labels, metric="accuracy", polish="always").families
        for each in joined[::30]
    ]
    assert found == [found[0]] * 4


def test_a_new_temperature_changes_no_label_of_a_prior_rule() -> None:
    holdout, truth = held_out(0.5)
    rule = Decision(0.6, (0.5, 0.3, 0.2))
    tuned = Weights({"ant": 0.7, "bee": 0.3}, temperature=2.0, decision=rule, classes=CLASSES)
    found = calibrate(tuned, holdout, truth, ())
    assert found.temperature != tuned.temperature
    ballots = votes_from(holdout).ballots
    before, after = (fuse(ballots, "soft", w, "classification").labels for w in (tuned, found))
    np.testing.assert_array_equal(after, before)


def test_cut_points_do_not_go_with_a_hold_out() -> None:
    holdout, truth = held_out(0.5)
    tuned = Weights({"ant": 1, "bee": 1}, decision=Decision(cut_points=(0.5, 1.5)))
    with pytest.raises(UsageError, match="cut points"):
        calibrate(tuned, holdout, truth, ())


def test_labels_of_classes_are_no_frame_of_columns() -> None:
    table = read(tuned_on({"ant": 2.0}).files[0][1])
    hot = pd.DataFrame(np.eye(3, dtype=int)[TRUTH], list(table.ids), list(CLASSES))
    with pytest.raises(UsageError, match="one label an id"):
        package.tune_weights(table, hot, metric="log_loss")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('weight')", "raised KeyError: 'weight'"),
        ("return None", "raised TypeError: float.. argument must be .* not 'NoneType'"),
        ("return float('nan')", "gave nan; expected a finite number"),
    ],
)
def test_a_metric_that_fails_is_named_with_its_error(body: str, message: str) -> None:
    Path("faulty.py").write_text(f"def score(y, probs):\n    {body}\n")
    sys.modules.pop("faulty", None)
    with pytest.raises(UsageError, match=f"--metric 'faulty:score' {message}"):
        tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="faulty:score"))


@pytest.mark.parametrize("body", ["1 / 0", "def", "import no_such_package_here"])
def test_a_module_that_cannot_be_imported_is_named_with_its_error(body: str) -> None:
    Path("unborn.py").write_text(body)
    expected = "unborn: (ZeroDivisionError|SyntaxError|ModuleNotFoundError): "
    with pytest.raises(UsageError, match=f"--metric 'unborn:score': cannot import {expected}"):
        tune_weights(tuned_on({"ant": 2.0}, metric="unborn:score"))


@pytest.mark.parametrize(
    ("name", "value"), [("pool", "loglinear"), ("polish", "allways"), ("task", "multi-label")]
)
def test_a_way_to_tune_that_there_is_not_is_refused(name: str, value: str) -> None:
    frames = {"ant": pd.DataFrame([[0.4, 0.6], [0.6, 0.4]], ["a", "b"], ["cat", "dog"])}
    labels, more = {"a": "cat", "b": "dog"}, {name: value}
    with pytest.raises(UsageError, match=f"{name} '{value}': expected one of"):
        package.tune_weights(frames, labels, metric="log_loss", **more)  # type: ignore[arg-type]


def test_a_frame_with_a_column_twice_is_refused() -> None:
    frame = pd.DataFrame([[0.2, 0.3, 0.5]], ["a"], ["cat", "cat", "dog"])
    with pytest.raises(UsageError, match="family 'ant': classes stand there twice: cat"):
        package.vote(predictions={"ant": frame})


@pytest.mark.parametrize("what", ["labels", "folds", "groups"])
def test_ids_that_stand_twice_are_refused_from_python(what: str) -> None:
    table = read(tuned_on({"ant": 2.0}).files[0][1])
    frame = pd.read_csv("train.csv", index_col="id")
    given = {"labels": frame["label"], "folds": frame["fold"], "groups": frame["patient"]}
    given[what] = pd.concat([given[what], given[what].iloc[:1]])
    with pytest.raises(UsageError, match=f"{what}: id 'img0' stands there twice"):
        package.tune_weights(table, metric="log_loss", **given)


def test_brier_is_of_a_linear_pool() -> None:
    with pytest.raises(UsageError, match="least squares"):
        tune_weights(tuned_on({"ant": 2.0}, metric="brier", pool="log-linear"))


def test_kappa_is_tuned_and_decided_by_the_numbers_of_the_classes() -> None:
    """Ratings 0 to 10 whose columns stand in the order of their text: 0, 1, 10, 2, …"""
    rng, rows, numbers = np.random.default_rng(4), 330, np.arange(11)
    truth = rng.permutation(np.arange(rows) % 11)
    seen = truth + rng.normal(0, [[1.0], [2.0]], (2, rows))
    scores = np.exp(-abs(seen[..., None] - 0.8 * numbers - 1))
    stack = scores / scores.sum(-1, keepdims=True)
    ids = tuple(f"r{row}" for row in range(rows))
    labels = {name: str(t) for name, t in zip(ids, truth, strict=True)}
    orders = [numbers.tolist(), sorted(numbers.tolist(), key=str)]
    parts = [
        oof.Oof(ids, tuple(map(str, order)), dict(zip(("ant", "bee"), stack[..., order],
                strict=True)), np.arange(rows) // 66)
        for order in orders
    ]  # fmt: skip
    plain, textual = (package.tune_weights(part, labels, metric="qwk") for part in parts)
    assert textual.families == pytest.approx(plain.families)
    assert textual.evidence["nested"] == pytest.approx(plain.evidence["nested"])
    assert textual.decision.cut_points == pytest.approx(plain.decision.cut_points)
    assert len(textual.decision.cut_points) == 10
    assert textual.decision.order == tuple(order_of(parts[1].classes))
    labels_of = [
        np.array(part.classes)[fuse(votes_from(part).ballots, "soft", w, "classification").labels]
        for part, w in zip(parts, (plain, textual), strict=True)
    ]
    np.testing.assert_array_equal(*labels_of)


def test_classes_without_numbers_are_ordered_as_they_stand_and_told() -> None:
    told: list[str] = []

    class Listener(Quiet):
        def warn(self, message: str) -> None:
            told.append(message)

    tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="qwk"), Listener())
    assert any("taken in their order: cat, dog, eel" in line for line in told)


def test_the_loss_before_a_hold_out_is_that_of_the_vote_as_it_was() -> None:
    holdout, truth = held_out(6.0)  # so sure of itself that some probabilities are below any floor
    assert min(probs.min() for probs in holdout.families.values()) < 1e-9
    tuned = Weights({"ant": 1, "bee": 1}, classes=CLASSES)
    found = calibrate(tuned, holdout, truth, ())
    ballots = votes_from(holdout).ballots
    for weights, name in ((tuned, "log_loss_before"), (found, "log_loss")):
        probs = fuse(ballots, "soft", weights, "classification").probs
        assert found.evidence["holdout"][name] == metrics.log_loss(truth, probs)


def test_a_family_whose_errors_are_all_alike_correlates_with_nothing() -> None:
    tuned_on({"ant": 2.0})
    table = read(Path("ant.parquet"))
    np.savez("flat.npz", ids=np.array(table.ids), probs=np.full((ROWS, 3), 1 / 3), classes=CLASSES)
    files = ["--oof", "ant.parquet", "flat.npz", "--labels", "train.csv"]
    assert ensemble("tune-weights", *files) == 0
    found = json.loads(Path("weights.json").read_text(), parse_constant=pytest.fail)
    assert found["evidence"]["error_correlations"] == [[pytest.approx(1), None], [None, None]]


def test_a_metric_of_ones_own_that_is_no_number_is_refused_before_any_fit() -> None:
    Path("odd.py").write_text("def never(y, probs):\n    return float('nan')\n")
    with pytest.raises(UsageError, match="odd:never' gave nan; expected a finite number"):
        tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="odd:never"))
