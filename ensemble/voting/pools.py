"""Pools: how several predictions of the same rows become one. Arrays in, arrays out."""

from collections.abc import Sequence
from typing import Final, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled

Stack: TypeAlias = NDArray[np.float64]
"""float64 (M, N, C): the predictions of M families or members."""

Knots: TypeAlias = NDArray[np.float64]
"""float64 (M, C, K): K quantiles of each family's scores for each class."""

_Floats = TypeVar("_Floats", bound=NDArray[np.float32] | NDArray[np.float64])

QUANTILES: Final = 201
"""How many quantiles stand for a distribution of scores."""

LOG_FLOOR: Final = -14.0
"""The least log probability of a log-linear pool, and before a temperature: one zero is no veto."""

_TINY: Final = 1e-38


def linear(stack: Stack, weights: NDArray[np.float64]) -> Pooled:
    """Return the weighted mean Σ w p / Σ w, float64 (N, C), of (M, N, C) with weights (M,)."""
    return np.tensordot(weights / weights.sum(), stack, axes=1)


def geometric(stack: Stack, weights: NDArray[np.float64]) -> Pooled:
    """Return exp(Σ w log p / Σ w), not renormalised, float64 (N, C).

    A zero with a positive weight makes the result zero; with weight zero it does nothing.
    """
    share = weights / weights.sum()
    with np.errstate(divide="ignore"):
        logs = np.log(stack[share > 0])
    return np.exp(np.tensordot(share[share > 0], logs, axes=1))


def geometric_or_linear(stack: Stack, weights: NDArray[np.float64]) -> Pooled:
    """Return the geometric pool, rows summing to 1.

    Where the families exclude every class between them, the linear pool decides.
    """
    probs = geometric(stack, weights)
    empty = probs.sum(1, keepdims=True) == 0
    return normalised(np.where(empty, linear(stack, weights), probs))


def clipped_logs(stack: _Floats) -> _Floats:
    """Return log p, and `LOG_FLOOR` where p is smaller than its exponential."""
    return cast("_Floats", np.log(np.maximum(stack, np.exp(LOG_FLOOR), dtype=stack.dtype)))


def log_linear(
    stack: Stack, exponents: NDArray[np.float64], offset: NDArray[np.float64] | float = 0.0
) -> Pooled:
    """Return softmax(Σ β log p + offset) over the classes, float64 (N, C).

    Exponents β are (M,), and the offset is (C,), on the scale of logarithms.
    """
    return _softmax(np.tensordot(exponents, clipped_logs(stack), 1) + offset)


def quantiles(stack: Stack, points: int = QUANTILES) -> Knots:
    """Return where each family's scores for each class lie, float64 (M, C, points), ascending."""
    return np.moveaxis(np.quantile(stack, np.linspace(0, 1, points), axis=1), 0, -1)


def ranked(stack: Stack, knots: Knots) -> Stack:
    """Return the share of reference scores below each score, float64 (M, N, C), 0 to 1.

    The empirical distribution that `quantiles` gave, straight between its points; what lies in
    one place has the mean of its ranks. The ranks of new rows are thus those among the reference
    rows, and do not depend on each other.
    """
    levels = np.linspace(0, 1, knots.shape[-1])
    ranks = np.empty(stack.shape)
    for family, c in np.ndindex(knots.shape[:2]):
        points, place = np.unique(knots[family, c], return_inverse=True)
        means = np.bincount(place, levels) / np.bincount(place)
        ranks[family, :, c] = np.interp(stack[family, :, c], points, means)
    return ranks


def two_class(stack: Stack) -> Stack:
    """Return labels, each of probability p, as rows of two classes (1 - p, p): (M, N * C, 2)."""
    flat = stack.reshape(len(stack), -1)
    return np.stack([1 - flat, flat], -1)


def log_linear_labels(stack: Stack, exponents: NDArray[np.float64]) -> Pooled:
    """Return sigmoid(Σ β logit p) for each label, float64 (N, C): `log_linear` of its two classes.

    Both log p and log(1 - p) are clipped at `LOG_FLOOR`.
    """
    return log_linear(two_class(stack), exponents)[:, 1].reshape(stack.shape[1:])


def tempered(probs: Pooled, temperature: float) -> Pooled:
    """Return softmax(log p / T): T above 1 flattens, below 1 sharpens; the argmax stays.

    log p is at least `LOG_FLOOR`, so that a T below 1 or above it vetoes no class; T = 1 leaves all
    as it is.
    """
    return probs if temperature == 1 else _softmax(clipped_logs(probs) / temperature)


def with_prior(probs: Pooled, prior: NDArray[np.float64], tau: float) -> Pooled:
    """Return p_c / π_c^τ, rows summing to 1: rare classes are chosen more often as τ grows."""
    lifted = probs * prior ** (-tau)
    return np.asarray(lifted / lifted.sum(1, keepdims=True), np.float64)


def cut(levels: NDArray[np.float64], cuts: NDArray[np.float64]) -> Indices:
    """Return the place of each level: how many cuts lie at or below it."""
    return np.searchsorted(cuts, levels, side="right").astype(np.int64)


def expected_level(probs: Pooled, order: Sequence[int] | Indices = ()) -> NDArray[np.float64]:
    """Return the mean place of each row's classes, float64 (N,), from 0 to C - 1.

    `order` (C,) has the classes from the lowest to the highest; without it they stand so already.
    """
    places = np.argsort(order) if len(order) else np.arange(probs.shape[1])
    return np.asarray(probs @ places, np.float64)


def by_cuts(
    probs: Pooled, cuts: NDArray[np.float64], order: Sequence[int] | Indices = ()
) -> Indices:
    """Return the class of each row, int64 (N,): its `expected_level`, cut."""
    places = cut(expected_level(probs, order), cuts)
    return np.asarray(order, np.int64)[places] if len(order) else places


def normalised(probs: Pooled) -> Pooled:
    """Return rows that sum to 1; a row of zeros becomes uniform (no class is favoured)."""
    total = probs.sum(1, keepdims=True)
    if (total > _TINY).all():
        return np.asarray(probs / total, np.float64)
    uniform = np.full_like(probs, 1 / probs.shape[1])
    return np.where(total > _TINY, probs / np.maximum(total, _TINY), uniform)


def vote_shares(stack: Stack, weights: NDArray[np.float64]) -> Pooled:
    """Return the share of the votes of each class, float64 (N, C); each of M votes for its argmax.

    A member whose own maximum is shared votes for the lowest class index.
    """
    votes = np.zeros(stack.shape[1:])
    rows = np.arange(stack.shape[1])
    for probs, weight in zip(stack, weights / weights.sum(), strict=True):
        votes[rows, probs.argmax(1)] += weight
    return votes


def winners(shares: Pooled, ties: Pooled, tolerance: float = 1e-9) -> Indices:
    """Return the class of each row, int64 (N,): the largest share, then the largest of `ties`.

    Shares within `tolerance` of the largest count as tied (they are sums of rounded weights);
    what is still tied goes to the lowest class index.
    """
    tied = shares >= shares.max(1, keepdims=True) - tolerance
    return np.asarray(np.where(tied, ties, -np.inf).argmax(1), np.int64)


def _softmax(scores: Pooled) -> Pooled:
    shares: Pooled = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    return shares
