"""The normal distribution as nodes, in float64, which ONNX Runtime's Erf lacks."""

import math
from functools import cache
from typing import Final

import numpy as np
from scipy.special import erfcx

from ensemble.arrays import Vector
from ensemble.export.pack.pools import double
from ensemble.runtime.merges import Builder

_DEGREE: Final = 28
"""From which on the series is as near as float64 is."""


def normal(build: Builder, tensor: str) -> str:
    """Name Φ, the normal distribution, to a part in 10^12 of itself; infinity is taken.

    Φ(x) = erfc(-x / √2) / 2, with erfc(z) = t exp(-z² + f(t)) for t = 2 / (2 + z) and z >= 0, where
    f is smooth and a Chebyshev series gives it (Press et al., Numerical Recipes, section 6.2).
    """
    away = build.op("Mul", tensor, double(build, -1 / math.sqrt(2)))
    size = build.op("Abs", away)
    t = build.op("Div", double(build, 2), build.op("Add", size, double(build, 2)))
    square = build.op("Mul", size, size)
    power = build.op("Sub", _series(build, t), square)
    upper = build.op("Mul", t, build.op("Exp", power))
    lower = build.op("Sub", double(build, 2), upper)
    found = build.op("Where", build.op("Less", away, double(build, 0)), lower, upper)
    return build.op("Div", found, double(build, 2))


def _series(build: Builder, t: str) -> str:
    """Name f(t) for t from 0 to 1, by Clenshaw's recurrence."""
    first, *rest = coefficients().tolist()
    twice = build.op("Sub", build.op("Mul", t, double(build, 4)), double(build, 2))  # 2 (2t - 1)
    newer, older = double(build, 0), double(build, 0)
    for number in reversed(rest):
        step = build.op("Sub", build.op("Mul", twice, newer), older)
        newer, older = build.op("Add", step, double(build, number)), newer
    half = build.op("Div", build.op("Mul", twice, newer), double(build, 2))
    return build.op("Add", build.op("Sub", half, older), double(build, first))


@cache
def coefficients() -> Vector:
    """Return the Chebyshev coefficients of f on [0, 1], the constant first."""
    count = _DEGREE + 1
    angles = np.pi * (np.arange(count) + 0.5) / count
    waves = np.cos(np.outer(np.arange(count), angles))
    found = waves @ _smooth(np.cos(angles)) * 2 / count
    found[0] /= 2
    return np.asarray(found, np.float64)


def _smooth(place: Vector) -> Vector:
    """Return log(erfc(z) exp(z²) / t) at t = (place + 1) / 2."""
    t = (place + 1) / 2
    return np.asarray(np.log(erfcx(2 / t - 2) / t), np.float64)
