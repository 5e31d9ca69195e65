"""Names for arrays, by axes.

The order of axes is the same everywhere: M members, V views, N samples, H height, W width,
C channels of an image or classes of a prediction.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""uint8 (N, H, W, C) or, for one image, (H, W, C): RGB, or one grey channel; 0 to 255."""

Boxes: TypeAlias = NDArray[np.float64]
"""float64 (K, 4), boxes of one image: left, top, right, bottom in pixels."""

Probs: TypeAlias = NDArray[np.float32]
"""float32 (N, C), as a member gives it: probabilities in [0, 1], or values of a regression."""

Pooled: TypeAlias = NDArray[np.float64]
"""float64 (N, C): what pooling and voting compute with."""

Indices: TypeAlias = NDArray[np.int64]
"""int64 (N,): class indices, or rows."""

Vector: TypeAlias = NDArray[np.float64]
"""float64 (N,) or (M,): a number for each row, member or family."""
