"""Families on a page: each with its own score, and how alike they err."""

import numpy as np
import pytest
from pages import CLASSES, answer_of, card_of, given, tables

from ensemble.reports.page.families import family_score_blocks

PROBS = {"one": given(60, 1), "two": given(60, 2)}
MEAN = (PROBS["one"] + PROBS["two"]) / 2
TRUTH = [CLASSES[n % 3] for n in range(60)]


def test_each_family_has_its_own_accuracy_and_all_of_them_theirs() -> None:
    answer = answer_of(MEAN, card_of(TRUTH, MEAN), families=PROBS)
    scores, alike = tables(family_score_blocks(answer))
    own = [np.mean(probs.argmax(1) == np.arange(60) % 3) for probs in (*PROBS.values(), MEAN)]
    assert [float(row[1].exact) for row in scores.rows] == pytest.approx(own)
    errors = [1 - probs[np.arange(60), np.arange(60) % 3] for probs in PROBS.values()]
    assert float(alike.rows[0][2].exact) == pytest.approx(np.corrcoef(errors)[0, 1])


def test_without_labels_families_agree_more_or_less() -> None:
    (table,) = tables(family_score_blocks(answer_of(MEAN, families=PROBS)))
    share = np.mean(PROBS["one"].argmax(1) == PROBS["two"].argmax(1))
    assert float(table.rows[0][2].exact) == pytest.approx(share)


def test_one_family_is_compared_with_nobody() -> None:
    assert family_score_blocks(answer_of(MEAN, families={"one": MEAN})) == []
