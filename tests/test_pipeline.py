"""The whole path on toy members."""

from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES

from ensemble import api


def test_a_run_gives_a_row_for_each_image_in_natural_order(
    members: list[Path], images: Path, tmp_path: Path
) -> None:
    result = api.run(members, images, tta="flip", out=tmp_path / "out", store=tmp_path / "store")
    assert list(result.ids) == [f"img{n}" for n in range(1, 13)]
    assert set(result.labels) <= set(CLASSES)
    np.testing.assert_allclose(result.probs.sum(1), 1, atol=1e-6)
