"""Members start here or at workers, as the recipe says; what the driver knows is the same."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import pytest
from fake_workers import Told

from ensemble.errors import MemberError, ProviderError, ScoreError, UsageError
from ensemble.inference.executors import started as module
from ensemble.inference.executors.places import Place
from ensemble.inference.executors.started import (
    Elsewhere,
    alone,
    recipe_places,
    started_members,
    warn_of_cluster,
    warn_of_workers,
)
from ensemble.inference.orders import WorkerOrder
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.runtime import nvidia
from ensemble.runtime.devices import available_threads

PACKAGE = "ensemble.inference.executors"

needs_two = pytest.mark.skipif(available_threads() < 2, reason="needs two processors")


@pytest.fixture
def recipe(members: list[Path], tmp_path: Path) -> Recipe:
    paths = tuple(map(str, members))
    settings = Settings(paths, (), tta="hflip", device="cpu", store=tmp_path, batch_size=4)
    return resolve(replace(settings, workers=2))


@needs_two
def test_members_of_workers_are_known_here_as_if_they_had_started_here(recipe: Recipe) -> None:
    with (
        started_members(recipe, Quiet()) as workers,
        started_members(alone(recipe), Quiet()) as own,
    ):
        assert own.dispatcher is None
        assert workers.dispatcher is not None
        for there, here in zip(workers.members, own.members, strict=True):
            assert there.member.sha256 == here.member.sha256
            for name in ("policy", "batch", "fixed_batch", "views", "geometry"):
                assert getattr(there, name) == getattr(here, name)
            assert there.scorer.provider == here.scorer.provider


@needs_two
def test_workers_end_with_the_block_also_where_it_fails(recipe: Recipe) -> None:
    running: list[subprocess.Popen[bytes]] = []

    def failing() -> None:
        with started_members(recipe, Quiet()) as workers:
            assert workers.dispatcher is not None
            processes = workers.dispatcher._workers
            assert isinstance(processes, module.Processes)
            running.extend(each.process for each in processes._running.values())
            raise UsageError("no images")

    with pytest.raises(UsageError):
        failing()
    assert [process.poll() is not None for process in running] == [True, True]


def test_a_member_that_no_worker_can_use_is_told_before_any_image_is_read(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "places_of", lambda *_: (Place("1", "cpu", 1),))
    bad = replace(recipe, inputs=replace(recipe.inputs, members=("none.onnx",)))
    with pytest.raises((MemberError, UsageError)), started_members(bad, Quiet()):
        pass


def test_where_no_gpu_starts_the_first_says_why(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tuple(Place(f"cuda:{n}", "cuda", 1) for n in (0, 1))
    monkeypatch.setattr(module, "places_of", lambda *_: broken)
    with (
        pytest.raises(ProviderError, match="CUDA does not start"),
        started_members(recipe, Quiet()),
    ):
        pass


def test_one_broken_gpu_is_named_at_once_and_the_other_goes_on(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = (Place("cuda:0", "cuda", 1), Place("cuda:1", "cpu", 1))
    monkeypatch.setattr(module, "places_of", lambda *_: two)
    told = Told()
    with started_members(recipe, told) as workers:
        dispatcher = workers.dispatcher
        assert dispatcher is not None
        while len(dispatcher.names) > 1:
            dispatcher._hear()
    assert [said for said in told.said if said.startswith("worker cuda:0 cannot start")]


def test_what_workers_score_cannot_be_scored_here() -> None:
    elsewhere = Elsewhere("CPUExecutionProvider", 1, "")
    with pytest.raises(ScoreError, match="started at workers"):
        elsewhere.outputs(np.zeros((1, 8, 8, 3), np.uint8), {})


def test_a_recipe_for_this_process_alone_takes_the_first_of_its_devices(recipe: Recipe) -> None:
    several = replace(recipe, scoring=replace(recipe.scoring, device="cuda:2,3"))
    assert alone(several).scoring.device == "cuda:2"
    assert alone(several).resources.workers == 0


def test_auto_says_that_it_leaves_gpus_idle(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = tuple(nvidia.Gpu(number, "Tesla T4", 15_000_000_000) for number in (0, 1))
    monkeypatch.setattr(nvidia, "gpus", lambda: two)
    told = Told()
    on_auto = alone(replace(recipe, scoring=replace(recipe.scoring, device="auto")))
    with started_members(on_auto, told):
        assert told.said[0] == "auto takes one of 2 GPUs: --device cuda takes all of them"


def test_a_cluster_is_told_its_address_and_what_it_may_use(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(order: WorkerOrder, address: str, workers: int) -> NoReturn:
        raise ProviderError(f"{address} has no room for {workers} of {order.threads} threads")

    monkeypatch.setitem(sys.modules, f"{PACKAGE}.ray", SimpleNamespace(RayWorkers=refusing))
    resources = replace(recipe.resources, threads=3, executor="ray", ray_address="10.0.0.1:6379")
    with (
        pytest.raises(ProviderError, match=r"^10.0.0.1:6379 has no room for 2 of 3 threads$"),
        started_members(replace(recipe, resources=resources), Quiet()),
    ):
        pass
    assert alone(replace(recipe, resources=resources)).resources.executor == "local"


def test_what_makes_no_use_of_a_cluster_says_so(recipe: Recipe) -> None:
    told = Told()
    on_ray = replace(recipe, resources=replace(recipe.resources, executor="ray"))
    assert recipe_places(on_ray) == ()
    warn_of_workers(on_ray, told)
    warn_of_cluster(on_ray, told)
    assert told.said == [
        "an early exit is scored in this process alone, on one device: the cluster has nothing to "
        "do",
        "a dry run asks no cluster: members are proven, and seconds told, of this process",
    ]
    warn_of_cluster(recipe, told)
    assert len(told.said) == 2
