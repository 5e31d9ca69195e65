"""Blends of multilabel and regression heads: optima against oracles, and honest evidence."""

import csv
from pathlib import Path

import numpy as np
import pytest
from blends import many
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit
from toys import MakeMember

import ensemble
from ensemble.errors import UsageError
from ensemble.evaluation.metrics import METRICS, Metric, metric_of
from ensemble.files.atomic import publish_json
from ensemble.records import Task
from ensemble.tuning import lines
from ensemble.tuning.decisions import cut_points
from ensemble.tuning.evidence import paired, tune
from ensemble.tuning.fit import can_polish, fit, ridge_of, uniform
from ensemble.voting import pools
from ensemble.voting.decision import Decision
from ensemble.voting.vote import Ballot, fuse
from ensemble.voting.weights import Weights, to_json

FOLDS = np.arange(600) % 4


def labels(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Three families of unequal strength, two labels, one of them rare."""
    rng = np.random.default_rng(seed)
    y = (rng.random((600, 2)) < [0.5, 0.1]).astype(np.int64)
    scores = [2 * y - 1.5 + rng.normal(0, s, y.shape) for s in (0.8, 1.0, 3.0)]
    return expit(np.stack(scores)), y


def values(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    y = rng.normal(40, 10, (600, 1))
    return np.stack([y + rng.normal(0, s, y.shape) for s in (3.0, 4.0, 12.0)]), y


def test_the_log_linear_pool_of_labels_is_the_sigmoid_of_logits() -> None:
    stack, _ = labels()
    beta = np.array([0.5, 1.0, 0.2])
    expected = expit(np.tensordot(beta, logit(stack), 1))
    np.testing.assert_allclose(pools.log_linear_labels(stack, beta), expected, atol=1e-12)


def test_the_linear_pool_of_labels_has_the_least_mean_log_loss() -> None:
    stack, y = labels()
    own = np.where(y == 1, stack, 1 - stack).reshape(3, -1).T
    found = fit(stack, y, metric_of("auc", "multilabel"), "linear").weights
    best = minimize(
        lambda w: -np.log(own @ w).mean(), np.full(3, 1 / 3), bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, tol=1e-12,
    )  # fmt: skip
    assert -np.log(own @ found).mean() <= best.fun + 1e-8


def test_thresholds_serve_the_f1_of_a_rare_label() -> None:
    stack, y = labels()
    found = tune(stack, y, metric_of("f1", "multilabel"), folds=FOLDS)
    assert found.fitted.decision.thresholds
    assert found.evidence.verdict == "gain"
    assert found.evidence.gain is not None


@pytest.mark.parametrize("name", ["map", "auc", "rmse", "mae"])
def test_a_weak_family_earns_less_and_the_gain_is_found(name: str) -> None:
    task = "multilabel" if name in ("map", "auc") else "regression"
    stack, y = labels() if task == "multilabel" else values()
    found = tune(stack, y, metric_of(name, task), folds=FOLDS)
    assert found.evidence.verdict == "gain"
    assert found.blend.weights.argmin() == 2
    if task == "regression":
        assert found.blend.weights.sum() == pytest.approx(1)


def test_a_share_of_the_absolute_error_is_that_of_a_bounded_search() -> None:
    for seed in range(5):
        stack, y = values(seed)
        start, end = stack[0], stack[1]

        def loss(share: float, a: object = start, b: object = end, t: object = y) -> float:
            return float(np.abs(a + share * (b - a) - t).mean())  # type: ignore[operator]

        share = lines.best_share("mae", y, start, end)
        best = minimize_scalar(loss, bounds=(0, 1), method="bounded", options={"xatol": 1e-10})
        assert loss(share) <= best.fun + 1e-12


def test_a_vote_pools_labels_as_they_were_tuned() -> None:
    stack, y = labels()
    blend = fit(stack, y, metric_of("f1", "multilabel"), "log-linear")
    ballots = [Ballot(f"m{n}", f"m{n}", p.astype(np.float32)) for n, p in enumerate(stack)]
    named = {f"m{n}": float(w) for n, w in enumerate(blend.weights)}
    cuts = Decision(thresholds=(0.4, 0.2))
    fused = fuse(ballots, "soft", Weights(named, "log-linear", decision=cuts), "multilabel")
    np.testing.assert_allclose(fused.probs, blend.probs(stack), atol=1e-5)


def test_thresholds_survive_weights_json_run_and_vote(
    make_member: MakeMember, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    about = {"task": "multilabel", "activation": "sigmoid"}
    members = [make_member("ant-f0", **about), make_member("bee-f0", seed=1, **about)]
    rule = Decision(thresholds=(0.4, 0.6, 0.5))
    tuned = Weights({"ant": 0.7, "bee": 0.5}, "log-linear", decision=rule, task="multilabel")
    publish_json(Path("w.json"), to_json(tuned))
    ran = ensemble.run(members, images, weights="w.json", output="binary", out="one", device="cpu")
    with (tmp_path / "one/submission.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    expected = (ran.probs >= np.array(rule.thresholds)).astype(int)
    assert [[int(cell) for cell in row[1:]] for row in rows] == expected.tolist()
    ensemble.vote("one", out="two")
    assert Path("one/submission.csv").read_bytes() == Path("two/submission.csv").read_bytes()
    short = Weights({"ant": 1, "bee": 1}, decision=Decision(thresholds=(0.5,)))
    with pytest.raises(UsageError, match="thresholds: expected 3 of them for 3 classes, found 1"):
        ensemble.run(members, images, weights=short, out="three", device="cpu")


@pytest.mark.parametrize(
    "weights",
    [
        Weights({"m0": 1, "m1": 1}, temperature=2.0),
        Weights({"m0": 1, "m1": 1}, decision=Decision(cut_points=(0.5,))),
        Weights({"m0": 1, "m1": 1}, task="classification"),
    ],
)
def test_a_rule_of_classes_is_refused_for_labels(weights: Weights) -> None:
    half = np.full((2, 2), 0.5, np.float32)
    ballots = [Ballot("m0", "m0", half), Ballot("m1", "m1", half)]
    with pytest.raises(UsageError, match="tuned for classification; this head is multilabel"):
        fuse(ballots, "soft", weights, "multilabel")


def test_labels_too_rare_to_resample_have_no_interval() -> None:
    y = np.zeros((600, 40), np.int64)
    y[np.arange(40), np.arange(40)] = 1
    rng = np.random.default_rng(0)
    first, second = rng.random(y.shape), rng.random(y.shape)
    found = paired(first, second, y, metric_of("auc", "multilabel"))
    assert (found.interval, found.p) == (None, None)


CLASSES = [name for name in METRICS["classification"] if name != "qwk"]


@pytest.mark.parametrize("name", CLASSES)
def test_the_blend_of_a_metric_is_no_worse_than_each_family_alone(name: str) -> None:
    stack, y = many(3, 300, 4)
    metric = metric_of(name, "classification")
    blend = fit(stack, y, metric, "linear" if name in ("log_loss", "brier") else "log-linear")
    best = max(metric.gain(metric.score(y, probs), 0.0) for probs in stack)
    assert metric.gain(metric.score(y, blend.predicted(stack)), 0.0) >= best - 0.02


def test_the_plain_mean_is_what_everything_is_compared_with() -> None:
    stack, _ = labels()
    np.testing.assert_allclose(uniform(3, "multilabel").predicted(stack), stack.mean(0))


def test_families_that_know_nothing_weigh_alike() -> None:
    y = np.arange(30) % 3
    blind = np.full((2, 30, 3), 1 / 3)
    blend = fit(blind, y, metric_of("accuracy", "classification"), "log-linear")
    np.testing.assert_allclose(blend.predicted(blind), blind[0])
    assert blend.weights[0] == pytest.approx(blend.weights[1])


def test_a_family_that_is_always_wrong_is_dropped_to_nothing() -> None:
    stack, y = many(2, 200, 3)
    wrong = 0.9 * np.eye(3)[(y + 1) % 3] + 0.1 / 3
    for pool in ("linear", "log-linear"):
        blend = fit(np.concatenate([stack, wrong[None]]), y,
                    metric_of("accuracy", "classification"), pool)  # fmt: skip
        assert blend.weights[2] == 0


@pytest.mark.parametrize(("rows", "ridge"), [(1, 2.0), (100, 0.02)])
def test_the_ridge_is_a_normal_prior_of_half_a_weight_over_the_rows(
    rows: int, ridge: float
) -> None:
    assert ridge_of(rows) == pytest.approx(ridge)


@pytest.mark.parametrize(
    ("name", "task", "may"),
    [("accuracy", "classification", True), ("log_loss", "classification", True),
     ("f1", "multilabel", False), ("rmse", "regression", False), ("mine:own", "regression", True)],
)  # fmt: skip
def test_a_search_has_a_meaning_for_classes_and_for_metrics_of_ones_own(
    name: str, task: Task, may: bool
) -> None:
    assert can_polish(Metric(name, lambda *_: 0.0, True, task)) == may


def test_cuts_are_of_the_mean_level_that_the_pool_gives() -> None:
    stack, y = many(2, 200, 4)
    blend = fit(stack, y, metric_of("qwk", "classification"), "linear")
    assert blend.decision.cut_points
    levels = blend.probs(stack) @ np.arange(4)
    np.testing.assert_allclose(blend.decision.cut_points, cut_points(y, levels, 4))


def test_the_prior_of_a_rule_is_the_share_of_each_class() -> None:
    stack, y = many(2, 200, 4)
    blend = fit(stack, y, metric_of("f1_macro", "classification"), "linear")
    assert blend.decision.prior == pytest.approx(np.bincount(y) / 200)


def test_labels_are_thresholded_for_f1_only() -> None:
    stack, y = labels()
    found = {name: fit(stack, y, metric_of(name, "multilabel"), "linear").decision.thresholds
             for name in ("f1", "map", "auc")}  # fmt: skip
    assert found["f1"]
    assert (found["map"], found["auc"]) == ((), ())


def test_a_column_on_another_scale_changes_no_weight_of_a_regression() -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(0, 5, (100, 1))
    stack = np.stack([y + rng.normal(0, s, y.shape) for s in (1.0, 2.0)])
    rmse = metric_of("rmse", "regression")
    one, other = (fit(scale * stack, scale * y, rmse, "linear").weights for scale in (1.0, 50.0))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_least_squares_of_a_regression_weigh_inversely_to_the_variances() -> None:
    rng = np.random.default_rng(2)
    y = rng.normal(0, 5, (20_000, 1))
    stack = np.stack([y + rng.normal(0, s, y.shape) for s in (1.0, 2.0)])
    found = fit(stack, y, metric_of("rmse", "regression"), "linear").weights
    np.testing.assert_allclose(found, [0.8, 0.2], atol=0.02)


def test_a_regression_of_families_without_an_error_is_their_mean() -> None:
    y = np.arange(5.0)[:, None]
    found = fit(np.stack([y, y]), y, metric_of("rmse", "regression"), "linear")
    np.testing.assert_allclose(found.weights, [0.5, 0.5])


@pytest.mark.parametrize("rows", [4, 40])
def test_a_regression_of_few_rows_is_drawn_to_the_mean_by_its_ridge(rows: int) -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 5, (rows, 1))
    stack = np.stack([y + rng.normal(0, s, y.shape) for s in (1.0, 1.5)])
    error, root = stack - y, np.sqrt(np.mean((stack.mean(0) - y) ** 2))
    ridge, apart = 2 * ridge_of(rows) * root, error[1] - error[0]
    square, cross = (apart**2).mean() / root, (error[0] * apart).mean() / root
    share = np.clip((ridge - cross) / (square + 2 * ridge), 0, 1)
    found = fit(stack, y, metric_of("rmse", "regression"), "linear").weights
    np.testing.assert_allclose(found, [1 - share, share], atol=1e-5)


def test_families_that_are_all_wrong_are_pooled_by_their_plain_mean() -> None:
    y = np.arange(60) % 3
    wrong = np.repeat((0.9 * np.eye(3)[(y + 1) % 3] + 0.1 / 3)[None], 2, 0)
    blend = fit(wrong, y, metric_of("accuracy", "classification"), "log-linear")
    assert (blend.pool, blend.weights.tolist()) == ("linear", [0.5, 0.5])
