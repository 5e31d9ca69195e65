"""Scoring into the store: what is kept is kept under what the graphs really do."""

from pathlib import Path

from toys import MakeMember

from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.score import score_into_store
from ensemble.inference.start_members import start_members
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.views.policy import IDENTITY, preset


def test_predictions_are_kept_under_the_views_of_their_graph(
    make_member: MakeMember, images: Path, tmp_path: Path
) -> None:
    paths, store = (str(make_member()),), tmp_path / "store"
    recipe = resolve(Settings(paths, (str(images),), tta="hflip", device="cpu", store=store))
    found, _ = find_images(recipe.inputs, 1, Quiet())
    kept = []
    for exits in (False, True):
        ready_members = start_members(recipe, preset("hflip"), Quiet(), exits=exits)
        entries, _ = score_into_store(recipe, ready_members, image_set_of(found), Quiet())
        kept.append(entries[0].partition.fingerprint["views"])
    inside, none = kept
    assert (len(inside), none) == (2, [list(IDENTITY.ops)])
