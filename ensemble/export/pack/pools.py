"""Pools as nodes: what `voting.pools` computes in NumPy, in float64, in the same steps.

No operator is used whose spelling differs between the opsets 13 and `MAX_OPSET`, or that ONNX
Runtime lacks in float64 (ReduceMax, OneHot, Erf).
"""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from ensemble.arrays import Vector
from ensemble.runtime.merges import Builder
from ensemble.voting.pools import LOG_FLOOR, Knots

_TINY = 1e-38
_TIED = 1e-9


def double(build: Builder, values: object) -> str:
    """Name a constant of float64."""
    return build.constant(np.asarray(values, np.float64))


def to_double(build: Builder, tensor: str) -> str:
    """Name a tensor cast to float64."""
    return build.op("Cast", tensor, to=TensorProto.DOUBLE)


def stacked(build: Builder, tensors: Sequence[str]) -> str:
    """Name (M, N, C) of M tensors (N, C)."""
    parts = [build.op("Unsqueeze", tensor, build.integers(0)) for tensor in tensors]
    return build.op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]


def summed_over(build: Builder, tensor: str, axis: int, *, keep: bool = False) -> str:
    """Name the sum over an axis, which goes unless it is kept."""
    return build.op("ReduceSum", tensor, build.integers(axis), keepdims=int(keep))


def mean_of(build: Builder, tensors: Sequence[str]) -> str:
    """Name the mean of tensors of one shape."""
    if len(tensors) == 1:
        return tensors[0]
    return build.op("Div", build.op("Sum", *tensors), double(build, len(tensors)))


def weighted(build: Builder, stack: str, weights: Vector) -> str:
    """Name Σ w x, (N, C), of (M, N, C) with weights (M,)."""
    factors = double(build, np.reshape(weights, (-1, 1, 1)))
    return summed_over(build, build.op("Mul", stack, factors), 0)


def linear(build: Builder, stack: str, weights: Vector) -> str:
    """Name the weighted mean; see `pools.linear`."""
    return weighted(build, stack, weights / weights.sum())


def geometric(build: Builder, stack: str, weights: Vector) -> str:
    """Name exp(Σ w log p / Σ w) for weights above 0; see `pools.geometric`."""
    logs = build.op("Log", stack)
    return build.op("Exp", weighted(build, logs, weights / weights.sum()))


def geometric_or_linear(build: Builder, stack: str, weights: Vector) -> str:
    """Name the geometric pool, rows summing to 1; see `pools.geometric_or_linear`."""
    probs = geometric(build, stack, weights)
    total = summed_over(build, probs, 1, keep=True)
    empty = build.op("Equal", total, double(build, 0))
    chosen = build.op("Where", empty, linear(build, stack, weights), probs)
    return normalised(build, chosen)


def normalised(build: Builder, probs: str) -> str:
    """Name rows that sum to 1; a row of zeros becomes uniform; see `pools.normalised`."""
    total = summed_over(build, probs, 1, keep=True)
    tiny = double(build, _TINY)
    shares = build.op("Div", probs, build.op("Max", total, tiny))
    ones = build.op("Add", build.op("Mul", probs, double(build, 0)), double(build, 1))
    uniform = build.op("Div", ones, summed_over(build, ones, 1, keep=True))
    return build.op("Where", build.op("Greater", total, tiny), shares, uniform)


def clipped_logs(build: Builder, stack: str) -> str:
    """Name log p, at least `LOG_FLOOR`."""
    return build.op("Log", build.op("Max", stack, double(build, np.exp(LOG_FLOOR))))


def log_linear(build: Builder, stack: str, exponents: Vector, offset: Vector | float = 0.0) -> str:
    """Name softmax(Σ β log p + offset) over the classes; see `pools.log_linear`."""
    scores = weighted(build, clipped_logs(build, stack), exponents)
    if np.any(offset):
        scores = build.op("Add", scores, double(build, offset))
    return build.op("Softmax", scores, axis=-1)


def log_linear_labels(build: Builder, stack: str, exponents: Vector) -> str:
    """Name sigmoid(Σ β logit p) for each label; see `pools.log_linear_labels`."""
    others = build.op("Sub", double(build, 1), stack)
    odds = build.op("Sub", clipped_logs(build, stack), clipped_logs(build, others))
    return build.op("Sigmoid", weighted(build, odds, exponents))


