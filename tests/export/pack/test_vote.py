"""The vote as nodes is the vote, for each kind of voting, head and weights."""

from pathlib import Path

import numpy as np
import pytest
from packs import computed
from toys import CLASSES, toy_card

from ensemble.errors import UsageError
from ensemble.export.pack.vote import Voted, VoteRule, voted
from ensemble.members.card import Card, Head
from ensemble.pipeline.pack_proof import Scores
from ensemble.recipe.resolve import Fusion
from ensemble.records import Task, Voting
from ensemble.runtime.merges import Builder
from ensemble.voting import vote
from ensemble.voting.constraints import constrained
from ensemble.voting.vote import Ballot
from ensemble.voting.weights import Weights

ROWS = 50
RNG = np.random.default_rng(4)
CARDS = [toy_card(f"{family}-f{fold}") for family in ("bee", "ant", "cow") for fold in (1, 0)]
WEIGHTS = Weights({"ant": 0.5, "bee": 2.0, "cow": 0.0})


def scores(task: Task = "classification") -> Scores:
    """What members give, with rows in which members agree and tie."""
    found = {}
    for card in CARDS:
        rows = np.round(RNG.dirichlet(np.ones(3) / 2, ROWS), 1)
        rows[:, 0] += 0.01
        rows = rows / rows.sum(1, keepdims=True) if task == "classification" else 9 * rows
        found[card.name, "label"] = rows.astype(np.float32)
    return found


def ballots(said: Scores) -> list[Ballot]:
    return [Ballot(card.name, card.family, said[card.name, "label"]) for card in CARDS]


def both(rule: VoteRule, said: Scores, cards: list[Card] = CARDS) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities and the labels of the nodes."""
    inputs = {"/".join(key): rows for key, rows in said.items()}
    given = {key: "/".join(key) for key in said}

    def made(build: Builder) -> Voted:
        return voted(build, cards, given, rule)

    probs = computed(lambda build: made(build).probs, inputs)
    labels = computed(lambda build: made(build).labels or "", inputs)
    return probs, labels


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("voting", ["soft", "hard", "geometric"])
def test_a_vote_is_that_of_numpy(voting: Voting, weights: Weights | None) -> None:
    said = scores()
    head = Head("label", "probs", "classification", "none", CLASSES)
    probs, labels = both(VoteRule("mean", Fusion(voting, weights), head), said)
    expected = vote.fuse(ballots(said), voting, weights, "classification")
    np.testing.assert_allclose(probs, expected.probs, atol=1e-12)
    assert labels.tolist() == expected.labels.tolist()


def test_values_fulfil_their_constraints() -> None:
    said = scores("regression")
    head = Head("label", "values", "regression", "none", ("total", "a", "b"))
    texts = ("total = a + b",)
    inputs = {"/".join(key): rows for key, rows in said.items()}
    given = {key: "/".join(key) for key in said}
    rule = VoteRule("mean", Fusion("soft", None, texts), head)
    found = computed(lambda build: voted(build, CARDS, given, rule).probs, inputs)
    fused = vote.fuse(ballots(said), "soft", None, "regression").probs
    np.testing.assert_allclose(found, constrained(fused, texts, head.classes)[0], atol=1e-9)


def test_a_family_that_weighs_nothing_is_not_heard() -> None:
    build = Builder(prefix="test")
    head = Head("label", "probs", "classification", "none", CLASSES)
    given = {(card.name, "label"): f"{card.name}/label" for card in CARDS}
    for voting in ("soft", "hard"):
        found = voted(build, CARDS, given, VoteRule("mean", Fusion(voting, WEIGHTS), head))
        assert len(found.heard) == {"soft": 2, "hard": 4}[voting]


def test_a_weight_that_lacks_is_told_before(tmp_path: Path) -> None:
    from packs import packed, toys_of

    members = toys_of(tmp_path)
    with pytest.raises(UsageError, match="no weight for bee"):
        packed(tmp_path, members, weights=Weights({"ant": 1.0}))
