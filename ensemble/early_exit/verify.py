"""Checking an early-exit run from what it stored: `ensemble verify-exit`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ensemble.early_exit.plan import (
    ENDS,
    SUMS,
    ExitPlan,
    ExitTerms,
    accumulator_for,
    column_of,
    read_plan,
    terms_json,
    terms_of,
)
from ensemble.early_exit.record import Kept, Seen, certificate_of, record_of, unlike
from ensemble.early_exit.stopping.accumulators import Accumulator
from ensemble.early_exit.stopping.certificate import Certificate, draw_sample
from ensemble.early_exit.stopping.order import ordered
from ensemble.early_exit.stopping.trajectory import Exits, Trajectory, follow, replay
from ensemble.errors import StoreError, UsageError
from ensemble.files.atomic import sha256_file, sha256_json
from ensemble.files.paths import natural_key
from ensemble.predictions.formats import read_labels
from ensemble.predictions.run_record import DAMAGED, RUN, RunRecord, read_record
from ensemble.predictions.store import Partition, Scores, is_key, load_partition
from ensemble.recipe.saving import saving_of
from ensemble.records import TASKS
from ensemble.submission.proofread import LabelFormat, label_faults
from ensemble.voting import weights
from ensemble.voting.weights import Weights

_ROW_SUM: Final = 2e-3
_SHOWN: Final = 10
_SAVING: Final = ("early_exit", "confidence", "calibration", "time_budget", "evals_per_image")
_SHARED: Final = ("engine", "member", "members", "apart", "head", "views")


@dataclass(frozen=True, slots=True)
class Audit:
    """What a check of an early-exit run found; `faults` is empty where all is right.

    `words` is what the run may say of itself, made anew from the store.
    """

    rows: int
    evaluations_per_image: float
    words: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """What a run.json says of an early exit, and what the store holds of it.

    `terms` are those of the key, and `settings` the same by run.json; `told` is what it says of the
    early exit, and `sha256` of the submission.
    """

    folder: Path
    told: Mapping[str, Any]
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
        terms, classes = self.terms, len(self.terms.classes)
        return accumulator_for(
            terms.voting, terms.weights, self.plan, classes=classes, task=terms.task
        )  # fmt: skip


def verify_exit(folder: Path, store: Path | None = None) -> Audit:
    """Replay the exits of a run from its partial sums, and its certificate from the calibration.

    The rule, the vote and what was to be certified are those of the store's key, which is a hash of
    them; run.json is held against them, and against what the store then says of the run.

    Args:
        folder: The folder of a run that ended images early.
        store: Where its predictions are kept; None for where the run put them.

    Raises:
        UsageError: no such run, or the store no longer holds what it kept.
        StoreError: the plan in the store was edited.
    """
    record = _read(folder, store)
    ends = record.partition.read(ENDS)
    trajectory = _course(record)
    certificate = _certified(record, trajectory, ends)
    sample = record.calibration.key if record.calibration else None
    kept = Kept(record.partition.key, sample, record.plan)
    found = record_of(record.terms, kept, Seen(certificate, trajectory), ends.probs)
    faults = [*_plan_faults(record), *_published_faults(record, ends)]
    faults += _printed_faults(record, ends)
    faults += _exit_faults(record, ends)
    faults += _threshold_faults(record, certificate, ends)
    faults += _calibration_faults(record, ends)
    faults += unlike(terms_json(record.terms), record.settings)
    faults += unlike(found, record.told)
    mean = cast(float, found["evaluations_per_image"])
    return Audit(len(ends.ids), mean, str(found["words"]), tuple(faults))


def _read(folder: Path, store: Path | None) -> _Record:
    try:
        if not (folder / RUN).exists():
            raise UsageError(f"{folder}: not the folder of a run (no {RUN})")
        record = read_record(folder)
        exits = record.early_exit
        if exits is None:
            raise UsageError(f"{folder}: every image got every evaluation; there is nothing to do")
        where, sample = store or Path(record.settings["store"]), exits["calibration"]
        partition = _held(folder, where, exits["key"])
        terms = terms_of(partition.fingerprint, str(partition.folder))
        return _Record(
            folder=folder,
            told=exits,
            settings=_terms_told(record, terms, str(folder / RUN)),
            sha256=record.submission_sha256,
            terms=terms,
            printed=LabelFormat(
                terms.classes,
                single=TASKS[terms.task].single,
                by_number=record.settings["labels_as"] == "index",
                fill=record.settings["fill"],
            ),
            partition=partition,
            calibration=_held(folder, where, sample) if sample else None,
            plan=read_plan(partition),
        )
    except DAMAGED as error:
        if isinstance(error, (UsageError, StoreError)):
            raise
        raise UsageError(f"{folder / RUN}: damaged, or not the record of such a run") from error


def _held(folder: Path, store: Path, key: str) -> Partition:
    partition = load_partition(store, key) if is_key(key) else None
    if partition is None or not partition.complete():
        raise UsageError(
            f"{folder}: the store {store} does not hold what the run kept ({key}), or it is torn; "
            f"name the right --store, or run again"
        )
    return partition


def _plan_faults(record: _Record) -> list[str]:
    """Tell whether the evaluations are in order, and weigh what the families weigh."""
    faults = []
    evaluations = record.plan.evaluations
    if list(evaluations) != ordered(evaluations):
        faults.append("the evaluations are not in the order of their weights and costs")
    for family, weight in record.terms.weights.families.items():
        found = sum(e.weight for e in evaluations if e.family == family)
        if abs(found - weight) > 1e-9 * max(abs(weight), 1):
            faults.append(f"the evaluations of {family} weigh {found:g}, and the family {weight:g}")
    return faults


def _published_faults(record: _Record, ends: Scores) -> list[str]:
    """Hold what was published against what the store has."""
    faults = []
    ids, labels, evaluations = read_labels(
        record.folder / "predictions.parquet", record.terms.classes
    )
    if set(ids) != set(ends.ids) or len(ids) != len(ends.ids):
        return [f"predictions.parquet has {len(ids)} rows that are not the {len(ends.ids)} stored"]
    place = {name: row for row, name in enumerate(ends.ids)}
    order = [place[name] for name in ids]
    faults += _named("another label than the store", ids, (labels != ends.probs[order, 2:]).any(1))
    faults += _named("another n_evals than the store", ids, evaluations != ends.probs[order, 0])
    return faults


def _printed_faults(record: _Record, ends: Scores) -> list[str]:
    """Hold submission.csv against the labels that the store has, then against its hash."""
    csv, faults = record.folder / "submission.csv", []
    if csv.exists():
        labels = ends.probs[:, 2:].astype(np.int64)
        faults += label_faults(
            csv, record.printed, ends.ids, labels, [q.id for q in ends.quarantined]
        )
    if not faults and (sha256_file(csv) if csv.exists() else None) != record.sha256:
        faults.append("submission.csv is not the one that the run wrote")
    return faults


def _exit_faults(record: _Record, held: Scores) -> list[str]:
    """Apply the rule again to each image's last sums, at the threshold of its shard."""
    accumulator = record.accumulator
    shape = (len(held.ids), accumulator.depth, len(record.terms.classes))
    sums = np.asarray(record.partition.read(SUMS).probs, np.float64).reshape(shape)
    ends = Exits(
        held.probs[:, 2:].astype(np.int64),
        held.probs[:, 0].astype(np.int64),
        sums.transpose(1, 0, 2),
    )
    tolerance = _ROW_SUM if TASKS[record.terms.task].single else None
    bad = np.zeros((3, len(held.ids)), bool)
    for threshold in np.unique(held.probs[:, 1]).tolist():
        rows = np.flatnonzero(held.probs[:, 1] == threshold)
        part = Exits(ends.labels[rows], ends.evaluations[rows], ends.sums[:, rows])
        found = replay(accumulator, part, threshold, tolerance)
        for kind, those in enumerate((found.early, found.labels, found.sums)):
            bad[kind, rows[those]] = True
    names = ("an exit before its rule allowed it", "another label than its sums give",
             "sums that are not those of so many evaluations")  # fmt: skip
    return [text for name, rows in zip(names, bad, strict=True)
            for text in _named(name, held.ids, rows)]  # fmt: skip


