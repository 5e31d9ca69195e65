"""Members that mostly agree, and images for them."""

from pathlib import Path

import numpy as np
import pytest
from exit_runs import COUNT
from onnx import numpy_helper
from toys import MakeMember, save_images, save_member, toy_card, toy_model

from ensemble.early_exit import forecast, planning
from ensemble.early_exit.setup import ExitSetup, setup_of
from ensemble.images.reading import hash_sources
from ensemble.images.sources import scan
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.start_members import start_members
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.views.policy import preset


@pytest.fixture
def alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and members that cost alike."""
    monkeypatch.chdir(tmp_path)
    for module in (planning, forecast):  # so that orders are alike
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


@pytest.fixture
def flipped(make_member: MakeMember, images: Path, tmp_path: Path) -> ExitSetup:
    """Two folds of a family under flips."""
    flips = preset("hflip")
    paths = [str(make_member(f"ant-f{fold}", seed=fold)) for fold in (0, 1)]
    recipe = resolve(
        Settings(tuple(paths), (), tta="hflip", device="cpu", store=tmp_path / "store")
    )
    started = start_members(recipe, flips, Quiet(), exits=True)
    image_set = image_set_of(hash_sources(scan([images]).images, 1))
    return setup_of(recipe, started[0].member.card.heads[0], started, flips, image_set)
