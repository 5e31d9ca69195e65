"""What families say of tasks, lifted onto labels: values cut, products, dependence."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.voting import lift, pools
from ensemble.voting.lift import TaskColumn

A, B = LabelTask("a", ("x", "y")), LabelTask("b", ("u", "v"))
PAIRS = LabelMap(("0", "1", "2", "3"), (A, B), (("x", "u"), ("x", "v"), ("y", "u"), ("y", "v")))
FOLDS_A = np.array([[0.9, 0.1], [0.1, 0.9], [0.55, 0.45]])
FOLDS_B = np.array([[0.9, 0.1], [0.1, 0.9], [0.45, 0.55]])


def column(name: str, task: str | None, *rows: list[float]) -> TaskColumn:
    return TaskColumn(name, name, task, np.array(rows))


def fused(*columns: TaskColumn, label_map: LabelMap = PAIRS) -> NDArray[np.float64]:
    stack = lift.lifted(columns, label_map)
    groups = lift.groups_of(columns, label_map)
    return lift.product_of_tasks(stack, groups, lift.class_places(label_map))


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [(57.9, 4.0, [0.0, 0.7002, 0.2998]), (59.9, 0.5, [0.0, 0.5793, 0.4207])],
)
def test_a_value_gives_the_probabilities_of_its_classes(
    value: float, spread: float, expected: list[float]
) -> None:
    found = lift.value_probs(np.array([value]), (30.0, 60.0), spread)
    assert found[0] == pytest.approx(expected, abs=5e-5)


def test_values_have_the_probabilities_of_the_normal_distribution() -> None:
    values, cuts = np.random.default_rng(0).normal(45, 30, 200), (30.0, 60.0)
    found = lift.value_probs(values, cuts, 7.0)
    ends = norm.cdf((np.array([-np.inf, *cuts, np.inf]) - values[:, None]) / 7.0)
    assert found == pytest.approx(np.diff(ends), abs=1e-14)
    assert found.sum(1) == pytest.approx(1, abs=1e-14)


def test_small_probabilities_of_the_upper_tail_keep_their_digits() -> None:
    low = lift.value_probs(np.array([0.0]), (20.0, 40.0), 2.0)[0]
    high = lift.value_probs(np.array([60.0]), (20.0, 40.0), 2.0)[0]
    assert high[0] == pytest.approx(low[2], rel=1e-12)
    assert low[2] == pytest.approx(norm.sf(20.0), rel=1e-12)


def test_a_vanishing_spread_is_the_hard_cut() -> None:
    values = np.array([29.99, 30.0, 59.99, 60.0, -1e9, 1e9])
    hard = lift.value_probs(values, (30.0, 60.0), None)
    assert hard.argmax(1).tolist() == [0, 1, 1, 2, 0, 2]
    inside = np.array([29.0, 31.0, 59.0, 61.0, -1e9, 1e9])
    soft = lift.value_probs(inside, (30.0, 60.0), 1e-9)
    assert soft.tolist() == lift.value_probs(inside, (30.0, 60.0), None).tolist()


def test_each_row_may_have_its_own_spread() -> None:
    both = lift.value_probs(np.array([57.9, 59.9]), (30.0, 60.0), np.array([4.0, 0.5]))
    assert both[0].tolist() == lift.value_probs(np.array([57.9]), (30.0, 60.0), 4.0)[0].tolist()
    assert both[1].tolist() == lift.value_probs(np.array([59.9]), (30.0, 60.0), 0.5)[0].tolist()


def test_without_weights_it_is_the_product_of_means_and_not_the_mean_of_products() -> None:
    found = fused(
        column("one", "a", FOLDS_A.mean(0).tolist()), column("two", "b", FOLDS_B.mean(0).tolist())
    )
    assert found[0] == pytest.approx([0.250, 0.267, 0.234, 0.250], abs=5e-4)
    assert found[0].argmax() == 1
    products = np.mean(np.einsum("fa,fb->fab", FOLDS_A, FOLDS_B), axis=0).ravel()
    assert products == pytest.approx([0.356, 0.161, 0.128, 0.356], abs=1e-3)


def test_a_family_of_the_label_counts_as_much_as_the_product() -> None:
    joint, a, b = [0.4, 0.3, 0.2, 0.1], [0.6, 0.4], [0.7, 0.3]
    found = fused(column("j", None, joint), column("one", "a", a), column("two", "b", b))
    assert found[0] == pytest.approx((np.array(joint) + np.outer(a, b).ravel()) / 2, abs=1e-12)


def test_a_task_that_nobody_answers_alone_is_answered_by_the_label() -> None:
    joint, a = np.array([0.4, 0.3, 0.2, 0.1]), [0.6, 0.4]
    found = fused(column("j", None, joint.tolist()), column("one", "a", a))
    product = np.outer(a, [0.6, 0.4]).ravel()
    assert found[0] == pytest.approx((joint + product) / 2, abs=1e-12)


def test_impossible_combinations_get_nothing_and_the_rest_sums_to_one() -> None:
    three = LabelMap(("0", "1", "2"), (A, B), PAIRS.rows[:3])
    found = fused(column("1", "a", [0.5, 0.5]), column("2", "b", [0.5, 0.5]), label_map=three)
    assert found[0] == pytest.approx([1 / 3] * 3)


def test_the_pool_with_every_exponent_one_is_the_product() -> None:
    rng = np.random.default_rng(1)
    columns = [column(name, name, *rng.dirichlet([1, 1], 50).tolist()) for name in "ab"]
    stack = lift.lifted(columns, PAIRS)
    assert pools.log_linear(stack, np.ones(2)) == pytest.approx(fused(*columns), abs=1e-12)


def test_marginals_are_the_sums_over_labels() -> None:
    probs = np.array([[0.4, 0.3, 0.2, 0.1]])
    found = lift.marginals(probs, PAIRS)
    assert found["a"][0] == pytest.approx([0.7, 0.3])
    assert found["b"][0] == pytest.approx([0.6, 0.4])


def test_tasks_that_do_not_depend_on_each_other_have_no_dependence() -> None:
    shares = np.outer([0.3, 0.7], [0.2, 0.8]).ravel()
    assert lift.dependence(shares, lift.class_places(PAIRS)) == pytest.approx(0, abs=1e-12)


def test_dependence_is_the_logarithm_of_how_much_likelier_a_label_is() -> None:
    shares = np.array([0.4, 0.1, 0.2, 0.3])
    found = lift.dependence(shares, lift.class_places(PAIRS))
    assert found[0] == pytest.approx(np.log(0.4 / (0.5 * 0.6)))
    assert found[1] == pytest.approx(np.log(0.1 / (0.5 * 0.4)))


def test_finer_columns_are_summed() -> None:
    probs = np.array([[0.1, 0.2, 0.3, 0.4]])
    assert lift.summed(probs, [(0, 3), (1,), (2,)])[0] == pytest.approx([0.5, 0.2, 0.3])


def test_columns_are_called_by_family_and_by_task_where_it_answers_several() -> None:
    answered = [("one", "a"), ("three", "a"), ("three", None), ("two", None)]
    assert lift.column_names(answered) == ["one", "three/a", "three/label", "two"]


def test_conditional_thresholds_are_multiplied_up() -> None:
    found = lift.threshold_probs(np.array([[0.9, 0.8, 0.1]]), "conditional")
    assert found[0] == pytest.approx([0.1, 0.18, 0.648, 0.072])


def test_cumulative_thresholds_are_what_is_reached() -> None:
    found = lift.threshold_probs(np.array([[0.9, 0.72, 0.072]]), "cumulative")
    assert found[0] == pytest.approx([0.1, 0.18, 0.648, 0.072])


def test_cumulative_thresholds_that_rise_give_a_class_less_than_nothing() -> None:
    assert lift.threshold_probs(np.array([[0.2, 0.6]]), "cumulative").min() < 0
