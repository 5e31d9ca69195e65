"""What a run would do, found without a forward but those that prove and measure members."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ensemble.early_exit.forecast import ExitForecast, forecast_of
from ensemble.early_exit.run import stored_entries
from ensemble.early_exit.setup import ExitJob
from ensemble.files.atomic import free_bytes
from ensemble.inference.executors.started import (
    alone,
    recipe_places,
    warn_of_cluster,
    warn_of_workers,
)
from ensemble.inference.forecast import MemberForecast, forecast_members, shared_out
from ensemble.members.together import answers_by_task
from ensemble.pipeline.device import settled
from ensemble.pipeline.preflight import Preflight, preflight
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import SampleForm


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would do: where it would write, over how many images, and each member's work.

    `free` are the bytes that the store's disk has left. `early_exit` is what is known of one
    beforehand; None where every image gets every evaluation. `form` is that of the submission, and
    `columns` are its columns. `answered` has the families that answer each task of a label map, and
    its label. `workers` are the processes that would score, none where the run's own does.
    """

    out: Path
    images: int
    unreadable: int
    skipped: Mapping[str, int]
    members: tuple[MemberForecast, ...]
    free: int
    early_exit: ExitForecast | None
    form: SampleForm
    columns: tuple[str, ...]
    answered: Mapping[str, tuple[str, ...]]
    workers: tuple[str, ...]


def plan_run(settings: Settings, progress: Progress | None = None) -> RunPlan:
    """Do all that comes before a run's first evaluation, and write nothing.

    Members are opened and proven, images found and hashed, the sample and the ids matched.

    Raises:
        EnsembleError: as for `run`.
    """
    recipe = settled(resolve(settings))
    progress, places = progress or Quiet(), recipe_places(recipe)
    if recipe.saving is not None:
        warn_of_workers(recipe, progress)
        places = ()
    else:
        warn_of_cluster(recipe, progress)
    # members are measured here, on one device: what several take follows from it
    with preflight(alone(recipe), progress, dry=True) as checked:
        exits, planned = _forecast(recipe, checked, len(places))
    return RunPlan(
        out=checked.claim.fresh,
        images=len(checked.images.images),
        unreadable=sum(not image.sha256 for image in checked.images.images),
        skipped=dict(checked.skipped),
        members=tuple(shared_out(planned, places)),
        free=free_bytes(recipe.resources.store),
        early_exit=exits,
        form=checked.sample.form,
        columns=checked.sample.header,
        answered=_answered(recipe, checked),
        workers=tuple(place.name for place in places),
    )


def _answered(recipe: Recipe, checked: Preflight) -> Mapping[str, tuple[str, ...]]:
    label_map = recipe.inputs.label_map
    if label_map is None:
        return {}
    return answers_by_task([each.member.card for each in checked.members], label_map)


def _forecast(
    recipe: Recipe, checked: Preflight, workers: int
) -> tuple[ExitForecast | None, list[MemberForecast]]:
    """Return what is known of an early exit, if there is to be one, and each member's work."""
    saving = recipe.saving
    if saving is not None:
        work = ExitJob(checked.exit_setup(recipe), saving, 0.0)
        if stored_entries(work) is None:
            return forecast_of(work)
    return None, forecast_members(recipe, checked.members, checked.images, workers)
