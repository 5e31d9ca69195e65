"""From stored predictions to a submission: the vote, the checks, and what is written."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from ensemble import submission, voting
from ensemble.arrays import Indices, Pooled
from ensemble.card import Head
from ensemble.config import Recipe, settings_of
from ensemble.errors import ContractError, StoreError, UsageError
from ensemble.files import SUCCESS, publish_bytes, publish_json, sha256_bytes, sha256_json
from ensemble.paths import natural_key
from ensemble.spec import Quarantined
from ensemble.store import Partition, load_partition

if TYPE_CHECKING:
    import pandas as pd

RUN: Final = "run.json"


class Listener(Protocol):
    """Told of what the user should know, and that does not stop the run."""

    def warn(self, message: str) -> None:
        """One line, for a person."""


@dataclass(frozen=True, slots=True)
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

    @property
    def frame(self) -> "pd.DataFrame":
        """The predictions as a DataFrame: id, label where there is one, a column a class."""
        import pandas as pd

        frame = pd.DataFrame(self.probs, columns=list(self.classes))
        if self.labels:
            frame.insert(0, "label", list(self.labels))
        frame.insert(0, "id", list(self.ids))
        return frame


@dataclass(frozen=True, slots=True)
class Entry:
    """One member's stored predictions, and what is needed to vote on them."""

    name: str
    family: str
    fold: int | None
    sha256: str
    partition: Partition
    heads: tuple[Head, ...]

    def head(self, name: str) -> Head:
        """Return the head of that name; the caller has checked that there is one."""
        return next(h for h in self.heads if h.name == name)


@dataclass(frozen=True, slots=True)
class Poll:
    """What is voted on: the members' predictions, the head, the sample, and facts for run.json."""

    entries: Sequence[Entry]
    head: Head
    sample: submission.Sample
    facts: Mapping[str, object]


def claim(recipe: Recipe, run_folder: Path | None = None) -> Path:
    """Return the folder to write to, and refuse one that holds another run.

    Raises:
        UsageError: `--out` holds another run, or a vote on another run than `run_folder`.
    """
    if recipe.out is None:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        plain = "".join(c if c.isalnum() else "-" for c in recipe.tta).strip("-")
        return Path("submissions") / f"{stamp}-{plain}-{recipe.voting}"
    out = recipe.out
    if recipe.force or not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return out
    if recipe_hash(recipe, run_folder) != _recorded(out):
        raise UsageError(f"--out {out} holds another run; name a new folder, or say --force")
    return out


def recipe_hash(recipe: Recipe, run_folder: Path | None = None) -> str:
    """Return the SHA-256 of what makes a run this run, in hex.

    A vote on an earlier run takes its predictions from `run_folder` and not from the recipe.
    """
    beside = {"out", "force", "fill", "threads", "batch_size", "shard_size", "store"}
    settings = {k: v for k, v in settings_of(recipe).items() if k not in beside}
    return sha256_json(settings if run_folder is None else {**settings, "run": str(run_folder)})


def sample_for(recipe: Recipe, head: Head, ids: Sequence[str]) -> submission.Sample:
    """Return what the submission is to look like: the sample's ids and columns, or plain ones.

    Raises:
        UsageError: the sample is wrong, or does not suit the head or `--fill`.
        ContractError: the sample and the images name different ids.
    """
    if recipe.sample is None:
        output = recipe.output if head.task == "classification" else "probs"
        sample = submission.plain_sample(ids, head.classes, output, recipe.labels_as)
    else:
        sample = submission.read_sample(recipe.sample, head.classes, recipe.labels_as)
        submission.check_ids_match(sample, ids)
    if sample.kind == "label" and head.task != "classification":
        raise UsageError(
            f"head {head.name!r} is {head.task}: the sample needs one column for each of "
            f"{list(head.classes)[:5]}"
        )
    if recipe.fill is not None:
        _fill_row(recipe.fill, sample, head)
    return sample


def entries_of_run(recipe: Recipe, folder: Path) -> tuple[list[Entry], Head]:
    """Return the stored predictions that a run was made of, and the head to vote on.

    Raises:
        UsageError: the folder holds no run, or the store no longer holds its predictions.
    """
    record = _read_run(folder)
    heads = tuple(_head(h) for h in record["heads"])
    name = recipe.head or record["head"]
    if name not in {h.name for h in heads}:
        raise UsageError(f"{folder}: no head {name!r}; it has {[h.name for h in heads]}")
    widths = {h.name: len(h.classes) for h in heads}
    entries = []
    for m in record["members"]:
        partition = load_partition(Path(record["store"]), m["key"], widths)
        if partition is None or not partition.complete():
            raise UsageError(
                f"{folder}: the store {record['store']} no longer holds the predictions of "
                f"{m['name']} ({m['key']}); run again"
            )
        entries.append(Entry(m["name"], m["family"], m["fold"], m["sha256"], partition, heads))
    return entries, entries[0].head(name)


