"""Checking an early-exit run from what it stored: `ensemble verify-exit`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from ensemble import runs, weights
from ensemble.errors import StoreError, UsageError
from ensemble.exitplan import ENDS, SUMS, Plan, column_of, ledger_for, read_plan
from ensemble.exits.certificate import certify, draw
from ensemble.exits.course import Ends, follow
from ensemble.exits.ledgers import Ledger
from ensemble.exits.order import ordered
from ensemble.exits.replay import replay
from ensemble.files import sha256_file, sha256_json
from ensemble.paths import natural_key
from ensemble.proofread import Print, misprints
from ensemble.spec import Task, Voting
from ensemble.store import Partition, Scores, load_partition
from ensemble.submission import read_labels
from ensemble.weights import Weights

_ROW_SUM: Final = 2e-3
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Audit:
    """What a check of an early-exit run found; `faults` is empty where all is right.

    `words` is what the run said of itself, which then holds.
    """

    rows: int
    evaluations_per_image: float
    words: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Record:
    """What a run.json says of an early exit, and what the store holds of it."""

    folder: Path
    store: Path
    voting: Voting
    weights: Weights
    classes: tuple[str, ...]
    task: Task
    rule: str
    words: str
    certificate: dict[str, Any] | None
    sha256: str | None
    printed: Print
    partition: Partition
    calibration: Partition | None
    plan: Plan


def verify_exit(folder: Path, store: Path | None = None) -> Audit:
    """Replay the exits of a run from its partial sums, and its certificate from the calibration.

    Args:
        folder: The folder of a run that ended images early.
        store: Where its predictions are kept; None for where the run put them.

    Raises:
        UsageError: no such run, or the store no longer holds what it kept.
        StoreError: the plan in the store was edited.
    """
    record = _read(folder, store)
    ledger = ledger_for(
        record.voting, record.weights, record.plan, classes=len(record.classes), task=record.task
    )
    ends = record.partition.read(ENDS)
    faults = [*_plan_faults(record), *_published_faults(record, ends)]
    faults += _printed_faults(record, ends)
    faults += _exit_faults(record, ledger, ends)
    faults += _threshold_faults(record, ends)
    if record.calibration is not None:
        faults += _certificate_faults(record, ledger, ends)
    mean = float(ends.probs[:, 0].mean()) if len(ends.ids) else 0.0
    return Audit(len(ends.ids), mean, record.words, tuple(faults))


def _read(folder: Path, store: Path | None) -> _Record:
    try:
        if not (folder / runs.RUN).exists():
            raise UsageError(f"{folder}: not the folder of a run (no {runs.RUN})")
        record = json.loads((folder / runs.RUN).read_bytes())
        exits = record.get("early_exit")
        if exits is None:
            raise UsageError(f"{folder}: every image got every evaluation; there is nothing to do")
        settings, where = record["recipe"], store or Path(record["recipe"]["store"])
        families = sorted({member["family"] for member in record["members"]})
        alike = Weights(dict.fromkeys(families, 1.0))
        told, sample = settings["weights"], exits["calibration"]
        partition = _held(folder, where, exits["key"])
        return _Record(
            folder=folder,
            store=where,
            voting=settings["voting"],
            weights=weights.from_record(told, str(folder / runs.RUN)) if told else alike,
            classes=tuple(record["classes"]),
            task=exits["task"],
            rule=exits["rule"],
            words=exits["words"],
            certificate=exits["certificate"],
            sha256=record["submission_sha256"],
            printed=Print(
                tuple(record["classes"]),
                single=exits["task"] == "classification",
                by_number=settings["labels_as"] == "index",
                fill=settings["fill"],
            ),
            partition=partition,
            calibration=_held(folder, where, sample) if sample else None,
            plan=read_plan(partition),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, (UsageError, StoreError)):
            raise
        raise UsageError(f"{folder / runs.RUN}: damaged, or not the record of a run") from error


def _held(folder: Path, store: Path, key: str) -> Partition:
    partition = load_partition(store, key) if runs.is_key(key) else None
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
    for family, weight in record.weights.families.items():
        found = sum(e.weight for e in evaluations if e.family == family)
        if abs(found - weight) > 1e-9 * max(abs(weight), 1):
            faults.append(f"the evaluations of {family} weigh {found:g}, and the family {weight:g}")
    return faults


def _published_faults(record: _Record, ends: Scores) -> list[str]:
    """Hold what was published against what the store has."""
    faults = []
    ids, labels, evaluations = read_labels(record.folder / "predictions.parquet", record.classes)
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
        faults += misprints(csv, record.printed, ends.ids, labels, [q.id for q in ends.quarantined])
    if not faults and (sha256_file(csv) if csv.exists() else None) != record.sha256:
        faults.append("submission.csv is not the one that the run wrote")
    return faults


def _exit_faults(record: _Record, ledger: Ledger, held: Scores) -> list[str]:
    """Apply the rule again to each image's last sums, at the threshold of its shard."""
    shape = (len(held.ids), ledger.depth, len(record.classes))
    sums = np.asarray(record.partition.read(SUMS).probs, np.float64).reshape(shape)
    ends = Ends(
        held.probs[:, 2:].astype(np.int64),
        held.probs[:, 0].astype(np.int64),
        sums.transpose(1, 0, 2),
    )
    tolerance = _ROW_SUM if record.task == "classification" else None
    bad = np.zeros((3, len(held.ids)), bool)
    for threshold in np.unique(held.probs[:, 1]).tolist():
        rows = np.flatnonzero(held.probs[:, 1] == threshold)
        part = Ends(ends.labels[rows], ends.evaluations[rows], ends.sums[:, rows])
        found = replay(ledger, part, threshold, tolerance)
        for kind, those in enumerate((found.early, found.labels, found.sums)):
            bad[kind, rows[those]] = True
    names = ("an exit before its rule allowed it", "another label than its sums give",
             "sums that are not those of so many evaluations")  # fmt: skip
    return [text for name, rows in zip(names, bad, strict=True)
            for text in _named(name, held.ids, rows)]  # fmt: skip


