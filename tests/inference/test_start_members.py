"""Members start in the order of their files, once weights and views are known to suit them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fake_workers import Told
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.inference.executors.started import Elsewhere
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start_members import check_weights, start_members, warn_of_cpu
from ensemble.members.member import Member, open_member
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Fusion, Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.views.policy import IDENTITY, Shaped, preset
from ensemble.voting.weights import Weights


def recipe_of(members: list[Path], store: Path) -> Recipe:
    paths = tuple(map(str, members))
    return resolve(Settings(paths, (), tta="hflip", device="cpu", threads=2, store=store))


def test_members_start_in_order_however_they_are_named(members: list[Path], tmp_path: Path) -> None:
    started = start_members(recipe_of(members[::-1], tmp_path), Quiet())
    assert [ready.member.path for ready in started] == members


def test_what_takes_longest_begins_first(
    members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def start(member: Member, inside: Sequence[Shaped], **_: object) -> ReadyMember:
        begun.append(member.card.family)
        return ReadyMember(member, Elsewhere("", 1, ""), (), 1, fixed_batch=False, views=())

    monkeypatch.setattr("ensemble.inference.start_members.start_shaped", start)
    recipe = recipe_of(members, tmp_path)
    recipe = replace(recipe, scoring=replace(recipe.scoring, tta="ant=none,bee=flip"))
    started = start_members(recipe, Quiet())
    assert begun == ["bee", "bee", "ant", "ant"]
    assert [ready.member.path for ready in started] == members


def test_an_early_exit_leaves_to_the_host_the_views_that_it_can_make(
    members: list[Path], tmp_path: Path
) -> None:
    recipe = recipe_of(members, tmp_path)
    started = start_members(recipe, Quiet(), exits=True)
    assert {ready.policy for ready in started} == {(IDENTITY,)}
    assert {ready.views for ready in started} == {preset("hflip")}


@pytest.mark.parametrize("exits", [False, True])
def test_a_member_has_the_views_of_its_family(
    members: list[Path], tmp_path: Path, *, exits: bool
) -> None:
    recipe = recipe_of(members, tmp_path)
    recipe = replace(recipe, scoring=replace(recipe.scoring, tta="ant=flip,bee=none"))
    started = start_members(recipe, Quiet(), exits=exits)
    found = {ready.member.card.name: ready.views for ready in started}
    assert found == {"ant-f0": preset("flip"), "ant-f1": preset("flip"),
                     "bee-f0": preset("none"), "bee-f1": preset("none")}  # fmt: skip


def test_a_family_without_views_is_refused_before_a_session_starts(
    members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.inference.start_members.start_shaped", None)
    recipe = recipe_of(members, tmp_path)
    recipe = replace(recipe, scoring=replace(recipe.scoring, tta="ant=flip"))
    with pytest.raises(UsageError, match="none of bee; say each family's, such as bee=none"):
        start_members(recipe, Quiet())


def test_weights_of_other_families_are_refused_before_a_session_starts(
    members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ensemble.inference.start_members.start_shaped", None)
    recipe = recipe_of(members, tmp_path)
    recipe = replace(recipe, fusion=replace(recipe.fusion, weights=Weights({"yak": 1.0})))
    with pytest.raises(UsageError, match="yak"):
        start_members(recipe, Quiet())


def test_weights_tuned_for_classes_in_another_order_are_refused(members: list[Path]) -> None:
    head = open_member(members[0]).card.heads[0]
    swapped = Weights({"ant": 1.0}, classes=tuple(CLASSES[::-1]))
    with pytest.raises(UsageError):
        check_weights(Fusion("soft", swapped), head, {"ant": ["00"]})


def test_constraints_are_held_against_the_head_before_any_work(members: list[Path]) -> None:
    head = open_member(members[0]).card.heads[0]
    with pytest.raises(UsageError, match="constraints are for values of a regression"):
        check_weights(Fusion("soft", None, ("eel = cat + dog",)), head, {"ant": ["00"]})
    values = replace(head, task="regression")
    check_weights(Fusion("soft", None, ("eel = cat + dog",)), values, {"ant": ["00"]})
    with pytest.raises(UsageError, match="found 'fox'"):
        check_weights(Fusion("soft", None, ("eel = cat + fox",)), values, {"ant": ["00"]})


def test_members_that_a_cluster_without_gpus_scores_are_said_to_run_on_the_cpu(
    members: list[Path], tmp_path: Path
) -> None:
    recipe = recipe_of(members, tmp_path)
    started = start_members(recipe, Quiet())
    told = Told()
    warn_of_cpu(replace(recipe.scoring, device="auto"), started, told)
    assert told.said == ["running on the CPU: no machine of the cluster offers a GPU"]
