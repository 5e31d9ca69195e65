"""Labels of several tasks scored task by task, against scikit-learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from ensemble.errors import UsageError
from ensemble.files.text_table import TextTable
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.pipeline.task_scores import score_tasks
from ensemble.reports.scorecard import Labels, Scorecard

A, B = LabelTask("a", ("x", "y")), LabelTask("b", ("u", "v"))
ROWS = (("x", "u"), ("x", "v"), ("y", "u"), ("y", "v"))
PAIRS = LabelMap(tuple("0123"), (A, B), ROWS)
RNG = np.random.default_rng(0)
TRUTH, SAID = RNG.integers(0, 4, 60), RNG.integers(0, 4, 60)
IDS = [f"i{number}" for number in range(60)]


def table(name: str, header: tuple[str, ...], *columns: list[str]) -> TextTable:
    return TextTable(name, header, tuple(zip(IDS, *columns, strict=True)))


def truth(group: bool = False) -> Labels:
    labels = [str(each) for each in TRUTH]
    if not group:
        return Labels(table("truth", ("id", "label"), labels))
    whose = [str(number // 5) for number in range(60)]
    return Labels(table("truth", ("id", "label", "who"), labels, whose), group="who")


def score_of(card: Scorecard, metric: str) -> float:
    return next(line.score for line in card.lines if line.metric == metric)


def test_labels_are_scored_as_each_tasks_classes() -> None:
    card = score_tasks(table("said", ("id", "label"), [str(x) for x in SAID]), truth(), PAIRS)
    assert score_of(card, "f1_macro") == pytest.approx(f1_score(TRUTH, SAID, average="macro"))
    for place, name in enumerate("ab"):
        y, own = ([ROWS[x][place] for x in each] for each in (TRUTH, SAID))
        expected = f1_score(y, own, average="macro")
        assert score_of(card.tasks[name], "f1_macro") == pytest.approx(expected)


def test_probabilities_are_scored_by_their_sums() -> None:
    probs = RNG.dirichlet(np.ones(4), 60)
    cells = [[repr(float(x)) for x in column] for column in probs.T]
    card = score_tasks(table("said", ("id", *"0123"), *cells), truth(), PAIRS)
    expected = log_loss(TRUTH, probs, labels=range(4))
    assert score_of(card, "log_loss") == pytest.approx(expected)
    own = np.stack([probs[:, :2].sum(1), probs[:, 2:].sum(1)], axis=1)
    expected = log_loss(TRUTH // 2, own, labels=range(2))
    assert score_of(card.tasks["a"], "log_loss") == pytest.approx(expected)


def test_groups_widen_the_interval_of_each_task() -> None:
    said = table("said", ("id", "label"), [str(x) for x in SAID])
    plain, grouped = score_tasks(said, truth(), PAIRS), score_tasks(said, truth(group=True), PAIRS)
    for one, two in ((plain, grouped), (plain.tasks["a"], grouped.tasks["a"])):
        assert [line.score for line in one.lines] == [line.score for line in two.lines]
        assert [line.interval for line in one.lines] != [line.interval for line in two.lines]


def test_what_is_no_label_is_refused() -> None:
    with pytest.raises(UsageError, match="said: 7 are no labels of the label map: 0, 1, 2, 3"):
        score_tasks(table("said", ("id", "label"), ["7"] * 60), truth(), PAIRS)


def test_columns_of_other_labels_are_refused() -> None:
    given = table("said", ("id", "0", "1"), ["0.5"] * 60, ["0.5"] * 60)
    with pytest.raises(UsageError, match="one for each label of the label map"):
        score_tasks(given, truth(), PAIRS)


def test_an_id_without_a_truth_is_named(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("id,label\ni0,1\n")
    with pytest.raises(UsageError, match="no label for i1"):
        score_tasks(table("said", ("id", "label"), ["0"] * 60), Labels(path), PAIRS)


def test_a_column_a_task_is_scored_as_the_labels_that_they_make() -> None:
    said = [list(column) for column in zip(*(ROWS[x] for x in SAID), strict=True)]
    given = table("said", ("id", "b", "a"), said[1], said[0])
    labels = table("said", ("id", "label"), [str(x) for x in SAID])
    assert score_tasks(given, truth(), PAIRS).lines == score_tasks(labels, truth(), PAIRS).lines


def metrics(card: Scorecard) -> set[str]:
    return {line.metric for line in card.lines}


def test_classes_of_tasks_that_make_no_label_are_wrong_as_a_label_and_told() -> None:
    three = replace(PAIRS, labels=PAIRS.labels[:3], rows=ROWS[:3])
    given = table("said", ("id", "a", "b"), ["y"] * 60, ["v"] * 60)
    labels = table("truth", ("id", "label"), ["0", "1", "2"] * 20)
    card = score_tasks(given, Labels(labels), three)
    assert score_of(card, "accuracy") == 0.0
    assert score_of(card.tasks["a"], "accuracy") == pytest.approx(1 / 3)
    assert any("classes of 60 rows stand for no label" in note for note in card.notes)


def test_the_order_of_a_task_that_is_cut_has_a_kappa_and_names_have_none() -> None:
    cut = replace(B, cuts=(1.0,))
    map_ = replace(PAIRS, tasks=(A, cut))
    card = score_tasks(table("said", ("id", "label"), [str(x) for x in SAID]), truth(), map_)
    assert "qwk" in metrics(card.tasks["b"])
    assert "qwk" not in metrics(card.tasks["a"])
    assert "qwk" in metrics(card)  # its labels are numbers