def scored_ids(entries: Sequence[Entry]) -> list[str]:
    """Return every id of the image set, predicted or quarantined, in its natural order."""
    scores = entries[0].partition.read()
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
    _unpublish(out)
    fused, head = count.fused, poll.head
    columns = {"probs": fused.probs} | {f"family:{n}": p for n, p in fused.families.items()}
    metadata = {"classes": list(head.classes), "head": head.name, "task": head.task}
    submission.write_predictions(
        out / "predictions.parquet", count.ids, count.labels, columns, metadata
    )
    if count.quarantined:
        lost = out / "quarantine.csv"
        submission.write_quarantine(lost, count.quarantined)
        listener.warn(f"{len(count.quarantined)} images are quarantined; see {lost}")
    if csv_bytes is not None:
        publish_bytes(out / "submission.csv", csv_bytes)
        record |= {"submission_sha256": sha256_bytes(csv_bytes)}
    publish_json(out / RUN, record)
    if csv_bytes is not None:
        submission.finish(
            out, {"rows": len(poll.sample.ids), "submission_sha256": sha256_bytes(csv_bytes)}
        )
    order = _order(poll.sample.ids, count.ids)
    return Submission(
        folder=out,
        path=None if csv_bytes is None else out / "submission.csv",
        ids=tuple(count.ids[i] for i in order),
        classes=head.classes,
        labels=tuple(count.labels[i] for i in order) if count.labels else (),
        probs=fused.probs[order],
        families={n: p[order] for n, p in fused.families.items()},
        quarantined=count.quarantined,
        record=record,
    )


@dataclass(frozen=True, slots=True)
class _Count:
    """A vote's outcome: ids and labels in the stored order, what was fused, what is missing."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    fused: voting.Fused
    quarantined: tuple[Quarantined, ...]


def _count(recipe: Recipe, poll: Poll) -> _Count:
    ids, ballots, quarantined = _ballots(poll.entries, poll.head)
    fused = voting.fuse(ballots, recipe.voting, recipe.weights, poll.head.task)
    _check_counts(poll.sample, ids, quarantined)
    classes = poll.head.classes
    labels = tuple(classes[c] for c in fused.labels.tolist())
    return _Count(ids, labels, fused, quarantined)


def _ballots(
    entries: Sequence[Entry], head: Head
) -> tuple[tuple[str, ...], list[voting.Ballot], tuple[Quarantined, ...]]:
    """Read the entries, join them by id, and leave out what any of them has quarantined."""
    scores = [entry.partition.read() for entry in entries]
    lost = {q.id: q for s in scores for q in s.quarantined}
    ids = tuple(i for i in scores[0].ids if i not in lost)
    ballots = []
    for entry, held in zip(entries, scores, strict=True):
        probs = held.heads[head.name]
        if held.ids != ids:
            place = {name: row for row, name in enumerate(held.ids)}
            absent = [i for i in ids if i not in place]
            if absent:
                raise ContractError(f"{entry.name} has no prediction for {absent[:5]}")
            probs = probs[[place[i] for i in ids]]
        ballots.append(voting.Ballot(entry.name, entry.family, probs))
    return ids, ballots, tuple(lost.values())


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
    packages = ("numpy", "onnx", "pillow", "pyarrow", "simplejpeg")
    return {
        "schema": 1,
        "recipe": settings_of(recipe),
        "store": str(recipe.store),
        "head": poll.head.name,
        "heads": [asdict(head) for head in poll.entries[0].heads],
        "members": members,
        "counts": counts,
        "versions": {name: version(name) for name in packages},
        **poll.facts,
    }


def _order(wanted: Sequence[str], ids: Sequence[str]) -> Indices:
    """Return the rows of `ids` in the order of `wanted`, leaving out those without a row."""
    place = {name: row for row, name in enumerate(ids)}
    return np.array([place[i] for i in wanted if i in place], np.int64)


def _recorded(out: Path) -> str | None:
    """Return the recipe's hash in a folder's run.json, or None."""
    try:
        record = json.loads((out / RUN).read_bytes())
    except (OSError, ValueError):
        return None
    return record.get("recipe_sha256") if isinstance(record, dict) else None


def _read_run(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RUN).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: not the folder of a run (no readable {RUN})") from error
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise UsageError(f"{folder / RUN}: not a run that this version can read")
    return record


def _head(record: Mapping[str, Any]) -> Head:
    fields = {k: v for k, v in record.items() if k != "classes"}
    return Head(**fields, classes=tuple(record["classes"]))


def _unpublish(out: Path) -> None:
    """Take the old mark and files away before new ones come, so that no mixture looks whole."""
    for name in (SUCCESS, "submission.csv", RUN, "quarantine.csv", "predictions.parquet"):
        try:
            (out / name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot replace {out / name}: {error.strerror}") from error
