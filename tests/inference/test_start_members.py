"""Members start in the order of their files, once weights and views are known to suit them."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.inference.start_members import check_weights, start_members
from ensemble.members.member import open_member
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Fusion, Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.views.policy import IDENTITY, preset
from ensemble.voting.weights import Weights


def recipe_of(members: list[Path], store: Path) -> Recipe:
    paths = tuple(map(str, members))
    return resolve(Settings(paths, (), tta="hflip", device="cpu", threads=2, store=store))


def test_members_start_in_order_however_they_are_named(members: list[Path], tmp_path: Path) -> None:
    started = start_members(recipe_of(members[::-1], tmp_path), preset("none"), Quiet())
    assert [ready.member.path for ready in started] == members


def test_an_early_exit_leaves_to_the_host_the_views_that_it_can_make(
    members: list[Path], tmp_path: Path
) -> None:
    recipe = recipe_of(members, tmp_path)
    started = start_members(recipe, preset("hflip"), Quiet(), exits=True)
    assert {ready.policy for ready in started} == {(IDENTITY,)}


def test_weights_of_other_families_are_refused_before_a_session_starts(
    members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.inference.start_members.start_shaped", None)
    recipe = recipe_of(members, tmp_path)
    recipe = replace(recipe, fusion=replace(recipe.fusion, weights=Weights({"yak": 1.0})))
    with pytest.raises(UsageError, match="yak"):
        start_members(recipe, preset("none"), Quiet())


def test_weights_tuned_for_classes_in_another_order_are_refused(members: list[Path]) -> None:
    head = open_member(members[0]).card.heads[0]
    swapped = Weights({"ant": 1.0}, classes=tuple(CLASSES[::-1]))
    with pytest.raises(UsageError):
        check_weights(Fusion("soft", swapped), head, {"ant": ["00"]})
