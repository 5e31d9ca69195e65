"""A blend is applied alike by a vote and by tuning."""

import numpy as np
from blends import many

from ensemble.voting.blend import Blend
from ensemble.voting.decision import Decision


def test_thresholds_turn_probabilities_into_0_and_1() -> None:
    blend = Blend("linear", np.ones(1), decision=Decision(thresholds=(0.5, 0.2)), task="multilabel")
    assert blend.decided(np.array([[0.5, 0.1], [0.4, 0.2]])).tolist() == [[1, 0], [0, 1]]


def test_cuts_turn_probabilities_into_one_class_a_row() -> None:
    blend = Blend("linear", np.ones(1), decision=Decision(cut_points=(0.5, 1.5)))
    assert blend.decided(np.array([[0.0, 1, 0], [0.1, 0, 0.9]])).tolist() == [[0, 1, 0], [0, 0, 1]]


def test_a_prior_divides_and_leaves_rows_that_sum_to_1() -> None:
    blend = Blend("linear", np.ones(1), decision=Decision(prior_tau=1.0, prior=(0.8, 0.2)))
    np.testing.assert_allclose(blend.decided(np.array([[0.8, 0.2]])), [[0.5, 0.5]])


def test_without_a_rule_probabilities_stay_as_they_are() -> None:
    probs = np.array([[0.8, 0.2]])
    assert Blend("linear", np.ones(1), decision=Decision(prior=(0.5, 0.5))).decided(probs) is probs


def test_a_temperature_goes_over_the_pool() -> None:
    stack, _ = many(2, 20, 3)
    blend = Blend("linear", np.array([0.3, 0.7]), temperature=2.0)
    expected = np.sqrt(np.tensordot([0.3, 0.7], stack, 1))
    np.testing.assert_allclose(blend.probs(stack), expected / expected.sum(1, keepdims=True))
