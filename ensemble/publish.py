"""From stored predictions to a submission: the vote, the checks, and what is written."""

import contextlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ensemble import ledger, submission, voting
from ensemble.arrays import Indices, Pooled
from ensemble.card import Head
from ensemble.columns import FAMILY
from ensemble.config import Recipe, settings_of
from ensemble.decision import Decision
from ensemble.errors import ContractError, StoreError, UsageError
from ensemble.files import (
    SUCCESS,
    publish_bytes,
    publish_json,
    remove,
    remove_temporaries,
    sha256_bytes,
)
from ensemble.runs import RUN
from ensemble.spec import Quarantined
from ensemble.votes import Votes

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
    `classes`, and `families` the same for each family. Where images ended early there are no
    probabilities: `probs` is (N, 0), or for a multilabel head 0 and 1 for each label;
    `evaluations` int64 (N,) then tells how many evaluations each image took. `path` is None where
    images were quarantined and nothing was filled in.
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
    evaluations: Indices | None = None

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

        columns = list(self.classes)[: self.probs.shape[1]]
        frame = pd.DataFrame(self.probs, columns=columns)
        if self.evaluations is not None:
            frame.insert(0, "n_evals", self.evaluations)
        if self.labels:
            frame.insert(0, "label", list(self.labels))
        frame.insert(0, "id", list(self.ids))
        return frame


@dataclass(frozen=True, slots=True)
class Poll:
    """What is voted on: the members' predictions, the sample, and facts for run.json.

    `decided` stands in place of ballots where images ended early.
    """

    votes: Votes
    sample: submission.Sample
    facts: Mapping[str, object]
    decided: "Decided | None" = None


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """Labels without probabilities: int64 (N, D), and evaluations int64 (N,).

    D is 1, and a label a class; or it is the number of labels of a multilabel head, and 0 or 1.
    """

    labels: Indices
    evaluations: Indices


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
    if recipe.output == "binary":
        if head.task != "multilabel":
            raise UsageError(
                f"--output binary is for multilabel heads; {head.name!r} is {head.task}"
            )
        sample = replace(sample, kind="binary")
    if recipe.fill is not None:
        _fill_row(recipe.fill, sample, head)
    return sample


def publish(recipe: Recipe, out: Path, poll: Poll, listener: Listener) -> Submission:
    """Vote and write: the predictions, the submission, run.json, _SUCCESS, and the ledger's line.

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
    fused, head = count.fused, poll.votes.head
    columns = {"probs": fused.probs} | {FAMILY + n: p for n, p in fused.families.items()}
    if poll.decided:
        columns = {} if head.task == "classification" else {"labels": fused.probs}
    metadata = {
        "classes": list(head.classes),
        "head": head.name,
        "task": head.task,
        "members": {name: list(hashes) for name, hashes in poll.votes.hashes.items()},
        "quarantined": [asdict(lost) for lost in count.quarantined],
    }
    submission.write_predictions(
        out / "predictions.parquet",
        count.ids,
        count.labels,
        columns,
        metadata,
        evaluations=poll.decided.evaluations if poll.decided else None,
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
        families = [str(member["family"]) for member in poll.votes.members]
        lost_rows = len(count.quarantined)
        written = ledger.Published(
            families, len(poll.sample.ids), lost_rows, sha256_bytes(csv_bytes)
        )
        _note(out, recipe, written, listener)
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
        classes=poll.votes.head.classes,
        labels=tuple(count.labels[i] for i in order) if count.labels else (),
        probs=count.fused.probs[order],
        families={n: p[order] for n, p in count.fused.families.items()},
        quarantined=count.quarantined,
        record=record,
        evaluations=poll.decided.evaluations[order] if poll.decided else None,
    )


def _count(recipe: Recipe, poll: Poll) -> _Count:
    votes = poll.votes
    fused = _fused(recipe, poll)
    _check_counts(poll.sample, votes.ids, votes.quarantined)
    labels = tuple(votes.head.classes[c] for c in fused.labels.tolist())
    return _Count(votes.ids, labels, fused, votes.quarantined)


def _fused(recipe: Recipe, poll: Poll) -> voting.Fused:
    votes = poll.votes
    if poll.decided is None:
        return voting.fuse(votes.ballots, recipe.voting, recipe.weights, votes.head.task)
    labels = poll.decided.labels
    if votes.head.task == "classification":
        return voting.Fused(np.empty((len(labels), 0)), labels[:, 0], {})
    return voting.Fused(labels.astype(np.float64), np.empty(0, np.int64), {})


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
    probs = count.fused.probs
    if poll.sample.kind == "binary" and not poll.decided:
        rule = recipe.weights.decision if recipe.weights else Decision()
        probs = voting.labels_given(probs, rule)
    rows = {
        name: submission.Row(label, row)
        for name, label, row in zip(count.ids, texts, probs, strict=True)
    }
    if recipe.fill is not None:
        filling = _fill_row(recipe.fill, poll.sample, poll.votes.head)
        rows |= {q.id: filling for q in count.quarantined}
    return submission.render(poll.sample, rows, poll.votes.head.classes)


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
    if sample.kind == "binary" and value not in (0, 1):
        raise UsageError(f"--fill {fill!r}: --output binary needs 0 or 1")
    return submission.Row("", [value] * len(head.classes))


def _record(recipe: Recipe, poll: Poll, count: _Count) -> dict[str, object]:
    counts = {
        "inputs": len(poll.sample.ids),
        "predicted": len(count.ids),
        "quarantined": len(count.quarantined),
    }
    return {
        "schema": 1,
        "recipe": settings_of(recipe),
        "head": poll.votes.head.name,
        "classes": list(poll.votes.head.classes),
        "members": list(poll.votes.members),
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


def _note(out: Path, recipe: Recipe, written: ledger.Published, listener: Listener) -> None:
    """Write the ledger's line; the submission is whole without it, so a fault is a warning."""
    try:
        ledger.note(out, recipe, written)
    except (UsageError, StoreError) as error:
        listener.warn(f"the submission is whole, but the ledger has no line of it: {error}")


def _clear(out: Path) -> None:
    """Take the old mark away before anything changes: no mixture looks finished."""
    remove(out / SUCCESS)
    remove_temporaries(out)
