"""The verdict is honest: real gains are found, and noise gives none."""

import numpy as np
import pytest
from blends import binary, golden, many, noise
from numpy.typing import NDArray
from scipy.stats import binomtest

from ensemble.evaluation.metrics import Metric, metric_of
from ensemble.tuning import candidates, evidence
from ensemble.tuning.evidence import tune
from ensemble.tuning.fit import fit, uniform
from ensemble.voting import pools
from ensemble.voting.weights import Polish, Write


def folds_of(rows: int, folds: int = 5) -> NDArray[np.int64]:
    return np.random.default_rng(5).permutation(rows) % folds


def test_the_golden_blend_is_a_gain() -> None:
    stack, y = golden()
    found = tune(stack, y, metric_of("log_loss", "classification"), folds=folds_of(len(y)))
    gain = found.evidence.gain
    assert gain is not None
    assert found.evidence.verdict == "gain"
    assert gain.interval is not None
    assert gain.interval[0] > 0
    assert gain.p is not None
    assert gain.p < 0.01
    assert found.blend is found.fitted


@pytest.mark.parametrize("name", ["log_loss", "auc"])
def test_the_golden_scores_are_reached_by_default(name: str) -> None:
    stack, y = golden()
    found = tune(stack, y, metric_of(name, "classification"))
    bound = {"log_loss": 0.298, "auc": -0.9455}[name]
    sign = -1 if name == "auc" else 1
    assert sign * found.evidence.apparent <= bound
    assert found.evidence.verdict == "no evidence"


def test_the_golden_accuracy_is_reached_by_polish_and_is_apparent() -> None:
    stack, y = golden()
    found = tune(stack, y, metric_of("accuracy", "classification"), polish="always")
    assert found.evidence.apparent >= 0.877
    assert found.evidence.nested is None


@pytest.mark.parametrize("name", ["auc", "log_loss", "accuracy", "f1_macro"])
def test_noise_is_no_gain(name: str) -> None:
    stack, y = noise()
    seen = tune(stack, y, metric_of(name, "classification"), folds=folds_of(len(y))).evidence
    assert seen.verdict != "gain"
    assert seen.gain is not None
    assert seen.gain.interval is not None
    assert seen.gain.interval[0] <= 0


def test_a_pool_that_noise_was_fitted_by_is_left_for_the_plain_mean() -> None:
    stack, y = noise()
    metric = metric_of("log_loss", "classification")
    found = tune(stack, y, metric, folds=folds_of(len(y)))
    assert (found.chosen.name, found.evidence.verdict) == ("mean", "no evidence")
    np.testing.assert_array_equal(found.blend.weights, uniform(40).weights)


@pytest.mark.parametrize("polish", ["off", "always"])
def test_a_pool_of_ranks_serves_the_auc_of_families_on_other_scales(polish: Polish) -> None:
    stack, y = golden()
    stack, y = stack[:, :600], y[:600]
    squeezed = stack.copy()
    squeezed[0] = binary(0.5 + (stack[0, :, 1] - 0.5) / 50)  # the same order, and hardly a weight
    metric = metric_of("auc", "classification")
    folds = np.arange(len(y)) % 5
    found = tune(squeezed, y, metric, folds=folds, pool="rank", polish=polish)
    assert found.blend.pool == "rank"
    assert found.evidence.verdict == "gain"
    assert metric.score(y, found.blend.predicted(squeezed)) > 0.88


def test_a_family_without_a_share_is_dropped() -> None:
    stack, y = many(4, 2000, 3)
    useless = np.full((1, 2000, 3), 1 / 3)
    blend = fit(np.concatenate([stack, useless]), y, metric_of("accuracy", "classification"),
                "linear")  # fmt: skip
    kept = blend.weights[blend.weights > 0]
    assert kept.min() >= 0.01 * blend.weights.sum()


def test_rows_of_a_group_are_drawn_together() -> None:
    stack, y = many(2, 100, 2)
    twice = np.repeat(np.arange(100), 10)
    first, second = stack[0][twice], stack[1][twice]
    metric = metric_of("log_loss", "classification")
    apart = evidence.paired(first, second, y[twice], metric)
    together = evidence.paired(first, second, y[twice], metric, twice)
    assert together.error is not None
    assert apart.error is not None
    assert together.error > 2 * apart.error


