"""Files on a page: predictions, submissions, weights, policies, crops."""

from pathlib import Path

import numpy as np
import pytest
from tables import oof

from ensemble.errors import UsageError
from ensemble.pipeline.report_files import (
    look_at_crops,
    look_at_policy,
    look_at_predictions,
    look_at_submission,
    look_at_weights,
)
from ensemble.pipeline.report_order import ReportOrder
from ensemble.pipeline.scores import score
from ensemble.recipe.policy import FamilyPolicy, Policy
from ensemble.reports.scorecard import Labels
from ensemble.voting.weights import Weights

ORDER = ReportOrder(Path("a.html"))
LABELS = Labels(Path("labels.csv"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_predictions_are_shown_by_family_and_scored_as_the_command_does() -> None:
    found = oof()
    found.save("oof.parquet")
    classes = found.classes
    rows = [f"{name},{classes[n % len(classes)]}" for n, name in enumerate(found.ids)]
    Path("labels.csv").write_text("\n".join(["id,label", *rows]))
    (answer,) = look_at_predictions(
        Path("oof.parquet"), ReportOrder(Path("a.html"), LABELS)
    ).answers
    assert set(answer.families) == set(found.families)
    assert answer.card is not None
    assert answer.card.lines == score(Path("oof.parquet"), LABELS).lines


def test_a_submission_of_labels_is_counted_without_a_truth_and_scored_with_one() -> None:
    Path("own.csv").write_text("id,label\na,x\nb,y\nc,x\n")
    Path("labels.csv").write_text("id,label\na,x\nb,x\nc,x\n")
    (bare,) = look_at_submission(Path("own.csv"), ORDER).answers
    assert (bare.labels, bare.classes, bare.card) == (("x", "y", "x"), ("x", "y"), None)
    (scored,) = look_at_submission(Path("own.csv"), ReportOrder(Path("a.html"), LABELS)).answers
    assert scored.card is not None
    assert scored.card.counts.tolist() == [[2, 1], [0, 0]]
    assert scored.probs.shape == (3, 0)


def test_values_are_a_regression() -> None:
    Path("own.csv").write_text("id,age\na,1.5\nb,2.25\n")
    Path("labels.csv").write_text("id,age\na,1\nb,2\n")
    order = ReportOrder(Path("a.html"), LABELS, task="regression")
    (answer,) = look_at_submission(Path("own.csv"), order).answers
    assert answer.task == "regression"
    assert answer.sure is not None
    assert np.asarray(answer.sure.truth).tolist() == [[1], [2]]
    assert look_at_submission(Path("own.csv"), ORDER).answers[0].task == "regression"


def test_weights_and_policies_take_no_labels() -> None:
    weights = Weights({"ant": 1.0})
    policy = Policy({"ant": FamilyPolicy(("plain",), {})}, weights, (), "label", 1, 0.1, 0.1)
    assert look_at_weights(weights, "w.json", ORDER).weights is weights
    assert look_at_policy(policy, "p.json", ORDER).policy is policy
    with pytest.raises(UsageError, match="leave them out"):
        look_at_weights(weights, "w.json", ReportOrder(Path("a.html"), LABELS))


def test_crops_have_their_scores_and_rules() -> None:
    Path("c.csv").write_text(
        "id,left,top,right,bottom,score,rule\na,0,0,4,4,0.9,sure\nb,0,0,4,4,0.1,fallback\n"
    )
    looked = look_at_crops(Path("c.csv"), ORDER)
    assert [(each.id, each.score) for each in looked.boxes] == [("a", 0.9), ("b", 0.1)]
    assert looked.rules == {"sure": 1, "fallback": 1}
