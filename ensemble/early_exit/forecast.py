"""What an early exit will take, as far as it is known before the work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.early_exit.calibration import left_of, shard_size_for
from ensemble.early_exit.checks import check_budget, check_calibration
from ensemble.early_exit.plan import ExitPlan
from ensemble.early_exit.planning import forecast_plan
from ensemble.early_exit.setup import ExitJob, ExitSetup
from ensemble.early_exit.stopping.certificate import draw_sample
from ensemble.files.atomic import sha256_json
from ensemble.images.reading import Hashed
from ensemble.inference.forecast import MemberForecast
from ensemble.inference.probe import seconds_per_image
from ensemble.inference.ready import ReadyMember
from ensemble.predictions.store import Partition, key_of, load_partition

_OFFSET: Final = 4


@dataclass(frozen=True, slots=True)
class ExitForecast:
    """What is known before the work: evaluations an image at most, and what is done of it.

    `calibrated` images get every evaluation, None where their cost is to decide; `shards` are those
    of the labels, and `bytes` what the new parts will take.
    """

    stages: int
    calibrated: int | None
    shards: int
    shards_stored: int
    bytes: int


def forecast_of(work: ExitJob) -> tuple[ExitForecast, list[MemberForecast]]:
    """Return what is known before the work, and what each member has to do at most.

    Nothing is written, and only the members' speed is measured. Of a member that the store had when
    the early exit began, nothing is left to do.

    Raises:
        UsageError: a calibration that can certify nothing, or a budget that cannot pay for it.
        StoreError: a key.json of the store was edited.
    """
    setup, saving, images = work.setup, work.saving, work.setup.images
    check_calibration(saving, len(images))
    fingerprint, size = setup.fingerprint(saving), shard_size_for(work)
    partition = _found(setup, fingerprint, len(images), size)
    plan, calibrated = forecast_plan(partition, setup, saving)
    check_budget(saving, plan, len(images))
    drawn = draw_sample(sha256_json(fingerprint), len(images), plan.calibrated)
    told = setup.sample(plan, [images[row] for row in drawn.tolist()])
    sample = _found(setup, told, len(drawn), size)
    done = sum(partition.committed(shard) for shard in partition.shards)
    room = _room(partition, images, np.dtype(np.float64).itemsize)
    room += _room(sample, [images[row] for row in drawn.tolist()], np.dtype(np.float32).itemsize)
    found = ExitForecast(len(plan.evaluations), calibrated, len(partition.shards), done, room)
    left = left_of(partition, drawn) + left_of(sample)
    return found, [_planned(work, plan, ready, found, left) for ready in setup.ready_members]


def _found(
    setup: ExitSetup, fingerprint: Mapping[str, object], images: int, shard_size: int
) -> Partition:
    """Return what the store has of a fingerprint; it is not written where there is nothing."""
    store, key = setup.recipe.resources.store, key_of(fingerprint)
    new = Partition(store / "predictions" / key, key, fingerprint, images, shard_size)
    return load_partition(store, key) or new


def _room(partition: Partition, images: Sequence[Hashed], itemsize: int) -> int:
    """Return how many bytes the parts will take that are still to be written, about."""
    todo = [shard for shard in partition.shards if not partition.committed(shard)]
    rows = [image for shard in todo for image in images[partition.rows(shard)]]
    columns, lists = sum(partition.heads.values()), len(partition.heads) + 1
    ids = sum(len(image.source.id.encode()) for image in rows)
    return ids + len(rows) * (itemsize * columns + _OFFSET * lists)


def _planned(
    work: ExitJob, plan: ExitPlan, ready: ReadyMember, exits: ExitForecast, left: int
) -> MemberForecast:
    """Return what a member has to do at most, so many images being left."""
    setup, name = work.setup, ready.member.card.name
    stages = sum(evaluation.member == name for evaluation in plan.evaluations)
    todo = 0 if name in plan.stored else left * stages
    return MemberForecast(
        member=name,
        provider=ready.scorer.provider,
        key=setup.key(ready),
        shards=exits.shards,
        shards_stored=exits.shards_stored,
        evaluations=todo,
        evaluations_stored=len(setup.images) * stages - todo,
        bytes=0,
        seconds=todo * seconds_per_image(ready) if todo else 0.0,
    )
