"""An early-exit run as its folder and the store have it: what is checked, and against what."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ensemble.early_exit.columns import read_map
from ensemble.early_exit.plan import (
    ExitPlan,
    ExitTerms,
    accumulator_for,
    read_plan,
    terms_json,
    terms_of,
)
from ensemble.early_exit.stopping.standing import Accumulator
from ensemble.errors import StoreError, UsageError
from ensemble.files.paths import natural_key
from ensemble.predictions.parsed import number_of, or_none, real_of, text_of
from ensemble.predictions.run_record import DAMAGED, RUN, RunRecord, read_record
from ensemble.predictions.store import Partition, Scores, is_key, load_partition
from ensemble.recipe.saving import Saving, saving_of
from ensemble.records import TASKS
from ensemble.submission.proofread import LabelFormat
from ensemble.voting import weights
from ensemble.voting.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class StoredExit:
    """What a run.json says of an early exit, and what the store holds of it.

    `terms` are those of the key, and `settings` the same by run.json; `told` is what it says of the
    early exit, and `sha256` of the submission.
    """

    folder: Path
    told: Mapping[str, object]
    settings: dict[str, object]
    sha256: str | None
    terms: ExitTerms
    printed: LabelFormat
    partition: Partition
    calibration: Partition | None
    plan: ExitPlan

    @property
    def accumulator(self) -> Accumulator:
        """The accumulator of the vote."""
        return accumulator_for(self.terms, self.plan)


def read_exit(folder: Path, store: Path | None = None) -> StoredExit:
    """Read what a run says of its early exit, and open what the store holds of it.

    Args:
        folder: The folder of a run that ended images early.
        store: Where its predictions are kept; None for where the run put them.

    Raises:
        UsageError: no such run, or the store no longer holds what it kept.
        StoreError: the plan in the store was edited.
    """
    try:
        if not (folder / RUN).exists():
            raise UsageError(f"{folder}: not the folder of a run (no {RUN})")
        record = read_record(folder)
        exits = record.early_exit
        if exits is None:
            raise UsageError(f"{folder}: every image got every evaluation; there is nothing to do")
        where, sample = store or Path(text_of(record.settings["store"])), exits["calibration"]
        partition = _held(folder, where, exits["key"])
        terms = terms_of(partition.fingerprint, str(partition.folder))
        return StoredExit(
            folder=folder,
            told=exits,
            settings=_terms_in(record, terms, str(folder / RUN)),
            sha256=record.submission_sha256,
            terms=terms,
            printed=LabelFormat(
                terms.classes,
                single=TASKS[terms.task].single,
                by_number=record.settings["labels_as"] == "index",
                fill=or_none(text_of, record.settings["fill"]),
            ),
            partition=partition,
            calibration=_held(folder, where, sample) if sample else None,
            plan=read_plan(partition),
        )
    except DAMAGED as error:
        if isinstance(error, (UsageError, StoreError)):
            raise
        raise UsageError(f"{folder / RUN}: damaged, or not the record of such a run") from error


def _held(folder: Path, store: Path, key: object) -> Partition:
    partition = load_partition(store, key) if is_key(key) else None
    if partition is None or not partition.complete():
        raise UsageError(
            f"{folder}: the store {store} does not hold what the run kept ({key}), or it is torn; "
            f"name the right --store, or run again"
        )
    return partition


def everyone(ends: Scores) -> list[str]:
    """Return the ids of all images, in the order of the image set."""
    return sorted([*ends.ids, *(q.id for q in ends.quarantined)], key=natural_key)


def _terms_in(record: RunRecord, terms: ExitTerms, where: str) -> dict[str, object]:
    """Return the terms of a key as the settings in run.json have them."""
    settings = record.settings
    alike = Weights(dict.fromkeys(terms.weights.families, 1.0))
    told = settings["weights"]
    found = replace(
        terms,
        saving=_saving_in(settings) or terms.saving,
        weights=weights.from_record(told, where) if told else alike,
        classes=record.classes,
        joint=terms.joint and replace(terms.joint, label_map=read_map(record.facts["label_map"])),
    )
    return {**terms_json(found), "voting": settings["voting"]}


def _saving_in(settings: Mapping[str, object]) -> Saving | None:
    return saving_of(
        early_exit=text_of(settings["early_exit"]),
        confidence=text_of(settings["confidence"]),
        calibration=number_of(settings["calibration"]),
        time_budget=or_none(text_of, settings["time_budget"]),
        evals_per_image=or_none(real_of, settings["evals_per_image"]),
    )
