"""Who takes part in an early exit: the views on the host are those that no graph has."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import MakeMember

from ensemble.early_exit.setup import setup_of
from ensemble.errors import UsageError
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.start_members import start_members
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.views import policy

FLIPS = policy.preset("hflip")


@pytest.fixture
def recipe(make_member: MakeMember, tmp_path: Path) -> Recipe:
    """A member under flips, whose mean the host can make."""
    path = str(make_member())
    return resolve(Settings((path,), (), tta="hflip", device="cpu", store=tmp_path / "store"))


@pytest.mark.parametrize(
    ("merge", "on_host", "inside"),
    [("mean", True, policy.preset("none")), ("gmean", False, policy.preset("hflip"))],
)
def test_a_view_is_made_on_the_host_or_in_the_graph(
    recipe: Recipe, merge: str, on_host: bool, inside: tuple[policy.View, ...]
) -> None:
    recipe = replace(recipe, scoring=replace(recipe.scoring, merge=merge))
    ready_members = start_members(recipe, FLIPS, Quiet(), exits=True)
    setup = setup_of(
        recipe, ready_members[0].member.card.heads[0], ready_members, FLIPS, image_set_of([])
    )
    assert setup.on_host == on_host
    assert ready_members[0].policy == inside


def test_members_with_views_in_their_graphs_are_not_turned_on_the_host_too(
    recipe: Recipe,
) -> None:
    ready_members = start_members(recipe, FLIPS, Quiet())
    with pytest.raises(UsageError, match="toy-f0: the views in the graph are not those"):
        setup_of(
            recipe, ready_members[0].member.card.heads[0], ready_members, FLIPS, image_set_of([])
        )
