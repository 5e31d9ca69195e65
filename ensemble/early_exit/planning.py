"""The plan of an early exit: measured and kept when its key is new, read back ever after."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from ensemble.early_exit.plan import PLAN, ExitPlan, calibrated_of, read_plan
from ensemble.early_exit.setup import ExitSetup
from ensemble.files.atomic import publish_json, sha256_json
from ensemble.inference.probe import batch_noise, seconds_per_image
from ensemble.inference.ready import ReadyMember
from ensemble.predictions.store import Partition
from ensemble.recipe.saving import Saving


def open_plan(partition: Partition, setup: ExitSetup, saving: Saving) -> ExitPlan:
    """Return the plan of a key; make it where the key is new.

    Raises:
        StoreError: the plan was edited, or is gone and parts are there; or the disk refused.
    """
    path = partition.folder / PLAN
    if path.exists() or any(partition.begun(shard) for shard in partition.shards):
        return read_plan(partition)
    noise = max(batch_noise(ready) for ready in setup.ready_members)
    plan = _plan(setup, saving, _costs(setup.ready_members), noise)
    record = asdict(plan)
    publish_json(path, {**record, "check": sha256_json(record)})
    return plan


def forecast_plan(
    partition: Partition, setup: ExitSetup, saving: Saving
) -> tuple[ExitPlan, int | None]:
    """Return the plan of a key, and how many images it calibrates; write nothing.

    Of a new key it is what is known without measuring: costs are alike, and with a time budget the
    calibration is None, and empty in the plan.

    Raises:
        StoreError: the plan was edited.
    """
    if (partition.folder / PLAN).exists():
        plan = read_plan(partition)
        return plan, plan.calibrated
    plan = _plan(setup, saving, dict.fromkeys(setup.names, 1.0), 0.0)
    if saving.seconds is not None and not saving.calibration:
        return replace(plan, calibrated=0), None
    return plan, plan.calibrated


def _plan(setup: ExitSetup, saving: Saving, costs: Mapping[str, float], noise: float) -> ExitPlan:
    stored = {name: held.key for name, held in setup.whole().items()}
    evaluations = setup.evaluations(costs, stored)
    calibrated = calibrated_of(saving, len(setup.images), evaluations)
    return ExitPlan(tuple(evaluations), noise, calibrated, stored)


def _costs(ready_members: Sequence[ReadyMember]) -> dict[str, float]:
    """Measure what an evaluation of each member costs, in seconds; a family has one cost.

    The folds of a family are one net, so what they differ by is noise of the clock.
    """
    least: dict[str, float] = {}
    for ready in ready_members:
        family, seconds = ready.member.card.family, seconds_per_image(ready)
        least[family] = min(seconds, least.get(family, seconds))
    return {p.member.card.name: least[p.member.card.family] for p in ready_members}
