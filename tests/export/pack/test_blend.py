"""A blend as nodes is the blend itself, whatever a weights.json may hold."""

from dataclasses import replace

import numpy as np
import pytest
from packs import computed

from ensemble.export.pack.blend import decided, pooled, product, void_rows
from ensemble.runtime.merges import Builder
from ensemble.voting import pools
from ensemble.voting.blend import Blend, decide, labels_given
from ensemble.voting.decision import Decision
from ensemble.voting.lift import JOINT, product_of_tasks

M, N, C = 3, 30, 4
RNG = np.random.default_rng(8)
STACK = RNG.dirichlet(np.ones(C) / 2, (M, N))
INPUTS = {f"family{m}": STACK[m] for m in range(M)}
PRIOR = tuple(RNG.dirichlet(np.ones(C)).tolist())
PLAIN = Blend("linear", np.array([0.5, 2.0, 1.0]))
BLENDS = {
    "linear": PLAIN,
    "log-linear": replace(PLAIN, pool="log-linear"),
    "geometric": replace(PLAIN, geometric=True),
    "rank": replace(PLAIN, pool="rank", ranks=pools.quantiles(RNG.dirichlet(np.ones(C), (M, 99)))),
    "several": replace(PLAIN, pool="log-linear", task="multilabel"),
    "several, geometric": replace(PLAIN, geometric=True, task="multilabel"),
    "hot": replace(PLAIN, temperature=0.4),
    "one weighs nothing": replace(PLAIN, pool="log-linear", weights=np.array([0.5, 0.0, 1.0])),
    "dependent": replace(
        PLAIN, pool="log-linear", dependence=RNG.normal(size=C), rho=0.3,
        places=np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), groups=(0, 1, JOINT),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BLENDS)
def test_families_pool_as_the_blend_does(name: str) -> None:
    blend = BLENDS[name]
    found = computed(lambda build: pooled(build, blend, list(INPUTS)), INPUTS)
    np.testing.assert_allclose(found, blend.probs(STACK), rtol=1e-10, atol=1e-14)


def test_no_node_depends_on_a_family_that_weighs_nothing() -> None:
    build = Builder(prefix="test")
    pooled(build, BLENDS["one weighs nothing"], list(INPUTS))
    read = {name for node in build.nodes for name in node.input}
    assert read & set(INPUTS) == {"family0", "family2"}


GROUPS = [(0, 1, 1), (0, 0, JOINT), (JOINT, JOINT, JOINT), (1, 0, JOINT), (0, 1, 0)]


@pytest.mark.parametrize("groups", GROUPS)
def test_a_product_of_tasks_is_that_of_numpy(groups: tuple[int, ...]) -> None:
    places = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    found = computed(lambda build: product(build, list(INPUTS), groups, places), INPUTS)
    np.testing.assert_allclose(found, product_of_tasks(STACK, groups, places), atol=1e-14)


RULES = {
    "none": Decision(),
    "prior": Decision(prior_tau=0.7, prior=PRIOR),
    "cuts": Decision(cut_points=(0.6, 1.2, 2.0)),
    "cuts in an order": Decision(cut_points=(0.6, 1.2, 2.0), order=(2, 0, 3, 1)),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_decides_as_it_does_in_a_vote(name: str) -> None:
    blend = replace(PLAIN, decision=RULES[name])
    found = computed(lambda build: str(decided(build, blend, "probs", C)), {"probs": STACK[0]})
    assert found.tolist() == decide(STACK[0], RULES[name]).tolist()


@pytest.mark.parametrize("thresholds", [(), (0.2, 0.5, 0.9, 0.1)])
def test_labels_are_given_from_their_thresholds_on(thresholds: tuple[float, ...]) -> None:
    blend = replace(PLAIN, task="multilabel", decision=Decision(thresholds=thresholds))
    probs = STACK[0].copy()
    probs[0] = thresholds or 0.5
    found = computed(lambda build: str(decided(build, blend, "probs", C)), {"probs": probs})
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, labels_given(probs, blend.decision))


def test_values_of_a_regression_have_no_label() -> None:
    blend = replace(PLAIN, task="regression")
    assert decided(Builder(prefix="test"), blend, "values", C) is None


def test_a_row_that_any_member_left_out_is_void() -> None:
    probs = STACK.copy()
    probs[1, 2] = np.nan
    inputs = {f"family{m}": probs[m] for m in range(M)}
    found = computed(lambda build: void_rows(build, list(inputs)), inputs)
    assert np.flatnonzero(found).tolist() == [2]
