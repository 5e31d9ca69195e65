"""From stored predictions to a submission: the vote, the checks, and what is written."""

import contextlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ensemble import card as cards
from ensemble import runs, submission, voting
from ensemble.arrays import Indices, Pooled
from ensemble.card import Head
from ensemble.config import Recipe, settings_of
from ensemble.errors import ContractError, MemberError, UsageError
from ensemble.files import (
    SUCCESS,
    publish_bytes,
    publish_json,
    remove,
    remove_temporaries,
    sha256_bytes,
)
from ensemble.members import check_agree
from ensemble.paths import natural_key
from ensemble.runs import RUN
from ensemble.spec import Quarantined
from ensemble.store import Partition, load_partition

if TYPE_CHECKING:
    import pandas as pd


class Listener(Protocol):
    """Told of what the user should know, and that does not stop the run."""

    def warn(self, message: str) -> None:
        """One line, for a person."""


@dataclass(frozen=True, slots=True, repr=False)
class Submission:
    """What a run gives.

    `ids` are in the order of the sample, or of the images; `labels` has a class name for each
    (none for a head without a single class); `probs` is float64 (N, C) in the order of
    `classes`, and `families` the same for each family. `path` is None where images were
    quarantined and nothing was filled in.
    """

    folder: Path
    path: Path | None
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: tuple[str, ...]
    probs: Pooled
    families: Mapping[str, Pooled]
    quarantined: tuple[Quarantined, ...]
    record: Mapping[str, object]

    def __repr__(self) -> str:
        where = self.path or f"none in {self.folder}"
        return f"<Submission {where}: {len(self.ids)} rows, {len(self.quarantined)} quarantined>"

    @property
    def frame(self) -> "pd.DataFrame":
        """The predictions as a DataFrame: id, the label's name if there is one, a column a class.

        Quarantined images have no prediction, and so no row, also where `fill` gave the
        submission one.
        """
        import pandas as pd

        frame = pd.DataFrame(self.probs, columns=list(self.classes))
        if self.labels:
            frame.insert(0, "label", list(self.labels))
        frame.insert(0, "id", list(self.ids))
        return frame


@dataclass(frozen=True, slots=True)
class Entry:
    """One member's stored predictions, and its head that is voted on."""

    name: str
    family: str
    fold: int | None
    sha256: str
    partition: Partition
    head: Head


@dataclass(frozen=True, slots=True)
class Poll:
    """What is voted on: the members' predictions, the sample, and facts for run.json."""

    entries: Sequence[Entry]
    sample: submission.Sample
    facts: Mapping[str, object]

    @property
    def head(self) -> Head:
        """The head, on which all members agree."""
        return self.entries[0].head


def sample_for(recipe: Recipe, head: Head, ids: Sequence[str]) -> submission.Sample:
    """Return what the submission is to look like: the sample's ids and columns, or plain ones.

    Raises:
        UsageError: the sample is wrong, or does not suit the head or `--fill`.
        ContractError: the sample and the images name different ids.
    """
    if recipe.sample is None:
        labels = head.task == "classification" and recipe.output != "probs"
        output = "labels" if labels or recipe.output == "labels" else "probs"
        sample = submission.plain_sample(ids, head.classes, output, recipe.labels_as)
    else:
        sample = submission.read_sample(recipe.sample, head.classes, recipe.labels_as)
        submission.check_output(recipe.sample, sample, recipe.output)
        submission.check_ids_match(sample, ids)
    if sample.kind == "label" and head.task != "classification":
        raise UsageError(
            f"head {head.name!r} is {head.task} and has no labels: the sample needs one column "
            f"for each of {list(head.classes)[:5]}, and --output is probs"
        )
    if recipe.fill is not None:
        _fill_row(recipe.fill, sample, head)
    return sample