def ranked(build: Builder, tensor: str, knots: Knots) -> str:
    """Name the ranks of a family's scores (N, C) among its quantiles (C, K); see `pools.ranked`.

    Straight between the points: each piece adds its rise times how far the score is along it.
    """
    pieces = [_pieces(points) for points in knots]
    longest = max(len(rise) for _, _, _, rise in pieces)
    starts, widths = np.zeros((len(knots), longest)), np.ones((len(knots), longest))
    rises, least = np.zeros((len(knots), longest)), np.zeros(len(knots))
    for c, (first, start, width, rise) in enumerate(pieces):
        least[c] = first
        starts[c, : len(rise)], widths[c, : len(rise)] = start, width
        rises[c, : len(rise)] = rise
    scores = build.op("Unsqueeze", tensor, build.integers(2))
    away = build.op("Sub", scores, double(build, starts))
    along = build.op("Div", away, double(build, widths))
    along = build.op("Clip", along, double(build, 0), double(build, 1))
    risen = summed_over(build, build.op("Mul", along, double(build, rises)), 2)
    return build.op("Add", risen, double(build, least))


def _pieces(points: Vector) -> tuple[float, Vector, Vector, Vector]:
    """Return the rank of the lowest point, and where each piece starts, its width and its rise."""
    levels = np.linspace(0, 1, len(points))
    places, number = np.unique(points, return_inverse=True)
    means = np.bincount(number, levels) / np.bincount(number)
    return float(means[0]), places[:-1], np.diff(places), np.diff(means)


def tempered(build: Builder, probs: str, temperature: float) -> str:
    """Name softmax(log p / T); see `pools.tempered`."""
    if temperature == 1:
        return probs
    scores = build.op("Div", clipped_logs(build, probs), double(build, temperature))
    return build.op("Softmax", scores, axis=-1)


def with_prior(build: Builder, probs: str, prior: Vector, tau: float) -> str:
    """Name p_c / π_c^τ, rows summing to 1; see `pools.with_prior`."""
    lifted = build.op("Mul", probs, double(build, prior ** (-tau)))
    return build.op("Div", lifted, summed_over(build, lifted, 1, keep=True))


def best(build: Builder, scores: str) -> str:
    """Name the place of the largest of each row, int64 (N,); of equal ones the lowest."""
    return build.op("ArgMax", scores, axis=1, keepdims=0)


def one_hot(build: Builder, places: str, count: int) -> str:
    """Name 1.0 at the place of each row, (N, count), of places int64 (N,)."""
    column = build.op("Unsqueeze", places, build.integers(1))
    return to_double(build, build.op("Equal", column, build.integers(*range(count))))


def cut(build: Builder, levels: str, cuts: Sequence[float]) -> str:
    """Name how many cuts lie at or below each level, int64 (N,), of levels (N, 1)."""
    reached = build.op("GreaterOrEqual", levels, double(build, [*cuts]))
    return summed_over(build, build.op("Cast", reached, to=TensorProto.INT64), 1)


def by_cuts(build: Builder, probs: str, cuts: Sequence[float], order: Sequence[int]) -> str:
    """Name the class of each row, int64 (N,); see `pools.by_cuts` of so many cuts and one."""
    places = np.argsort(order) if order else np.arange(len(cuts) + 1)
    level = build.op("MatMul", probs, double(build, places.reshape(-1, 1)))
    found = cut(build, level, cuts)
    return build.op("Gather", build.integers(*order), found, axis=0) if order else found


def winners(build: Builder, shares: str, ties: str) -> str:
    """Name the class of each row, int64 (N,), by its share, then by ties; see `pools.winners`."""
    place = build.op("ArgMax", shares, axis=1, keepdims=1)
    largest = build.op("GatherElements", shares, place, axis=1)
    least = build.op("Sub", largest, double(build, _TIED))
    tied = build.op("GreaterOrEqual", shares, least)
    return best(build, build.op("Where", tied, ties, double(build, -np.inf)))
