"""Views that were kept apart become one as the graph makes them one."""

from itertools import product

import numpy as np
import pytest
from composed import TTACH_MERGES
from toys import toy_card, toy_model

from ensemble.errors import UsageError
from ensemble.inference.probe import probe_images
from ensemble.members.card import Card
from ensemble.records import TASKS, Activation, Merge, Task, View
from ensemble.runtime import graph
from ensemble.runtime.session import OnnxScorer
from ensemble.views.merging import merge_views
from ensemble.views.policy import Shaped, preset

IMAGES = probe_images((5, 8, 8, 3))
HEADS: list[tuple[Task, Activation]] = [
    ("classification", "softmax"), ("multilabel", "sigmoid"), ("regression", "none"),
]  # fmt: skip
CASES = [
    (task, activation, merge)
    for (task, activation), merge in product(HEADS, TTACH_MERGES)
    if merge in TASKS[task].merges
]


def scored(card: Card, views: tuple[View, ...], merge: Merge) -> np.ndarray:
    """What the composed graph of a toy member gives, (N, C)."""
    shaped = [Shaped(view, card.preprocess.size) for view in views]
    whole = graph.compose_graph(toy_model(card), card, shaped, merge).SerializeToString()
    names = {"label": graph.probs_name(card.heads[0])}
    return OnnxScorer(whole, names, device="cpu").score(IMAGES)["label"]


@pytest.mark.parametrize(("task", "activation", "merge"), CASES)
def test_views_apart_merge_to_what_the_graph_gives(
    task: Task, activation: Activation, merge: Merge
) -> None:
    card = toy_card("toy-f0", task=task, activation=activation)
    views = preset("d4")
    apart = np.stack([scored(card, (view,), "mean") for view in views]).astype(np.float64)
    whole = scored(card, views, merge)
    np.testing.assert_allclose(merge_views(apart, merge, task), whole, rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize("merge", TTACH_MERGES)
def test_one_view_merges_to_itself(merge: Merge) -> None:
    probs = np.random.default_rng(0).dirichlet([1, 1, 1], 4)
    np.testing.assert_array_equal(merge_views(probs[None], merge, "classification"), probs)


def test_what_needs_logits_is_refused_with_what_is_the_same() -> None:
    with pytest.raises(UsageError, match="use --merge gmean"):
        merge_views(np.full((2, 1, 2), 0.5), "logits", "classification")
