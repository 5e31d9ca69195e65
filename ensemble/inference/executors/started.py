"""The members of a run, started here or at workers: who scores is chosen in this one place."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

from ensemble.arrays import Pixels, Probs
from ensemble.errors import ScoreError, UsageError, counted, few
from ensemble.inference.executors.dispatch import Dispatcher
from ensemble.inference.executors.places import Place, places_of
from ensemble.inference.executors.processes import Processes
from ensemble.inference.executors.workers import Workers
from ensemble.inference.orders import MemberOrder, Proven, WorkerOrder
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start_members import Opened, open_all, start_members, warn_of_cpu
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe
from ensemble.runtime import nvidia


@dataclass(frozen=True, slots=True)
class StartedMembers:
    """Members that are ready, and the workers that score with them; None where this process does.

    With workers the members' scorers here are `Elsewhere`.
    """

    members: Sequence[ReadyMember]
    dispatcher: Dispatcher | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the driver knows of a session that workers have: where it runs. It scores nothing."""

    provider: str
    lanes: int
    why_cpu: str

    def score(self, images: Pixels) -> NoReturn:
        """Refuse: this process has no session."""
        raise ScoreError("the members are started at workers, and this process has no session")

    def outputs(self, images: Pixels, names: Mapping[str, str]) -> Mapping[str, Probs]:
        """Refuse: this process has no session."""
        self.score(images)


@contextmanager
def started_members(recipe: Recipe, progress: Progress) -> Iterator[StartedMembers]:
    """Start the members where the recipe says, each proven; workers end with the block.

    Raises:
        UsageError: workers and device that do not go together; and as for `start_members`.
        MemberError: a member is not usable.
        ProviderError: no device starts, or the cluster cannot be joined.
    """
    check_alone(recipe)
    places, cluster = recipe_places(recipe), recipe.resources.executor == "ray"
    auto = recipe.scoring.device == "auto" and not cluster
    if auto and (count := len(nvidia.gpus())) > 1:
        progress.warn(f"auto takes one of {count} GPUs: --device cuda takes all of them")
    if not places and not cluster:
        yield StartedMembers(start_members(recipe, progress))
        return
    opened = open_all(recipe, progress)
    order = _order(recipe, opened)
    workers = _on_cluster(recipe, order) if cluster else Processes(order, places)
    dispatcher = Dispatcher(workers, progress)
    try:
        proven = {each.name: each for each in dispatcher.prove()}
        members = [_elsewhere(each, proven[each.member.card.name]) for each in opened]
        names = dispatcher.names
        progress.warn(f"scoring by {counted(len(names), 'worker')}: {few(names)}")
        warn_of_cpu(recipe.scoring, members, progress)
        yield StartedMembers(members, dispatcher)
    finally:
        dispatcher.close()


def _on_cluster(recipe: Recipe, order: WorkerOrder) -> Workers:
    from ensemble.inference.executors.ray import RayWorkers  # noqa: PLC0415 - it takes a second

    return RayWorkers(order, recipe.resources.ray_address, recipe.resources.workers)


def recipe_places(recipe: Recipe) -> tuple[Place, ...]:
    """Return where workers of a recipe run on this machine; see `places_of`.

    There are none where this process scores, and where a cluster does, which has places itself.
    """
    resources = recipe.resources
    if resources.executor == "ray":
        return ()
    return places_of(recipe.scoring.device, resources.workers, resources.threads)


def check_alone(recipe: Recipe) -> None:
    """Refuse workers for views that are kept apart: workers know a member by its name alone.

    Raises:
        UsageError: there are some.
    """
    workers = bool(recipe_places(recipe)) or recipe.resources.executor == "ray"
    if recipe.scoring.keep_views and workers:
        raise UsageError(
            "--keep-views scores in this process alone: leave out --workers and --executor, and "
            "name one device, such as --device cuda:0"
        )


def warn_of_workers(recipe: Recipe, progress: Progress) -> None:
    """Say that an early exit makes no use of workers, where there are some."""
    names = [place.name for place in recipe_places(recipe)]
    idle = f"{len(names)} workers ({', '.join(names)}) have" if names else ""
    if recipe.resources.executor == "ray":
        idle = "the cluster has"
    if idle:
        progress.warn(
            f"an early exit is scored in this process alone, on one device: {idle} nothing to do"
        )


def warn_of_cluster(recipe: Recipe, progress: Progress) -> None:
    """Say that what a cluster would take is not known beforehand."""
    if recipe.resources.executor == "ray":
        progress.warn(
            "a dry run asks no cluster: members are proven, and seconds told, of this process"
        )


def alone(recipe: Recipe) -> Recipe:
    """Return a recipe for this process alone, on the first of its devices."""
    scoring, resources = recipe.scoring, recipe.resources
    first = scoring.device.partition(",")[0]
    return replace(
        recipe,
        scoring=replace(scoring, device=first),
        resources=replace(resources, workers=0, executor="local"),
    )


def _order(recipe: Recipe, opened: Sequence[Opened]) -> WorkerOrder:
    """Return what workers start with; each gets its own device and threads."""
    members = tuple(
        MemberOrder(
            name=each.member.card.name,
            path=each.member.path.resolve(),
            sha256=each.member.sha256,
            policy=tuple(entry.view for entry in each.inside),
            merge=recipe.scoring.merge,
            precision=recipe.scoring.precision,
            batch=recipe.resources.batch_size,
            crop=each.member.card.preprocess.crop,
        )
        for each in opened
    )
    engines = recipe.resources.store / "engines"
    return WorkerOrder(
        members,
        recipe.inputs.decode,
        recipe.scoring.device,
        recipe.resources.threads,
        engines,
        recipe.resources.probe_images,
    )


def _elsewhere(opened: Opened, proven: Proven) -> ReadyMember:
    return ReadyMember(
        opened.member,
        Elsewhere(proven.provider, proven.lanes, proven.why_cpu),
        tuple(entry.view for entry in opened.inside),
        proven.batch,
        proven.fixed_batch,
        views=opened.views,
    )
