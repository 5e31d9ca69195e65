"""A forecast counts what the store lacks, and writes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import MakeMember

from ensemble.images.reading import Hashed
from ensemble.inference.executors.places import Place
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.forecast import MemberForecast, forecast_members, shared_out
from ensemble.inference.score import score_into_store
from ensemble.inference.start_members import start_members
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings


@pytest.fixture
def recipe(make_member: MakeMember, tmp_path: Path) -> Recipe:
    """A member over shards of four images."""
    path, store = str(make_member()), tmp_path / "store"
    return resolve(Settings((path,), (), tta="none", device="cpu", shard_size=4, store=store))


def forecast(recipe: Recipe, hashed: list[Hashed]) -> MemberForecast:
    started = start_members(recipe, Quiet())
    return forecast_members(recipe, started, image_set_of(hashed))[0]


def test_of_an_empty_store_everything_is_left_to_do(recipe: Recipe, hashed: list[Hashed]) -> None:
    found = forecast(recipe, hashed)
    assert (found.member, found.tta, found.provider) == ("toy-f0", "none", "CPUExecutionProvider")
    assert (found.shards, found.shards_stored) == (3, 0)
    assert (found.evaluations, found.evaluations_stored) == (11, 0)
    assert min(found.bytes, found.seconds) > 0


def test_a_forecast_writes_nothing(recipe: Recipe, hashed: list[Hashed]) -> None:
    forecast(recipe, hashed)
    assert not (recipe.resources.store / "predictions").exists()


def test_what_the_store_has_is_not_done_again(recipe: Recipe, hashed: list[Hashed]) -> None:
    hashed = [image for image in hashed if image.source.id != "img5"]  # which is broken
    started = start_members(recipe, Quiet())
    score_into_store(recipe, started, image_set_of(hashed), Quiet())
    found = forecast(recipe, hashed)
    assert (found.shards_stored, found.evaluations, found.evaluations_stored) == (3, 0, 10)
    assert (found.bytes, found.seconds) == (0, 0.0)


def test_views_and_images_decide_which_part_of_the_store_counts(
    recipe: Recipe, hashed: list[Hashed]
) -> None:
    other = replace(recipe, scoring=replace(recipe.scoring, precision="fp16"))
    assert forecast(recipe, hashed).key != forecast(recipe, hashed[1:]).key
    assert forecast(recipe, hashed).key != forecast(other, hashed).key


def test_gpus_share_the_time_and_processors_that_are_shared_out_do_not(
    recipe: Recipe, hashed: list[Hashed]
) -> None:
    found = forecast(recipe, hashed)
    gpus = [Place(f"cuda:{n}", "cuda", 1) for n in (0, 1)]
    cores = [Place(str(n), "cpu", 1, (n,)) for n in (0, 1)]
    times = [shared_out([found], places)[0].seconds for places in ([], cores, gpus)]
    assert times == [found.seconds, found.seconds, found.seconds / 2]
