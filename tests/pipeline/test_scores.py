"""Scores of a submission, from files or from memory, and their picture."""

import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk
from tables import write_predictions

from ensemble.errors import UsageError
from ensemble.files.text_table import TextTable
from ensemble.pipeline.scores import score
from ensemble.predictions.run_record import RunRecord, to_json
from ensemble.reports.scorecard import Labels

TRUTH = TextTable("labels", ("id", "rain", "fog"), (("a", "1", "0"), ("b", "0", "1")))


def submission(*rows: tuple[str, ...]) -> TextTable:
    return TextTable("submission", ("id", "fog", "rain"), rows)


def test_labels_in_memory_are_scored_by_name() -> None:
    card = score(submission(("b", "1", "0"), ("a", "0", "1")), Labels(TRUTH), task="multilabel")
    assert [(line.metric, line.score) for line in card.lines] == [("f1", 1.0)]


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(
        UsageError, match="submission: predictions are numbers, and the columns fog hold none"
    ):
        score(submission(("a", "much", "1"), ("b", "0", "1")), Labels(TRUTH), task="multilabel")


def test_a_picture_is_of_classes(tmp_path: Path) -> None:
    truth = TextTable("labels", ("id", "label"), tuple((str(n), "ab"[n % 2]) for n in range(40)))
    score(truth, Labels(truth), png=tmp_path / "s.png")
    assert (tmp_path / "s.png").stat().st_size > 5000
    with pytest.raises(UsageError, match="multilabel has none"):
        score(submission(("a", "0", "1")), Labels(TRUTH), task="multilabel", png=tmp_path / "m.png")


def test_a_task_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="task 'multi': expected one of classification"):
        score(TRUTH, Labels(TRUTH), task="multi")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "classes"),
    [(("0", "1"), ()), (("benign", "malignant"), ("benign", "malignant"))],
)
def test_one_column_of_probabilities_is_scored_as_that_of_the_second_of_two_classes(
    tmp_path: Path, names: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(5)
    y, p = rng.integers(0, 2, 80), np.round(rng.random(80), 4)
    (tmp_path / "p.csv").write_text("\n".join(["image,fold,target", *(
        f"r{n},{n % 3},{v!r}" for n, v in enumerate(p.tolist()))]))  # fmt: skip
    (tmp_path / "y.csv").write_text("\n".join(["image,label", *(
        f"r{n},{names[v]}" for n, v in enumerate(y))]))  # fmt: skip
    card = score(tmp_path / "p.csv", Labels(tmp_path / "y.csv", classes=classes))
    found = {m.metric: m.score for m in card.lines}
    assert found["auc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p))
    assert found["accuracy"] == sk.accuracy_score(y, p > 0.5)
    assert "its one column 'target' is read as the probability of" in card.notes[1]


def test_two_classes_of_other_names_are_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,target\na,0.25\nb,0.5\n")
    (tmp_path / "y.csv").write_text("id,label\na,no\nb,yes\n")
    with pytest.raises(UsageError, match="--classes NEGATIVE,POSITIVE names them"):
        score(tmp_path / "p.csv", Labels(tmp_path / "y.csv"))


def test_grades_that_are_fractions_are_labels(tmp_path: Path) -> None:
    for name, grades in (("p", ("0.5", "1.0", "0.5")), ("y", ("0.5", "1.0", "1.0"))):
        rows = [f"r{n},{grade}" for n, grade in enumerate(grades)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,label", *rows]))
    card = score(tmp_path / "p.csv", Labels(tmp_path / "y.csv"))
    assert card.classes == ("0.5", "1.0")
    assert {m.metric: m.score for m in card.lines}["accuracy"] == pytest.approx(2 / 3)


def test_a_melted_submission_scores_as_the_wide_one_that_it_says() -> None:
    rows = [(f"{name}-{label}", cell) for name, fog, rain in (("b", "1", "0"), ("a", "0", "0"))
            for label, cell in (("fog", fog), ("rain", rain))]  # fmt: skip
    melted = TextTable("submission", ("id", "value"), tuple(rows))
    wide = score(submission(("b", "1", "0"), ("a", "0", "0")), Labels(TRUTH), task="multilabel")
    assert score(melted, Labels(TRUTH), task="multilabel").lines == wide.lines
    listed = TextTable("submission", ("id", "labels"), (("b", "fog"), ("a", "")))
    assert score(listed, Labels(TRUTH), task="multilabel").lines == wide.lines


def test_one_of_several_tasks_is_scored_and_said() -> None:
    rows = (("a", "wear", "30"), ("b", "none", "41"))
    given = TextTable("submission", ("id", "mask", "age"), rows)
    card = score(given, Labels(given, "mask"))
    assert (card.lines[0].score, card.notes[0]) == (1.0, "scored is the column 'mask' of mask, age")
    ages = score(given, Labels(given, "age"), task="regression")
    assert {line.metric: line.score for line in ages.lines} == {"rmse": 0.0, "mae": 0.0}


def test_the_ids_of_the_labels_tell_the_column_of_the_submissions(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("label,name\ncat,1\ncat,2\n")
    (tmp_path / "t.csv").write_text("image,label\n1,cat\n2,dog\n")
    card = score(tmp_path / "s.csv", Labels(tmp_path / "t.csv", id_column="image"))
    assert {line.metric: line.score for line in card.lines}["accuracy"] == 0.5


def test_the_task_is_what_the_run_says(tmp_path: Path) -> None:
    record = RunRecord({}, "angle", ("angle",), (), {}, {}, {})
    (tmp_path / "run.json").write_text(json.dumps(to_json(record)))
    values = {"probs": np.array([[1.0], [3.0]])}
    write_predictions(
        tmp_path / "predictions.parquet", ["1", "2"], [], values, {"task": "regression"}
    )
    (tmp_path / "submission.csv").write_text("id,angle\n1,1\n2,3\n")
    (tmp_path / "t.csv").write_text("id,angle\n1,2\n2,3\n")
    card = score(tmp_path / "submission.csv", Labels(tmp_path / "t.csv", "angle"))
    assert {line.metric: line.score for line in card.lines}["mae"] == 0.5
