"""A blend as nodes: families become one prediction, and a label; see `voting.blend`."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ensemble.arrays import Indices
from ensemble.export.pack import pools
from ensemble.export.pack.columns import to_label
from ensemble.export.pack.pools import double
from ensemble.records import TASKS
from ensemble.runtime.merges import Builder
from ensemble.voting.blend import Blend
from ensemble.voting.decision import Decision
from ensemble.voting.lift import JOINT


def pooled(build: Builder, blend: Blend, families: Sequence[str]) -> str:
    """Name the probabilities of families, each a tensor (N, C), before any decision rule.

    Families that weigh nothing are left out: no node depends on them.
    """
    if blend.places is not None and blend.pool == "linear":
        return _tempered(build, blend, product(build, families, blend.groups, blend.places))
    kept = np.flatnonzero(blend.weights).tolist()
    own = replace(
        blend,
        weights=blend.weights[kept],
        ranks=None if blend.ranks is None else blend.ranks[kept],
    )
    return _tempered(build, blend, _pooled(build, own, [families[place] for place in kept]))


def product(build: Builder, families: Sequence[str], groups: Sequence[int], places: Indices) -> str:
    """Name the product of the tasks' means over the labels; see `lift.product_of_tasks`.

    Args:
        build: collects the nodes.
        families: what each column says over the labels, (N, K).
        groups: the columns' tasks.
        places: the classes of each label (K, T).
    """
    whole = [t for t, group in zip(families, groups, strict=True) if group == JOINT]
    tasks = places.shape[1]
    answered = [[t for t, group in zip(families, groups, strict=True) if group == task]
                for task in range(tasks)]  # fmt: skip
    if not any(answered):
        return pools.mean_of(build, whole)
    means = [
        pools.mean_of(build, own) if own else _of_task(build, whole, places[:, task])
        for task, own in enumerate(answered)
    ]
    found = pools.log_linear(build, pools.stacked(build, means), np.ones(tasks))
    return pools.mean_of(build, [*whole, found])


def decided(build: Builder, blend: Blend, probs: str, classes: int) -> str | None:
    """Name the label of each row, int64 (N,), of probabilities; None where there is no single one.

    Of a multilabel head it is which labels are given, bool (N, C).
    """
    rule, rules = blend.decision, TASKS[blend.task]
    if rules.several:
        cuts = double(build, rule.thresholds or (0.5,) * classes)
        return build.op("GreaterOrEqual", probs, cuts)
    if not rules.single:
        return None
    if rule.cut_points:
        return pools.by_cuts(build, probs, rule.cut_points, rule.order)
    return pools.best(build, _without_prior(build, probs, rule))


def void_rows(build: Builder, heard: Sequence[str]) -> str:
    """Name which rows have no prediction, bool (N, 1): any of the tensors heard has NaN there."""
    sums = [pools.summed_over(build, each, 1, keep=True) for each in heard]
    return build.op("IsNaN", build.op("Sum", *sums))


def _pooled(build: Builder, blend: Blend, families: Sequence[str]) -> str:
    """Name what families give together, none of which weighs nothing."""
    if blend.ranks is not None:
        pairs = zip(families, blend.ranks, strict=True)
        families = [pools.ranked(build, tensor, knots) for tensor, knots in pairs]
        return pools.linear(build, pools.stacked(build, families), blend.weights)
    stack, several = pools.stacked(build, families), TASKS[blend.task].several
    if blend.dependence is not None:
        return pools.log_linear(build, stack, blend.weights, blend.rho * blend.dependence)
    if blend.geometric:
        mean = pools.geometric if several else pools.geometric_or_linear
        return mean(build, stack, blend.weights)
    if blend.pool == "log-linear":
        if several:
            return pools.log_linear_labels(build, stack, blend.weights)
        return pools.log_linear(build, stack, blend.weights)
    return pools.linear(build, stack, blend.weights)


def _tempered(build: Builder, blend: Blend, probs: str) -> str:
    return pools.tempered(build, probs, blend.temperature)


def _of_task(build: Builder, whole: Sequence[str], place: Indices) -> str:
    """Name what columns of the label say of a task, lifted again, (N, K)."""
    matrix = np.eye(place.max() + 1)[place]
    sums = build.op("MatMul", pools.mean_of(build, whole), double(build, matrix))
    return to_label(build, sums, place.tolist())


def _without_prior(build: Builder, probs: str, rule: Decision) -> str:
    if not rule.prior_tau:
        return probs
    return pools.with_prior(build, probs, np.array(rule.prior), rule.prior_tau)