def entries_of_run(earlier: runs.Earlier, store: Path, head: str | None) -> list[Entry]:
    """Return the stored predictions that an earlier run was made of.

    Args:
        earlier: What the run recorded.
        store: Where the predictions are kept.
        head: The head to vote on; None for the one that was run.

    Raises:
        UsageError: the store no longer holds the predictions.
        MemberError: the members cannot vote together on the head.
    """
    name = head or earlier.head
    entries = []
    for voter in earlier.members:
        partition = load_partition(store, voter.key)
        if partition is None or not partition.complete():
            raise UsageError(
                f"{earlier.folder}: the store {store} no longer holds the predictions of "
                f"{voter.name} ({voter.key}); run again"
            )
        heads = cards.read_heads(partition.fingerprint["heads"], voter.name)
        found = next((h for h in heads if h.name == name), None)
        if found is None:
            known = [h.name for h in heads]
            raise MemberError(f"member {voter.name} has no head {name!r}; its heads: {known}")
        entries.append(Entry(voter.name, voter.family, voter.fold, voter.sha256, partition, found))
    check_agree([(e.name, e.head) for e in entries])
    return entries


def scored_ids(entries: Sequence[Entry]) -> list[str]:
    """Return every id of the image set, predicted or quarantined, in its natural order."""
    scores = entries[0].partition.read(entries[0].head.name)
    return sorted([*scores.ids, *(q.id for q in scores.quarantined)], key=natural_key)


def publish(recipe: Recipe, out: Path, poll: Poll, listener: Listener) -> Submission:
    """Vote and write: the predictions, the submission, run.json, and _SUCCESS last.

    Raises:
        ContractError: the submission would not be what the sample asks for; nothing is written.
        UsageError: weights that do not fit the families.
        StoreError: the disk refused.
    """
    count = _count(recipe, poll)
    csv_bytes = _render(recipe, poll, count)
    record = _record(recipe, poll, count)
    if csv_bytes is None and (out / SUCCESS).exists() and not recipe.force:
        submission.write_quarantine(out / "quarantine.csv", count.quarantined)
        listener.warn(f"the finished submission in {out} is left as it was")
        return _result(poll, count, out, None, record)
    digest = None if csv_bytes is None else sha256_bytes(csv_bytes)
    record |= {"submission_sha256": digest}
    _clear(out)
    publish_json(out / RUN, record)
    fused, head = count.fused, poll.head
    columns = {"probs": fused.probs} | {f"family:{n}": p for n, p in fused.families.items()}
    metadata = {"classes": list(head.classes), "head": head.name, "task": head.task}
    submission.write_predictions(
        out / "predictions.parquet", count.ids, count.labels, columns, metadata
    )
    lost = out / "quarantine.csv"
    if count.quarantined:
        submission.write_quarantine(lost, count.quarantined)
        listener.warn(f"{len(count.quarantined)} images are quarantined; see {lost}")
    else:
        remove(lost)
    if csv_bytes is None:
        remove(out / "submission.csv")
    else:
        publish_bytes(out / "submission.csv", csv_bytes)
        proof = {k: record[k] for k in ("counts", "submission_sha256", "versions")}
        publish_json(out / SUCCESS, proof)
    path = None if csv_bytes is None else out / "submission.csv"
    return _result(poll, count, out, path, record)


