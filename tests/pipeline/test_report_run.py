"""A run on a page: its submission scored as `ensemble score` does, and its probabilities."""

from pathlib import Path

import numpy as np
import pytest
from runs import damaged, submit

from ensemble.errors import UsageError
from ensemble.pipeline.report_order import NO_LABELS, ReportOrder
from ensemble.pipeline.report_run import look_at_run
from ensemble.pipeline.scores import score
from ensemble.predictions.run_file import read_run
from ensemble.reports.scorecard import Labels

LABELS = Labels(Path("labels.csv"))


@pytest.fixture(autouse=True)
def run(members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of two families, and labels of its images."""
    monkeypatch.chdir(images.parent)
    result = submit(members, images, "out")
    rows = [
        f"{name},{result.classes[n % len(result.classes)]}" for n, name in enumerate(result.ids)
    ]
    Path("labels.csv").write_text("\n".join(["id,label", *rows]))


def test_what_is_handed_in_scores_what_the_command_says() -> None:
    (answer,) = look_at_run(Path("out"), ReportOrder(Path("a.html"), LABELS)).answers
    card = score(Path("out/submission.csv"), LABELS)
    assert answer.card is not None
    assert answer.card.lines == card.lines
    assert np.array_equal(answer.card.counts, card.counts)


def test_families_and_probabilities_are_those_of_the_file() -> None:
    looked = look_at_run(Path("out"), ReportOrder(Path("a.html")))
    rows = read_run(Path("out/predictions.parquet"))
    assert looked.answers[0].ids == rows.ids
    assert set(looked.answers[0].families) == {"ant", "bee"}
    assert rows.probs is not None
    assert np.array_equal(looked.answers[0].probs, rows.probs)


def test_without_labels_it_says_what_is_lacking() -> None:
    looked = look_at_run(Path("out"), ReportOrder(Path("a.html")))
    assert looked.lacking == (NO_LABELS,)
    assert looked.answers[0].card is None


def test_images_without_a_prediction_are_told(members: list[Path], images: Path) -> None:
    submit(members, damaged(images), "lost")
    looked = look_at_run(Path("lost"), ReportOrder(Path("a.html"), LABELS))
    assert [each.id for each in looked.quarantined] == ["img3"]
    assert any("no submission.csv" in line for line in looked.lacking)
    assert looked.answers[0].card is not None
    assert looked.answers[0].card.rows == 11


def test_an_early_exit_has_labels_and_evaluations(members: list[Path], images: Path) -> None:
    submit(members, images, "early", early_exit="lossless", store="early-store")
    looked = look_at_run(Path("early"), ReportOrder(Path("a.html"), LABELS))
    assert looked.evaluations is not None
    assert looked.answers[0].probs.shape == (12, 0)
    assert looked.answers[0].card is not None
    assert any("no probabilities" in line for line in looked.lacking)


def test_a_damaged_run_is_refused() -> None:
    Path("out/run.json").write_text("{}")
    with pytest.raises(UsageError, match="damaged"):
        look_at_run(Path("out"), ReportOrder(Path("a.html")))
