"""Checking an early-exit run from what it stored: `ensemble verify-exit`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from ensemble.early_exit.plan import ENDS, SUMS, column_of, terms_json
from ensemble.early_exit.record import ExitRun, certificate_of, record_of, unlike
from ensemble.early_exit.stopping.certificate import Certificate, draw_sample
from ensemble.early_exit.stopping.order import ordered
from ensemble.early_exit.stopping.trajectory import Exits, follow, replay
from ensemble.early_exit.stored_exit import StoredExit, everyone, read_exit
from ensemble.files.atomic import sha256_file, sha256_json
from ensemble.predictions.run_file import read_labels
from ensemble.predictions.store import Scores
from ensemble.records import TASKS
from ensemble.submission.proofread import label_faults

_ROW_SUM: Final = 2e-3
_SHOWN: Final = 10
_SHARED: Final = ("engine", "member", "members", "apart", "head", "views", "joint")


@dataclass(frozen=True, slots=True)
class Audit:
    """What a check of an early-exit run found; `faults` is empty where all is right.

    `words` is what the run may say of itself, made anew from the store.
    """

    rows: int
    evaluations_per_image: float
    words: str
    faults: tuple[str, ...]


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
    record = read_exit(folder, store)
    ends = record.partition.read(ENDS)
    run = _run_again(record, ends)
    found = record_of(record.terms, run, ends.probs)
    faults = [*_plan_faults(record), *_published_faults(record, ends)]
    faults += _printed_faults(record, ends)
    faults += _exit_faults(record, ends)
    faults += _threshold_faults(record, run.certificate, ends)
    faults += _calibration_faults(record, ends)
    faults += unlike(terms_json(record.terms), record.settings)
    faults += unlike(found, record.told)
    mean = cast(float, found["evaluations_per_image"])
    return Audit(len(ends.ids), mean, str(found["words"]), tuple(faults))


def _run_again(record: StoredExit, ends: Scores) -> ExitRun:
    """Follow the calibrated images again, where there are any, and certify again."""
    sample, plan, trajectory = record.calibration, record.plan, None
    if sample is not None:
        held = sample.read_heads([column_of(each) for each in plan.evaluations])
        trajectory = follow(record.accumulator, [scores.probs for scores in held])
    drawn = sample.images if sample else 0
    certificate = certificate_of(record.terms.saving, trajectory, len(everyone(ends)), drawn)
    return ExitRun(record.partition, sample, plan, trajectory, certificate)


def _plan_faults(record: StoredExit) -> list[str]:
    """Tell whether the evaluations are in order, and weigh what the families weigh."""
    faults = []
    evaluations = record.plan.evaluations
    if list(evaluations) != ordered(evaluations):
        faults.append("the evaluations are not in the order of their weights and costs")
    for family, weight in record.terms.families.items():
        found = sum(e.weight for e in evaluations if e.family == family)
        if abs(found - weight) > 1e-9 * max(abs(weight), 1):
            faults.append(f"the evaluations of {family} weigh {found:g}, and the family {weight:g}")
    return faults


def _published_faults(record: StoredExit, ends: Scores) -> list[str]:
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


def _printed_faults(record: StoredExit, ends: Scores) -> list[str]:
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


def _exit_faults(record: StoredExit, held: Scores) -> list[str]:
    """Apply the rule again to each image's last sums, at the threshold of its shard."""
    accumulator = record.accumulator
    shape = (len(held.ids), accumulator.depth, record.terms.width)
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


def _threshold_faults(
    record: StoredExit, certificate: Certificate | None, ends: Scores
) -> list[str]:
    """Tell whether images ended only as early as the rule, or the certificate, lets them."""
    rule = record.terms.saving.rule
    if rule == "budget":
        return []
    allowed = certificate.bound if certificate else np.inf
    what = f"ended at a threshold below {allowed:.3g}, which is all that {rule} allows"
    return _named(what, ends.ids, ends.probs[:, 1] < allowed)


def _calibration_faults(record: StoredExit, ends: Scores) -> list[str]:
    """Draw again, and tell whether these images were evaluated, by these members."""
    partition, ids = record.calibration, everyone(ends)
    count = 0 if partition is None else partition.images
    faults = []
    if count != record.plan.calibrated:
        faults.append(f"{count} images are calibrated, and the plan has {record.plan.calibrated}")
    if partition is None:
        return faults
    drawn = draw_sample(sha256_json(record.partition.fingerprint), len(ids), count)
    held = partition.read(column_of(record.plan.evaluations[0]))
    if {*held.ids, *(q.id for q in held.quarantined)} != {ids[row] for row in drawn.tolist()}:
        faults.append("the calibrated images are not those that the draw gives")
    both = partition.fingerprint, record.partition.fingerprint
    if any(both[0].get(name) != both[1].get(name) for name in _SHARED):
        faults.append("the calibration is of other members, views or heads")
    return faults


def _named(what: str, ids: Sequence[str], wrong: NDArray[np.bool_]) -> list[str]:
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    shown = ", ".join(ids[row] for row in rows[:_SHOWN])
    return [f"{len(rows)} rows have {what}: {shown}{' …' if len(rows) > _SHOWN else ''}"]