def _threshold_faults(record: _Record, certificate: Certificate | None, ends: Scores) -> list[str]:
    """Tell whether images ended only as early as the rule, or the certificate, lets them."""
    rule = record.terms.saving.rule
    if rule == "budget":
        return []
    allowed = certificate.bound if certificate else np.inf
    what = f"ended at a threshold below {allowed:.3g}, which is all that {rule} allows"
    return _named(what, ends.ids, ends.probs[:, 1] < allowed)


def _everyone(ends: Scores) -> list[str]:
    """Return the ids of all images, in the order of the image set."""
    return sorted([*ends.ids, *(q.id for q in ends.quarantined)], key=natural_key)


def _course(record: _Record) -> Trajectory | None:
    """Follow the calibrated images again, where there are any."""
    if record.calibration is None:
        return None
    held = record.calibration.read_heads([column_of(e) for e in record.plan.evaluations])
    return follow(record.accumulator, [scores.probs for scores in held])


def _certified(record: _Record, trajectory: Trajectory | None, ends: Scores) -> Certificate | None:
    """Certify again."""
    drawn = record.calibration.images if record.calibration else 0
    return certificate_of(record.terms.saving, trajectory, len(_everyone(ends)), drawn)


def _calibration_faults(record: _Record, ends: Scores) -> list[str]:
    """Draw again, and tell whether these images were evaluated, by these members."""
    partition, everyone = record.calibration, _everyone(ends)
    count = 0 if partition is None else partition.images
    faults = []
    if count != record.plan.calibrated:
        faults.append(f"{count} images are calibrated, and the plan has {record.plan.calibrated}")
    if partition is None:
        return faults
    drawn = draw_sample(sha256_json(record.partition.fingerprint), len(everyone), count)
    held = partition.read(column_of(record.plan.evaluations[0]))
    if {*held.ids, *(q.id for q in held.quarantined)} != {everyone[row] for row in drawn.tolist()}:
        faults.append("the calibrated images are not those that the draw gives")
    both = partition.fingerprint, record.partition.fingerprint
    if any(one.get(name) != both[1][name] for one in both for name in _SHARED):
        faults.append("the calibration is of other members, views or heads")
    return faults


def _terms_told(record: RunRecord, terms: ExitTerms, where: str) -> dict[str, object]:
    """Return the terms of a key as the settings in run.json have them."""
    settings = record.settings
    alike = Weights(dict.fromkeys(terms.weights.families, 1.0))
    told = settings["weights"]
    saving = saving_of(**{name: settings[name] for name in _SAVING})
    return terms_json(
        replace(
            terms,
            saving=saving or terms.saving,
            voting=settings["voting"],
            weights=weights.from_record(told, where) if told else alike,
            classes=record.classes,
        )
    )


def _named(what: str, ids: Sequence[str], wrong: NDArray[np.bool_]) -> list[str]:
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    shown = ", ".join(ids[row] for row in rows[:_SHOWN])
    return [f"{len(rows)} rows have {what}: {shown}{' …' if len(rows) > _SHOWN else ''}"]
