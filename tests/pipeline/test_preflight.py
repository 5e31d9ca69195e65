"""A run is refused, or all is known that its first evaluation needs."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_workers import Told

from ensemble.errors import UsageError
from ensemble.inference.executors import started
from ensemble.inference.executors.places import Place
from ensemble.pipeline.preflight import preflight
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(members: list[Path], images: Path) -> Settings:
    return Settings(tuple(map(str, members)), (str(images),), tta="hflip", device="cpu")


def test_all_that_the_first_evaluation_needs_is_there(settings: Settings) -> None:
    with preflight(resolve(settings), Quiet()) as found:
        pass
    assert (len(found.members), len(found.members[0].views), len(found.images.images)) == (4, 2, 12)
    assert found.head == found.members[0].member.card.heads[0]
    assert list(found.sample.ids) == [image.source.id for image in found.images.images]


def test_an_early_exit_makes_its_views_on_the_host(settings: Settings) -> None:
    recipe = resolve(replace(settings, early_exit="lossless", output="labels"))
    with preflight(recipe, Quiet()) as found:
        setup = found.exit_setup(recipe)
    assert (setup.on_host, setup.names) == (True, ["ant-f0", "ant-f1", "bee-f0", "bee-f1"])


def test_probabilities_of_images_that_end_early_are_refused(settings: Settings) -> None:
    recipe = resolve(replace(settings, early_exit="lossless", output="probs"))
    with pytest.raises(UsageError, match="^early exit: "), preflight(recipe, Quiet()):
        pass


def test_a_device_that_is_none_is_refused_before_members_are_opened(settings: Settings) -> None:
    recipe = resolve(replace(settings, members=("none.onnx",)))
    recipe = replace(recipe, scoring=replace(recipe.scoring, device="abacus"))
    with pytest.raises(UsageError, match="abacus"), preflight(recipe, Quiet()):
        pass


def test_an_early_exit_says_that_it_has_no_use_for_workers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(started, "places_of", lambda *_: (Place("1", "cpu", 1),) * 2)
    told = Told()
    recipe = resolve(replace(settings, early_exit="lossless", output="labels", workers=2))
    with preflight(recipe, told) as found:
        assert found.dispatcher is None
    assert any("2 workers (1, 1) have nothing to do" in said for said in told.said)
