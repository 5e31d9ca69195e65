"""Scoring into the store: what is kept is kept under what the graphs really do."""

from pathlib import Path

from toys import MakeMember

from ensemble.inference.score import find_images, line_up, score
from ensemble.progress import Quiet
from ensemble.recipe.settings import Recipe
from ensemble.views.policy import IDENTITY


def test_predictions_are_kept_under_the_views_of_their_graph(
    make_member: MakeMember, images: Path, tmp_path: Path
) -> None:
    recipe = Recipe(
        (str(make_member()),), (str(images),), tta="hflip", device="cpu", store=tmp_path / "store"
    )
    found, _ = find_images(recipe, Quiet())
    kept = []
    for exits in (False, True):
        entries, _ = score(recipe, line_up(recipe, Quiet(), exits=exits), found, Quiet())
        kept.append(entries[0].partition.fingerprint["views"])
    inside, none = kept
    assert (len(inside), none) == (2, [list(IDENTITY.ops)])
