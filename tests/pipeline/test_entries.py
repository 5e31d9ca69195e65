"""Predictions of members over images are found in the store as a run keyed them."""

from pathlib import Path

import pytest
from runs import submit

from ensemble.errors import UsageError
from ensemble.pipeline.entries import entries_of_members
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def recipe_of(members: list[Path], images: Path, tta: str = "none") -> Recipe:
    paths = tuple(map(str, members))
    return resolve(Settings(paths, (str(images),), tta=tta, device="cpu"))


def test_entries_come_in_the_order_of_the_members(members: list[Path], images: Path) -> None:
    submit(members, images, tta="none")
    entries = entries_of_members(recipe_of(members, images), Quiet())
    assert [each.member.name for each in entries] == [path.stem for path in members]


def test_members_that_were_not_run_are_named(members: list[Path], images: Path) -> None:
    submit(members[:3], images, tta="none")
    with pytest.raises(UsageError, match="lacks predictions of bee-f1 for these images"):
        entries_of_members(recipe_of(members, images), Quiet())


def test_predictions_of_other_views_do_not_count(members: list[Path], images: Path) -> None:
    submit(members, images, tta="none")
    with pytest.raises(UsageError, match="--tta hflip; make them with"):
        entries_of_members(recipe_of(members, images, "hflip"), Quiet())