@dataclass(frozen=True, slots=True)
class _Count:
    """A vote's outcome: ids and labels in the stored order, what was fused, what is missing."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    fused: voting.Fused
    quarantined: tuple[Quarantined, ...]


def _result(
    poll: Poll, count: _Count, out: Path, path: Path | None, record: Mapping[str, object]
) -> Submission:
    order = _order(poll.sample.ids, count.ids)
    return Submission(
        folder=out,
        path=path,
        ids=tuple(count.ids[i] for i in order),
        classes=poll.head.classes,
        labels=tuple(count.labels[i] for i in order) if count.labels else (),
        probs=count.fused.probs[order],
        families={n: p[order] for n, p in count.fused.families.items()},
        quarantined=count.quarantined,
        record=record,
    )


def _count(recipe: Recipe, poll: Poll) -> _Count:
    ids, ballots, quarantined = _ballots(poll.entries)
    fused = voting.fuse(ballots, recipe.voting, recipe.weights, poll.head.task)
    _check_counts(poll.sample, ids, quarantined)
    classes = poll.head.classes
    labels = tuple(classes[c] for c in fused.labels.tolist())
    return _Count(ids, labels, fused, quarantined)


def _ballots(
    entries: Sequence[Entry],
) -> tuple[tuple[str, ...], list[voting.Ballot], tuple[Quarantined, ...]]:
    """Read the entries, join them by id, and leave out what any of them has quarantined."""
    scores = [entry.partition.read(entry.head.name) for entry in entries]
    lost = {q.id: q for s in scores for q in s.quarantined}
    ids = tuple(i for i in scores[0].ids if i not in lost)
    ballots = []
    for entry, held in zip(entries, scores, strict=True):
        probs = held.probs
        if held.ids != ids:
            place = {name: row for row, name in enumerate(held.ids)}
            absent = [i for i in ids if i not in place]
            if absent:
                raise ContractError(f"{entry.name} has no prediction for {absent[:5]}")
            probs = probs[[place[i] for i in ids]]
        ballots.append(voting.Ballot(entry.name, entry.family, probs))
    return ids, ballots, tuple(lost[name] for name in sorted(lost, key=natural_key))


def _check_counts(
    sample: submission.Sample, ids: Sequence[str], quarantined: Sequence[Quarantined]
) -> None:
    """The invariant: inputs = predicted + quarantined, disjoint, without duplicates."""
    both = set(ids) | {q.id for q in quarantined}
    if len(both) != len(ids) + len(quarantined) or both != set(sample.ids):
        raise ContractError(
            f"{len(sample.ids)} inputs are not {len(ids)} predicted and {len(quarantined)} "
            f"quarantined ones. Nothing was published"
        )


def _render(recipe: Recipe, poll: Poll, count: _Count) -> bytes | None:
    if count.quarantined and recipe.fill is None:
        return None
    texts = count.labels or ("",) * len(count.ids)
    rows = {
        name: submission.Row(label, row)
        for name, label, row in zip(count.ids, texts, count.fused.probs, strict=True)
    }
    if recipe.fill is not None:
        filling = _fill_row(recipe.fill, poll.sample, poll.head)
        rows |= {q.id: filling for q in count.quarantined}
    return submission.render(poll.sample, rows, poll.head.classes)


def _fill_row(fill: str, sample: submission.Sample, head: Head) -> submission.Row:
    if sample.kind == "label":
        names = {str(i): c for i, c in enumerate(head.classes)} if sample.index_labels else {}
        label = names.get(fill, fill)
        if label not in head.classes:
            raise UsageError(f"--fill {fill!r} is not one of {list(head.classes)[:10]}")
        return submission.Row(label, ())
    try:
        value = float(fill)
    except ValueError as error:
        raise UsageError(f"--fill {fill!r}: a number is needed for probability columns") from error
    if not math.isfinite(value):
        raise UsageError(f"--fill {fill!r}: expected a finite number")
    if head.task != "regression" and not 0 <= value <= 1:
        raise UsageError(f"--fill {fill!r}: a probability lies between 0 and 1")
    return submission.Row("", [value] * len(head.classes))


def _record(recipe: Recipe, poll: Poll, count: _Count) -> dict[str, object]:
    members = [
        {
            "name": entry.name,
            "family": entry.family,
            "fold": entry.fold,
            "sha256": entry.sha256,
            "key": entry.partition.key,
        }
        for entry in poll.entries
    ]
    counts = {
        "inputs": len(poll.sample.ids),
        "predicted": len(count.ids),
        "quarantined": len(count.quarantined),
    }
    return {
        "schema": 1,
        "recipe": settings_of(recipe),
        "head": poll.head.name,
        "classes": list(poll.head.classes),
        "members": members,
        "counts": counts,
        "versions": _versions(),
        **poll.facts,
    }


def _versions() -> dict[str, str]:
    """Return what the predictions were made with; ONNX Runtime goes by two names."""
    names = ("ensemble-vote", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "pillow",
             "pyarrow", "simplejpeg")  # fmt: skip
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _order(wanted: Sequence[str], ids: Sequence[str]) -> Indices:
    """Return the rows of `ids` in the order of `wanted`, leaving out those without a row."""
    place = {name: row for row, name in enumerate(ids)}
    return np.array([place[i] for i in wanted if i in place], np.int64)


def _clear(out: Path) -> None:
    """Take the old mark away before anything changes: no mixture looks finished."""
    remove(out / SUCCESS)
    remove_temporaries(out)
