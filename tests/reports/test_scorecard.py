"""A submission's scores are those of scikit-learn, joined by id."""

import gzip
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk
from toys import ensemble

from ensemble.errors import UsageError
from ensemble.evaluation.bootstrap import spread
from ensemble.evaluation.metrics import METRICS
from ensemble.pipeline.scores import score
from ensemble.predictions.table import Oof
from ensemble.reports.scorecard import Labels, score_submission

CLASSES = ("cat", "dog", "eel", "fox")
ROWS = 200
RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 4, ROWS)
PROBS = RNG.dirichlet(np.ones(4), ROWS) * 0.6 + 0.4 * np.eye(4)[TRUTH]
SAID = PROBS.argmax(1)


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """labels.csv, and a submission of labels and one of probabilities in another order."""
    monkeypatch.chdir(tmp_path)
    rows = [f"r{n},{CLASSES[t]}" for n, t in enumerate(TRUTH)]
    Path("labels.csv").write_text("\n".join(["id,label", *rows, "more,cat"]))
    said = [f"r{n},{CLASSES[c]}" for n, c in enumerate(SAID)][::-1]
    Path("said.csv").write_text("\n".join(["image,target", *said]))
    order = [2, 0, 3, 1]
    header = ",".join(["id", *(CLASSES[c] for c in order)])
    lines = [
        f"r{n}," + ",".join(repr(p) for p in row[order].tolist()) for n, row in enumerate(PROBS)
    ]
    Path("probs.csv").write_text("\n".join([header, *lines]))


def test_the_command_scores_the_submission_of_a_runs_folder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("run").mkdir()
    Path("run/submission.csv").write_bytes(Path("said.csv").read_bytes())
    assert ensemble("score", "run", "labels.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == ROWS
    assert ensemble("score", ".", "labels.csv") == 2
    assert "submission.csv: cannot read the table" in capsys.readouterr().err


def test_labels_are_scored_by_the_metrics_of_labels() -> None:
    card = score_submission(Path("said.csv"), Labels(Path("labels.csv")))
    found = {line.metric: line.score for line in card.lines}
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(TRUTH, SAID),
            "balanced_accuracy": sk.balanced_accuracy_score(TRUTH, SAID),
            "f1_macro": sk.f1_score(TRUTH, SAID, average="macro"),
            "f1_micro": sk.accuracy_score(TRUTH, SAID),
        }
    )
    np.testing.assert_array_equal(card.counts, sk.confusion_matrix(TRUTH, SAID))


def test_probabilities_are_scored_by_all_metrics_by_class_name() -> None:
    card = score_submission(Path("probs.csv"), Labels(Path("labels.csv")))
    found = {line.metric: line.score for line in card.lines}
    assert found["log_loss"] == pytest.approx(sk.log_loss(TRUTH, PROBS))
    assert found["auc"] == pytest.approx(sk.roc_auc_score(TRUTH, PROBS, multi_class="ovr"))
    assert set(found) >= {"brier", "top_k", "accuracy"}
    assert "qwk" not in found


