"""Weights on a page: every figure is that of weights.json."""

import pytest
from pages import tables

from ensemble.reports.page.blocks import Block, Facts, Note
from ensemble.reports.page.weighed import (
    candidate_blocks,
    correlation_blocks,
    family_blocks,
    task_blocks,
    verdict_blocks,
    verdict_fact,
)
from ensemble.voting.evidence import EvidenceRecord
from ensemble.voting.weights import Weights

SEEN: EvidenceRecord = {
    "n": 600, "folds": 5, "singles": {"ant": 0.31, "bee": 0.29}, "uniform": 0.28,
    "apparent": 0.25, "apparent_gain": 0.03, "nested": 0.26, "written": "log-linear",
    "gain": 0.0212345, "gain_ci95": [0.01, 0.03], "p": 0.004, "verdict": "gain",
    "error_correlations": [[1.0, 0.5], [0.5, None]], "loss_without": {"ant": 0.02, "bee": 0.01},
    "candidates": [{"blend": "mean", "score": 0.28, "gain": 0.0, "error": 0.0}],
    "tasks": {"kind": {"uniform": 0.3, "nested": None}},
}  # fmt: skip
WEIGHTS = Weights({"ant": 0.4, "bee": 0.6}, "log-linear", metric="log_loss", evidence=SEEN)


def exact(blocks: list[Block]) -> set[float]:
    cells = [cell for table in tables(blocks) for row in table.rows for cell in row]
    return {float(cell.exact) for cell in cells if cell.exact}


def test_the_verdict_stands_with_its_gain_and_interval() -> None:
    blocks = verdict_blocks(WEIGHTS)
    facts = next(block for block in blocks if isinstance(block, Facts)).facts
    assert facts[0].shown.text == "gain"
    assert float(facts[1].shown.exact) == SEEN["gain"]
    assert facts[1].below == "95 % interval 0.01000 to 0.03000"
    assert "0.02123" in verdict_fact(SEEN).below


def test_weights_of_ones_own_are_worth_nobody_knows_what() -> None:
    (note,) = verdict_blocks(Weights({"ant": 1.0}))
    assert isinstance(note, Note)
    assert "not tuned" in note.text


def test_families_have_their_weights_scores_and_losses() -> None:
    assert {0.4, 0.6, 0.31, 0.29, 0.02, 0.01} <= exact(family_blocks(WEIGHTS))
    assert exact(candidate_blocks(SEEN)) == {0.28, 0.0}
    assert exact(task_blocks(SEEN)) == {0.3}


def test_what_is_not_defined_is_a_dash() -> None:
    (table,) = tables(correlation_blocks(["ant", "bee"], SEEN["error_correlations"]))
    assert table.rows[1][2].said == "not defined"
    assert correlation_blocks(["ant"], [[1.0]]) == []


@pytest.mark.parametrize("seen", [{"verdict": "no evidence"}, {"gain": None, "gain_ci95": None}])
def test_a_verdict_without_a_gain_can_be_shown(seen: EvidenceRecord) -> None:
    weights = Weights({"ant": 1.0}, metric="log_loss", evidence={**SEEN, **seen})
    assert verdict_blocks(weights)
