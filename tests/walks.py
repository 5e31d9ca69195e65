"""Lines between two predictions, for tests of what is found along them."""

import numpy as np
from hypothesis import strategies as st

from ensemble.arrays import Indices, Pooled

Case = tuple[Indices, Pooled, Pooled]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rows of every class, and two predictions that often tie."""
    seed, classes = draw(st.integers(0, 10**6)), draw(st.integers(2, 4))
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, draw(st.integers(0, 12)))])
    digits = draw(st.sampled_from([1, 8]))
    start, end = (np.round(rng.random((len(y), classes)), digits) for _ in range(2))
    return y, start, end