def test_the_interval_holds_the_score_and_is_about_two_errors_wide() -> None:
    line = score_submission(Path("said.csv"), Labels(Path("labels.csv"))).lines[0]
    error = np.sqrt(line.score * (1 - line.score) / ROWS)
    assert line.interval is not None
    low, high = line.interval
    assert low < line.score < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_kappa_needs_classes_that_are_numbers() -> None:
    for name in ("labels.csv", "said.csv"):
        text = Path(name).read_text()
        for number, label in enumerate(CLASSES):
            text = text.replace(f",{label}", f",{number}")
        Path(name).write_text(text)
    card = score_submission(Path("said.csv"), Labels(Path("labels.csv")))
    found = {line.metric: line.score for line in card.lines}
    assert found["qwk"] == pytest.approx(sk.cohen_kappa_score(TRUTH, SAID, weights="quadratic"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\nr0,cat\nzzz,cat\n", "no label for zzz"),
        ("id,label\nr0,cat\nr0,cat\n", "line 3: id .r0. stands in line 2 too"),
        ("id\nr0\n", "expected an id column"),
        ("id,cat,dog\n" + "\n".join(f"r{n},0.5,0.5" for n in range(ROWS)), "without a column"),
        ("id,cat,dog,eel,fox\nr0,a,0,0,0\n", "are numbers"),
        ("id,cat,dog,eel,fox\nr0,0,0,0,0\n", "not all 0"),
    ],
)
def test_a_submission_that_cannot_be_scored_is_refused(text: str, message: str) -> None:
    Path("bad.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        score_submission(Path("bad.csv"), Labels(Path("labels.csv")))


def test_the_command_prints_scores_and_the_confusion(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("score", "said.csv", "labels.csv") == 0
    said = capsys.readouterr().out
    assert "balanced_accuracy" in said
    assert "eel" in said
    assert ensemble("score", "said.csv", "labels.csv", "--json") == 0
    assert '"accuracy"' in capsys.readouterr().out


def test_probabilities_that_do_not_sum_to_1_are_counted() -> None:
    lines = Path("probs.csv").read_text().splitlines()
    lines[1] = "r0,0.5,0.5,0.5,0.5"
    Path("probs.csv").write_text("\n".join(lines))
    assert score_submission(Path("probs.csv"), Labels(Path("labels.csv"))).rescaled == 1


def test_the_command_draws_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("score", "probs.csv", "labels.csv", "--png", "scores.png", "--json") == 0
    assert Path("scores.png").exists()
    assert capsys.readouterr().out.startswith("{")


def tables(folder: Path, submission: str, labels: str) -> tuple[Path, Labels]:
    (folder / "s.csv").write_text(submission)
    (folder / "l.csv").write_text(labels)
    return folder / "s.csv", Labels(folder / "l.csv")


RAIN = "id,fog,rain\nc,0,0\na,0,1\nb,1,0\n"


def test_labels_are_scored_as_scikit_learn_does(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,rain,fog\na,0.9,0.2\nb,0.4,0.6\nc,0.7,0.1\n", RAIN)
    card = score(*given, task="multilabel")
    y, p = np.array([[1, 0], [0, 1], [0, 0]]), np.array([[0.9, 0.2], [0.4, 0.6], [0.7, 0.1]])
    scores = {line.metric: line.score for line in card.lines}
    assert scores["auc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)
    assert scores["map"] == pytest.approx(sk.average_precision_score(y, p), abs=1e-12)
    assert scores["f1"] == pytest.approx(sk.f1_score(y, p >= 0.5, average="macro"), abs=1e-12)
    assert card.counts.size == 0


def test_labels_that_are_given_have_no_ranking(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,rain,fog\na,1,0\nb,0,1\nc,1,0\n", RAIN)
    assert [line.metric for line in score(*given, task="multilabel").lines] == ["f1"]


def test_values_are_scored_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tables(tmp_path, "id,age\na,30\nb,50\n", "id,age\nb,47\na,31\n")
    assert ensemble("score", given[0], given[1].table, "--task", "regression", "--json") == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["mae"]["score"] == pytest.approx(2)
    assert scores["rmse"]["score"] == pytest.approx(np.sqrt(5))
    assert (
        ensemble("score", given[0], given[1].table, "--task", "regression", "--png", "x.png") == 2
    )


def test_columns_that_differ_from_the_labels_are_refused(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,rain,snow\na,1,0\nb,0,1\nc,1,0\n", RAIN)
    with pytest.raises(UsageError, match="fog"):
        score(*given, task="multilabel")


@pytest.mark.parametrize("columns", [False, True])
def test_kappa_goes_by_the_numbers_of_the_classes_not_by_their_text(
    tmp_path: Path, *, columns: bool
) -> None:
    truth = np.arange(110) % 11
    said = np.clip(truth + RNG.integers(-2, 3, 110), 0, 10)
    names = sorted(map(str, range(11)))  # 0, 1, 10, 2, …
    rows = [f"r{n},{t}" for n, t in enumerate(truth)]
    given = ["id,label", *(f"r{n},{c}" for n, c in enumerate(said))]
    if columns:
        hot = [",".join(str(int(name == str(c))) for name in names) for c in said]
        given = [",".join(["id", *names]), *(f"r{n},{row}" for n, row in enumerate(hot))]
    card = score_submission(*tables(tmp_path, "\n".join(given), "\n".join(["id,label", *rows])))
    found = {line.metric: line.score for line in card.lines}
    assert found["qwk"] == pytest.approx(sk.cohen_kappa_score(truth, said, weights="quadratic"))
    assert card.classes == tuple(map(str, range(11)))
    np.testing.assert_array_equal(card.counts, sk.confusion_matrix(truth, said))


@pytest.mark.parametrize(
    "said",
    [
        [str(c) for c in SAID],  # the classes' indices
        [repr(p) for p in PROBS[:, 1].tolist()],  # a probability
        [CLASSES[0], *(f"{CLASSES[0]} {n % 6}" for n in range(1, ROWS))],  # six odd ones
    ],
)
def test_a_column_of_what_are_no_labels_is_refused(said: list[str]) -> None:
    lines = [f"r{n},{text}" for n, text in enumerate(said)]
    Path("odd.csv").write_text("\n".join(["id,label", *lines]))
    with pytest.raises(UsageError, match=r"none of labels\.csv.*--labels-as name.*--task"):
        score_submission(Path("odd.csv"), Labels(Path("labels.csv")))


def test_a_class_that_no_row_of_the_truth_shows_is_a_wrong_label() -> None:
    lines = [f"r{n},{'gnu' if n == 0 else CLASSES[t]}" for n, t in enumerate(TRUTH)]
    Path("gnu.csv").write_text("\n".join(["id,label", *lines]))
    card = score_submission(Path("gnu.csv"), Labels(Path("labels.csv")))
    assert card.lines[0].score == pytest.approx(1 - 1 / ROWS)


def test_no_interval_leaves_the_scale_of_its_metric(tmp_path: Path) -> None:
    """Nearly all right, in many small classes: the bias of the draws would carry F1 over 1."""
    truth = [f"c{n // 5}" for n in range(300)]
    said = ["c1", *truth[1:]]
    texts = [
        "\n".join(["id,label", *(f"r{n},{c}" for n, c in enumerate(t))]) for t in (said, truth)
    ]
    card = score_submission(*tables(tmp_path, *texts))
    for line in card.lines:
        assert line.interval is not None
        assert 0 <= line.interval[0] <= line.score <= line.interval[1] <= 1


def scored(tmp_path: Path, submission: str, labels: str) -> dict[str, float]:
    card = score_submission(*tables(tmp_path, submission, labels))
    return {line.metric: line.score for line in card.lines}


def test_the_order_of_the_rows_and_columns_does_not_matter(tmp_path: Path) -> None:
    labels = "id,label\na,cat\nb,dog\nc,cat\n"
    one = scored(tmp_path, "id,cat,dog\na,0.7,0.3\nb,0.6,0.4\nc,0.9,0.1\n", labels)
    other = scored(tmp_path, "id,dog,cat\nc,0.1,0.9\na,0.3,0.7\nb,0.4,0.6\n", labels)
    assert one == pytest.approx(other)
    assert one["accuracy"] == pytest.approx(2 / 3)


def test_rows_on_another_scale_are_scored_as_their_shares(tmp_path: Path) -> None:
    labels = "id,label\na,cat\nb,dog\n"
    shares = scored(tmp_path, "id,cat,dog\na,0.75,0.25\nb,0.5,0.5\n", labels)
    powers = scored(tmp_path, "id,cat,dog\na,3,1\nb,8,8\n", labels)
    assert powers == pytest.approx(shares)


def test_more_labels_than_rows_are_no_fault(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,label\na,cat\n", "id,label\nb,dog\na,cat\nc,eel\n")
    card = score_submission(*given)
    assert (card.rows, card.classes) == (1, ("cat",))
    assert card.lines[0].score == 1


def test_one_class_has_an_accuracy_and_no_metric_of_several(tmp_path: Path) -> None:
    found = scored(tmp_path, "id,label\na,1\nb,1\n", "id,label\na,1\nb,1\n")
    assert found.keys() == {"accuracy", "f1_micro"}


def test_a_class_that_no_row_shows_leaves_means_over_classes_undefined(tmp_path: Path) -> None:
    submission = "id,cat,dog,eel\na,0.7,0.2,0.1\nb,0.2,0.7,0.1\n"
    found = scored(tmp_path, submission, "id,label\na,cat\nb,dog\n")
    assert found["accuracy"] == 1
    assert not found.keys() & {"auc", "f1_macro", "balanced_accuracy", "top_k"}


def test_the_labels_may_stand_in_another_column(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,label\na,cat\nb,dog\n", "id,kind,label\na,cat,x\nb,cat,y\n")
    assert score_submission(given[0], Labels(given[1].table, "kind")).lines[0].score == 0.5


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("nan", "are finite; those of a are not"),
        ("inf", "are finite; those of a are not"),
        ("-0.1", "are at least 0, and not all 0 in a row"),
    ],
)
def test_probabilities_that_cannot_be_are_refused(cell: str, message: str, tmp_path: Path) -> None:
    given = tables(tmp_path, f"id,cat,dog\na,{cell},0.5\n", "id,label\na,cat\n")
    with pytest.raises(UsageError, match=rf"s\.csv: probabilities {message}"):
        score_submission(*given)


def test_the_counts_have_a_row_for_each_that_is_scored() -> None:
    card = score_submission(Path("probs.csv"), Labels(Path("labels.csv")))
    assert card.counts.sum() == card.rows == ROWS
    assert np.trace(card.counts) / ROWS == pytest.approx(np.mean(TRUTH == SAID))


def test_five_labels_that_are_unknown_are_wrong_and_six_are_another_thing() -> None:
    def submit(odd: int) -> Path:
        lines = [f"r{n},{f'odd {n}' if n < odd else CLASSES[t]}" for n, t in enumerate(TRUTH)]
        Path("odd.csv").write_text("\n".join(["id,label", *lines]))
        return Path("odd.csv")

    card = score_submission(submit(5), Labels(Path("labels.csv")))
    assert card.lines[0].score == pytest.approx(1 - 5 / ROWS)
    with pytest.raises(UsageError, match="6 of its 10 labels are none of"):
        score_submission(submit(6), Labels(Path("labels.csv")))


def test_values_of_several_columns_are_joined_by_id_and_by_name(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,y,x\nb,4,3\na,2,1\n", "id,x,y\na,1,3\nb,5,4\n")
    found = {line.metric: line.score for line in score(*given, task="regression").lines}
    assert found["mae"] == pytest.approx((0 + 1 + 2 + 0) / 4)
    assert found["rmse"] == pytest.approx((np.sqrt(4 / 2) + np.sqrt(1 / 2)) / 2)


def test_a_label_that_every_row_has_leaves_what_needs_no_other(tmp_path: Path) -> None:
    submission = "id,fog,rain\na,0.9,0.2\nb,0.8,0.7\n"
    given = tables(tmp_path, submission, "id,fog,rain\na,1,0\nb,1,1\n")
    assert [line.metric for line in score(*given, task="multilabel").lines] == [
        "f1", "log_loss"
    ]  # fmt: skip


# ---- grades


@pytest.mark.parametrize("labels", [[0, 1, 3, 4], [-1, 0, 2], [1, 2, 10]])
def test_kappa_goes_by_the_grades_and_not_by_their_places(
    tmp_path: Path, labels: list[int]
) -> None:
    rng = np.random.default_rng(1)
    y = np.array([*labels, *rng.choice(labels, 120)])
    said = np.where(rng.random(len(y)) < 0.6, y, rng.choice(labels, len(y)))
    texts = ["\n".join(["id,label", *(f"r{n},{v}" for n, v in enumerate(v))]) for v in (said, y)]
    card = score_submission(*tables(tmp_path, *texts))
    grades = list(range(min(labels), max(labels) + 1))
    expected = sk.cohen_kappa_score(y, said, labels=grades, weights="quadratic")
    found = {line.metric: line.score for line in card.lines}["qwk"]
    assert found == pytest.approx(expected, abs=1e-12)
    lacking = str(next(grade for grade in grades if grade not in labels))
    assert lacking in card.notes[0]


def test_the_interval_of_a_kappa_goes_by_the_grades_too(tmp_path: Path) -> None:
    """It is that of all grades from 1 to 10, of which two are never said."""
    rng, grades = np.random.default_rng(3), np.array([1, 2, 10])
    y, said = np.sort(rng.integers(0, 3, (2, 60)))
    said[::4] = y[::4]
    texts = [
        "\n".join(["id,label", *(f"r{n},{v}" for n, v in enumerate(grades[c]))]) for c in (said, y)
    ]
    card = score_submission(*tables(tmp_path, *texts))
    equal = METRICS["classification"]["qwk"]
    expected = spread(equal, grades[y] - 1, [np.eye(10)[grades[said] - 1]]).interval
    found = {line.metric: line.interval for line in card.lines}["qwk"]
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_order_of_named_grades_is_to_be_told(tmp_path: Path) -> None:
    texts = ("id,label\na,mild\nb,severe\nc,none\n", "id,label\na,mild\nb,mild\nc,none\n")
    given, labels = tables(tmp_path, *texts)
    assert "qwk" not in {line.metric for line in score_submission(given, labels).lines}
    ordered = Labels(labels.table, classes=("none", "mild", "severe"))
    card = score_submission(given, ordered)
    expected = sk.cohen_kappa_score([1, 1, 0], [1, 2, 0], labels=[0, 1, 2], weights="quadratic")
    found = {line.metric: line.score for line in card.lines}["qwk"]
    assert (found, card.classes) == (pytest.approx(expected, abs=1e-12), ordered.classes)
    with pytest.raises(UsageError, match="severe: none of --classes none, mild"):
        score_submission(given, Labels(labels.table, classes=("none", "mild")))


# ---- each class


def test_each_class_has_the_scores_of_scikit_learn() -> None:
    card = score_submission(Path("said.csv"), Labels(Path("labels.csv")))
    expected = np.array(sk.precision_recall_fscore_support(TRUTH, SAID)).T
    found = [(c.precision, c.recall, c.f1, c.support) for c in card.by_class]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert tuple(c.name for c in card.by_class) == card.classes == CLASSES


def test_each_label_has_the_scores_of_scikit_learn(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,rain,fog\na,0.9,0.2\nb,0.4,0.6\nc,0.7,0.1\n", RAIN)
    card = score(*given, task="multilabel")
    y, said = np.array([[1, 0], [0, 1], [0, 0]]), np.array([[1, 0], [0, 1], [1, 0]])
    expected = np.array(sk.precision_recall_fscore_support(y, said)).T
    found = [(c.precision, c.recall, c.f1, c.support) for c in card.by_class]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_terminal_has_each_class_and_the_most_confused_of_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    y, said = rng.integers(0, 40, 400), rng.integers(0, 40, 400)
    y[:30], said[:30] = 7, 23
    texts = ["\n".join(["id,label", *(f"r{n},k{v}" for n, v in enumerate(v))]) for v in (said, y)]
    given, labels = tables(tmp_path, *texts)
    assert ensemble("score", given, labels.table) == 0
    out = capsys.readouterr().out
    assert "precision" in out
    assert "most confused" in out
    card = score_submission(given, labels)
    assert (card.confused[0].truth, card.confused[0].predicted) == ("k7", "k23")
    assert card.confused[0].rows == ((y == 7) & (said == 23)).sum()
    assert ensemble("score", given, labels.table, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["confusion"]) == len(record["by_class"]) == len(card.classes)


# ---- what may be scored


def test_out_of_fold_predictions_are_scored_as_they_lie() -> None:
    ids = tuple(f"r{n}" for n in range(ROWS))
    folds = np.arange(ROWS) % 4
    Oof(ids, CLASSES, {"ant": PROBS}, folds).save("oof.parquet")
    card = score(Path("oof.parquet"), Labels(Path("labels.csv")))
    plain = score(Path("probs.csv"), Labels(Path("labels.csv")))
    # the file holds float32
    assert {m.metric: m.score for m in card.lines} == pytest.approx(
        {m.metric: m.score for m in plain.lines}, abs=1e-6
    )
    assert card.notes == ()
    two = {"ant": PROBS, "bee": np.roll(PROBS, 1, axis=1)}
    Oof(ids, CLASSES, two, folds).save("two.parquet")
    mean = score(Path("two.parquet"), Labels(Path("labels.csv")))
    assert mean.notes == ("scored is the plain mean of the families ant, bee",)
    expected = sk.log_loss(TRUTH, (PROBS + two["bee"]) / 2)
    assert {m.metric: m.score for m in mean.lines}["log_loss"] == pytest.approx(expected)


def test_a_table_with_its_folds_and_its_truth_is_scored_without_them(tmp_path: Path) -> None:
    rows = [",".join([f"r{n}", str(n % 5), *map(repr, row), CLASSES[t]])
            for n, (row, t) in enumerate(zip(PROBS.tolist(), TRUTH, strict=True))]  # fmt: skip
    text = "\n".join([",".join(["id", "fold", *CLASSES, "target"]), *rows])
    given, _ = tables(tmp_path, text, "")
    card = score(given, Labels(Path("labels.csv")))
    found = {m.metric: m.score for m in card.lines}
    assert found["log_loss"] == pytest.approx(sk.log_loss(TRUTH, PROBS), abs=1e-12)
    assert found["accuracy"] == sk.accuracy_score(TRUTH, SAID)
    assert (card.classes, card.rescaled) == (CLASSES, 0)
    assert card.notes == (f"{given}: the columns fold, target are no class, and left out",)


def test_a_number_beside_probabilities_is_no_class(tmp_path: Path) -> None:
    text = "id,cat,dog,age\na,0.25,0.75,40\nb,0.5,0.5,30\n"
    given, labels = tables(tmp_path, text, "id,label\na,dog\nb,cat\n")
    with pytest.raises(UsageError, match="the columns age are no labels of .* leave them out"):
        score_submission(given, labels)


@pytest.mark.parametrize("scored", ["oof.parquet", "probs.csv"])
def test_labels_whose_ids_carry_a_folder_and_an_extension_are_joined_and_told(scored: str) -> None:
    ids = tuple(f"r{n}" for n in range(ROWS))
    Oof(ids, CLASSES, {"ant": PROBS}, np.arange(ROWS) % 4).save("oof.parquet")
    rows = [f"train/r{n}.jpg,{CLASSES[t]},p{n // 20}" for n, t in enumerate(TRUTH)]
    Path("named.csv").write_text("\n".join(["id,label,patient", *rows[::-1]]))
    card = score(Path(scored), Labels(Path("named.csv"), group="patient"))
    found = {m.metric: m.score for m in card.lines}
    assert found["log_loss"] == pytest.approx(sk.log_loss(TRUTH, PROBS), abs=1e-6)
    assert found["accuracy"] == sk.accuracy_score(TRUTH, SAID)
    assert len(card.notes) == 1
    assert "such as 'train/r199.jpg' for 'r199'" in card.notes[0]


def test_values_are_joined_with_labels_that_carry_an_extension(tmp_path: Path) -> None:
    given = tables(tmp_path, "id,age\na,1\nb,4\n", "id,age\nb.dcm,2\na.dcm,1\n")
    card = score(*given, task="regression")
    assert {m.metric: m.score for m in card.lines}["mae"] == 1.0
    assert "'b.dcm' for 'b'" in card.notes[0]


def test_rows_of_a_group_are_drawn_together() -> None:
    rows = [f"r{n},{CLASSES[t]},p{n // 20}" for n, t in enumerate(TRUTH)]
    Path("grouped.csv").write_text("\n".join(["id,label,patient", *rows]))
    alone = score_submission(Path("said.csv"), Labels(Path("grouped.csv"))).lines[0]
    grouped = Labels(Path("grouped.csv"), group="patient")
    found = score_submission(Path("said.csv"), grouped).lines[0]
    assert found.score == alone.score
    assert found.interval != alone.interval


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zip", ".zip"])
def test_compressed_tables_are_scored(suffix: str) -> None:
    for name in ("said", "labels"):
        data = Path(f"{name}.csv").read_bytes()
        if suffix.endswith("gz"):
            Path(name + suffix).write_bytes(gzip.compress(data))
        else:
            with zipfile.ZipFile(name + suffix, "w") as archive:
                archive.writestr(f"{name}.csv", data)
    packed = score(Path(f"said{suffix}"), Labels(Path(f"labels{suffix}")))
    assert packed.lines == score(Path("said.csv"), Labels(Path("labels.csv"))).lines
