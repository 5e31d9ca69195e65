"""Members that mostly agree, and images for them."""

from pathlib import Path

import numpy as np
import pytest
from exit_runs import COUNT
from onnx import numpy_helper
from toys import save_images, save_member, toy_card, toy_model

from ensemble.early_exit import forecast, setup


@pytest.fixture
def alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and members that cost alike."""
    monkeypatch.chdir(tmp_path)
    for module in (setup, forecast):  # so that orders are alike
        monkeypatch.setattr(module, "seconds_per_image", lambda _: 0.001)


@pytest.fixture
def sharp(tmp_path: Path) -> list[Path]:
    """Three families of two folds that mostly agree: one map, and a little noise each."""
    rng = np.random.default_rng(5)
    paths = []
    for family in ("ant", "bee", "cow"):
        for fold in (0, 1):
            card = toy_card(f"{family}-f{fold}")
            model = toy_model(card, seed=1)
            matrix = numpy_helper.to_array(model.graph.initializer[0])
            noisy = (2 * matrix + rng.normal(0, 0.03, matrix.shape)).astype(np.float32)
            model.graph.initializer[0].CopyFrom(numpy_helper.from_array(noisy, "matrix"))
            paths.append(save_member(tmp_path / "folds", card, model))
    return paths


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return save_images(tmp_path / "many", COUNT, seed=3)