def _threshold_faults(record: _Record, ends: Scores) -> list[str]:
    """Tell whether images ended only as early as the rule, or the certificate, lets them."""
    if record.rule == "budget" and record.certificate is None:
        return []
    given = record.certificate["threshold"] if record.certificate and record.calibration else None
    allowed = np.inf if given is None else given
    wrong = ends.probs[:, 1] < allowed
    what = f"ended at a threshold below {allowed:.3g}, which is all that {record.rule} allows"
    return _named(what, ends.ids, wrong)


def _certificate_faults(record: _Record, ledger: Ledger, ends: Scores) -> list[str]:
    """Draw and certify again."""
    partition = cast(Partition, record.calibration)
    columns = [column_of(e) for e in record.plan.evaluations]
    held = partition.read_heads(columns)
    everyone = sorted([*ends.ids, *(q.id for q in ends.quarantined)], key=natural_key)
    drawn = draw(sha256_json(record.partition.fingerprint), len(everyone), partition.images)
    sampled = {*held[0].ids, *(q.id for q in held[0].quarantined)}
    faults = []
    if sampled != {everyone[row] for row in drawn.tolist()}:
        faults.append("the calibrated images are not those that the draw gives")
    given = record.certificate
    if given is not None:
        course = follow(ledger, [scores.probs for scores in held])
        found = certify(
            course, len(everyone), given["epsilon"], given["confidence"], drawn=partition.images
        )
        if asdict(found) != given:
            faults.append(f"the calibration certifies something else: {found}")
    return faults


def _named(what: str, ids: Sequence[str], wrong: NDArray[np.bool_]) -> list[str]:
    rows = np.flatnonzero(wrong)
    if not len(rows):
        return []
    shown = ", ".join(ids[row] for row in rows[:_SHOWN])
    return [f"{len(rows)} rows have {what}: {shown}{' …' if len(rows) > _SHOWN else ''}"]