def repeated(times: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Two predictions of 40 rows of class 1, each row standing there `times` times.

    Of the rows that only one of the two has right, the first has 9, and the second 4.
    """
    right, wrong = [0.0, 1.0], [1.0, 0.0]
    first = np.array([right] * 9 + [wrong] * 4 + [right] * 27)
    second = np.array([wrong] * 9 + [right] * 4 + [right] * 27)
    return first.repeat(times, 0), second.repeat(times, 0), np.ones(40 * times, np.int64)


def test_copies_of_rows_in_a_group_make_no_accuracy_more_significant() -> None:
    metric = metric_of("accuracy", "classification")
    once, many_times = (
        evidence.paired(*repeated(times), metric, np.arange(40).repeat(times)) for times in (1, 30)
    )
    assert many_times.p == once.p
    assert many_times.interval == pytest.approx(once.interval)
    assert once.p == pytest.approx(binomtest(9, 13).pvalue, abs=0.15)
    assert evidence.paired(*repeated(30), metric).p == pytest.approx(0, abs=1e-6)


def test_rows_of_a_group_are_one_proof() -> None:
    stack, y = many(2, 90, 2)
    thrice = np.tile(np.arange(90), 3)
    folds = thrice % 3
    alone = tune(stack, y, ACCURACY, folds=np.arange(90) % 3)
    copied = tune(stack[:, thrice], y[thrice], ACCURACY, folds=folds, groups=thrice)
    for one, three in zip(alone.evidence.judged, copied.evidence.judged, strict=True):
        if one.candidate.name in ("mean", "best", "subset"):  # a ridge counts rows
            assert three.error == pytest.approx(one.error)


def test_a_decision_rule_sees_the_prior_of_the_classes() -> None:
    rng = np.random.default_rng(0)
    y = rng.choice(3, 3000, p=[0.85, 0.1, 0.05])
    scores = rng.normal(0, 1, (2, 3000, 3)) + 1.3 * np.eye(3)[y] + np.log([0.85, 0.1, 0.05])
    stack = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    metric = metric_of("f1_macro", "classification")
    found = tune(stack, y, metric, folds=folds_of(3000))
    assert found.blend.decision.prior_tau > 0
    assert found.evidence.verdict == "gain"


def test_the_errors_of_copies_correlate() -> None:
    stack, y = golden()
    found = evidence.error_correlations(np.stack([stack[0], stack[0], stack[3]]), y)
    assert found[0, 1] == pytest.approx(1)
    assert found[0, 2] < 0.5


def test_without_a_strong_family_the_blend_loses_most() -> None:
    stack, y = golden()
    metric = metric_of("log_loss", "classification")
    blend = fit(stack, y, metric, "log-linear")
    losses = evidence.leave_one_out(stack, y, metric, blend)
    assert losses.argmin() == 3
    assert losses.min() >= -1e-9


def test_blends_predict_as_their_pools_do() -> None:
    stack, y = golden()
    blend = fit(stack, y, metric_of("log_loss", "classification"), "log-linear")
    np.testing.assert_array_equal(blend.probs(stack), pools.log_linear(stack, blend.weights))
    np.testing.assert_allclose(uniform(4).probs(stack), stack.mean(0))


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 3), (9, 2), (0, 7), (140, 171)])
def test_mcnemars_p_value_is_that_of_the_binomial_test(wins: int, losses: int) -> None:
    right, wrong = [0.0, 1.0], [1.0, 0.0]
    first = np.array([right] * wins + [wrong] * losses + [right])
    second = np.array([wrong] * wins + [right] * losses + [right])
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    found = evidence.mcnemar(first, second, np.ones(len(first), np.int64))
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_rare_class_leaves_a_gain_without_an_interval_and_no_better_than_weak() -> None:
    stack, y = many(3, 600, 3)
    y = np.where((y == 2) & (np.cumsum(y == 2) > 4), 0, y)  # four rows of the last class
    found = tune(stack, y, metric_of("f1_macro", "classification"), folds=folds_of(600, 2))
    gain = found.evidence.gain
    assert gain is not None
    assert (gain.interval, gain.p) == (None, None)
    assert gain.error is not None
    assert found.evidence.verdict == ("no evidence" if found.chosen.name == "mean" else "weak")


LOSS = metric_of("log_loss", "classification")
ACCURACY = metric_of("accuracy", "classification")


def test_each_fold_is_predicted_by_a_blend_of_the_others() -> None:
    stack, y = many(3, 90, 3)
    folds = np.arange(90) % 3
    expected = np.empty((90, 3))
    for fold in range(3):
        held = folds == fold
        blend = fit(stack[:, ~held], y[~held], LOSS, "log-linear")
        expected[held] = blend.predicted(stack[:, held])
    found = tune(stack, y, LOSS, folds=folds, pool="log-linear", write="tuned")
    assert found.evidence.nested == pytest.approx(LOSS.score(y, expected))


@pytest.mark.parametrize("names", [[0, 1, 2], [7, 3, 5]])
def test_the_numbers_of_the_folds_are_names_only(names: list[int]) -> None:
    stack, y = many(2, 60, 3)
    plain, named = (tune(stack, y, LOSS, folds=np.array(n)[np.arange(60) % 3])
                    for n in ([0, 1, 2], names))  # fmt: skip
    assert named.evidence.nested == pytest.approx(plain.evidence.nested)
    assert named.evidence.folds == 3


def test_the_order_of_the_families_changes_no_evidence() -> None:
    stack, y = many(3, 90, 3)
    folds, order = np.arange(90) % 3, [2, 0, 1]
    plain, turned = (tune(s, y, LOSS, folds=folds) for s in (stack, stack[order]))
    np.testing.assert_allclose(turned.fitted.weights, plain.fitted.weights[order], atol=1e-6)
    assert turned.evidence.nested == pytest.approx(plain.evidence.nested, abs=1e-7)
    assert turned.evidence.verdict == plain.evidence.verdict


@pytest.mark.parametrize("folds", [None, np.zeros(60, np.int64)])
def test_without_two_folds_all_evidence_is_apparent(folds: NDArray[np.int64] | None) -> None:
    stack, y = many(2, 60, 3)
    seen = tune(stack, y, LOSS, folds=folds).evidence
    assert (seen.folds, seen.nested, seen.gain, seen.verdict) == (0, None, None, "no evidence")
    assert seen.apparent_gain == pytest.approx(seen.uniform - seen.apparent)


def test_copies_of_one_family_gain_nothing_over_their_mean() -> None:
    stack, y = many(1, 90, 3)
    found = tune(np.repeat(stack, 3, 0), y, ACCURACY, folds=np.arange(90) % 3)
    assert found.evidence.verdict == "no evidence"
    assert found.blend.weights == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("name", "polish", "plans"),
    [("log_loss", "auto", 5), ("accuracy", "auto", 6), ("accuracy", "off", 5), ("brier", "auto", 4),
     ("top_k", "auto", 5), ("accuracy", "always", 5)],
)  # fmt: skip
def test_every_fit_before_the_last_is_told_of(name: str, polish: Polish, plans: int) -> None:
    stack, y = many(2, 60, 4)
    metric, folds = metric_of(name, "classification"), np.arange(60) % 3
    told: list[int] = []
    tune(stack, y, metric, folds=folds, polish=polish, tick=told.append)
    assert sum(told) == evidence.fits_of(metric, 2, folds, None, polish) == 3 * plans


def test_without_folds_one_fit_is_all() -> None:
    assert evidence.fits_of(LOSS, 2, None, None, "auto") == 0


def test_a_gain_is_the_difference_of_the_scores_upward() -> None:
    stack, y = many(2, 60, 3)
    gain = evidence.paired(stack[0], stack[1], y, LOSS)
    assert gain.value == pytest.approx(LOSS.score(y, stack[1]) - LOSS.score(y, stack[0]))


def test_a_prediction_gains_nothing_over_itself() -> None:
    stack, y = many(1, 60, 3)
    gain = evidence.paired(stack[0], stack[0], y, ACCURACY)
    assert (gain.value, gain.error, gain.p) == (0, 0, 1)


@pytest.mark.parametrize("metric", [LOSS, ACCURACY], ids=["log_loss", "accuracy"])
def test_what_one_gains_the_other_loses(metric: Metric) -> None:
    stack, y = many(2, 60, 3)
    forth, back = (evidence.paired(a, b, y, metric) for a, b in (stack, stack[::-1]))
    assert forth.value == pytest.approx(-back.value)
    assert forth.p == pytest.approx(back.p)


def test_correlations_of_errors_are_numpys_of_what_the_true_class_lacks() -> None:
    stack, y = many(3, 40, 3)
    errors = [[1 - stack[m, n, y[n]] for n in range(40)] for m in range(3)]
    np.testing.assert_allclose(evidence.error_correlations(stack, y), np.corrcoef(errors))


def test_correlations_of_values_are_those_of_their_residuals() -> None:
    rng = np.random.default_rng(0)
    y, stack = rng.normal(size=(30, 2)), rng.normal(size=(2, 30, 2))
    found = evidence.error_correlations(stack, y, "regression")
    np.testing.assert_allclose(found, np.corrcoef((stack - y).reshape(2, -1)))


def test_correlations_of_labels_do_not_tell_which_side_an_error_is_on() -> None:
    y = np.array([[0, 1], [1, 0], [1, 1]])
    one = np.array([[0.1, 0.7], [0.5, 0.2], [0.8, 0.9]])
    off = np.abs(one - y)
    found = evidence.error_correlations(np.stack([one, off]), y, "multilabel")
    expected = np.corrcoef([off.ravel(), np.abs(off - y).ravel()])
    np.testing.assert_allclose(found, expected)


def test_one_family_correlates_with_itself() -> None:
    stack, y = many(1, 20, 3)
    np.testing.assert_allclose(evidence.error_correlations(stack, y), [[1.0]])


def test_losing_a_copy_loses_nothing() -> None:
    stack, y = many(2, 80, 3)
    doubled = np.concatenate([stack, stack[:1]])
    blend = fit(doubled, y, LOSS, "linear")
    losses = evidence.leave_one_out(doubled, y, LOSS, blend)
    assert losses[[0, 2]] == pytest.approx([0, 0], abs=1e-6)
    assert losses[1] >= -1e-9


def test_a_loss_that_is_known_is_not_computed_again_and_each_refit_is_told() -> None:
    stack, y = golden()
    metric, told = metric_of("log_loss", "classification"), []
    blend = fit(stack, y, metric, "log-linear")
    whole = metric.score(y, blend.predicted(stack))
    plain = evidence.leave_one_out(stack, y, metric, blend)
    known = evidence.leave_one_out(stack, y, metric, blend, whole=whole, tick=told.append)
    np.testing.assert_array_equal(known, plain)
    assert told == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["log_loss", "f1_macro"])
def test_each_row_is_predicted_by_the_blend_of_the_other_folds(name: str) -> None:
    stack, y = golden()
    metric, folds = metric_of(name, "classification"), folds_of(len(y))
    found = tune(stack, y, metric, folds=folds, write="tuned")
    nested = found.nested(stack)
    assert nested is not None
    for fold in range(5):
        held = folds == fold
        own = candidates.fitted(stack[:, ~held], y[~held], metric, found.chosen)
        np.testing.assert_allclose(nested[held], own.predicted(stack[:, held]), rtol=1e-12)
    if found.chosen == found.best:
        assert metric.score(y, nested) == pytest.approx(found.evidence.nested, rel=1e-12)


def test_without_folds_no_row_is_predicted_by_others() -> None:
    stack, y = golden()
    assert tune(stack, y, LOSS).nested(stack) is None


# ---- what is written


@pytest.mark.parametrize("write", ["auto", "mean"])
def test_without_folds_the_plain_mean_is_written(write: Write) -> None:
    stack, y = golden()
    found = tune(stack, y, LOSS, write=write)
    assert found.chosen.name == "mean"
    np.testing.assert_array_equal(found.blend.weights, [0.25] * 4)
    assert found.fitted.pool == "log-linear"  # what it would be is told of all the same


def test_without_folds_a_blend_that_is_forced_is_written() -> None:
    stack, y = golden()
    assert tune(stack, y, LOSS, write="tuned").blend.pool == "log-linear"
    best = tune(stack, y, LOSS, write="best").blend.weights
    assert sorted(best.tolist()) == [0, 0, 0, 1]


def test_a_metric_of_ones_own_gets_the_rule_that_the_same_one_of_ours_gets() -> None:
    rng = np.random.default_rng(0)
    prior = [0.85, 0.1, 0.05]
    y = rng.choice(3, 1500, p=prior)
    scores = rng.normal(0, 1, (2, 1500, 3)) + 1.3 * np.eye(3)[y] + np.log(prior)
    stack = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    ours = metric_of("f1_macro", "classification")
    own = Metric("pkg:f1", ours.score, True, "classification")
    one, two = (tune(stack, y, m, folds=folds_of(1500), polish="off") for m in (ours, own))
    assert two.blend.decision.prior_tau == pytest.approx(one.blend.decision.prior_tau, abs=0.05)
    assert two.evidence.nested == pytest.approx(one.evidence.nested, abs=0.01)
    assert two.evidence.alone is not None
    assert two.evidence.nested is not None
    assert two.evidence.nested > two.evidence.alone


def test_a_weak_family_does_not_drag_the_blend() -> None:
    stack, y = many(3, 600, 3)
    noise_only = np.random.default_rng(1).dirichlet(np.ones(3), 600)[None]
    found = tune(np.concatenate([stack, noise_only, noise_only[:, ::-1]]), y, ACCURACY,
                 folds=folds_of(600))  # fmt: skip
    assert found.chosen.name != "mean"
    shares = found.blend.weights / found.blend.weights.sum()
    assert shares[3:].sum() < 0.2
