"""Scores of a submission, from files or from memory, and their picture."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.files.text_table import TextTable
from ensemble.pipeline.scores import score

TRUTH = TextTable("labels", ("id", "rain", "fog"), (("a", "1", "0"), ("b", "0", "1")))


def submission(*rows: tuple[str, ...]) -> TextTable:
    return TextTable("submission", ("id", "fog", "rain"), rows)


def test_labels_in_memory_are_scored_by_name() -> None:
    card = score(submission(("b", "1", "0"), ("a", "0", "1")), TRUTH, task="multilabel")
    assert [(line.metric, line.score) for line in card.lines] == [("f1", 1.0)]


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="submission: probabilities are numbers"):
        score(submission(("a", "much", "1"), ("b", "0", "1")), TRUTH, task="multilabel")


def test_a_picture_is_of_classes(tmp_path: Path) -> None:
    truth = TextTable("labels", ("id", "label"), tuple((str(n), "ab"[n % 2]) for n in range(40)))
    score(truth, truth, png=tmp_path / "s.png")
    assert (tmp_path / "s.png").stat().st_size > 5000
    with pytest.raises(UsageError, match="multilabel has none"):
        score(submission(("a", "0", "1")), TRUTH, task="multilabel", png=tmp_path / "m.png")


def test_a_task_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="task 'multi': expected one of classification"):
        score(TRUTH, TRUTH, task="multi")  # type: ignore[arg-type]
