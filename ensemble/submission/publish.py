"""From a vote to a submission: what is written, in which order, and what is given back."""

import contextlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import StoreError, UsageError, counted
from ensemble.files.atomic import (
    SUCCESS,
    publish_bytes,
    publish_json,
    remove,
    remove_temporaries,
    sha256_bytes,
)
from ensemble.files.parquet import FAMILY
from ensemble.html_table import html_table
from ensemble.predictions import references
from ensemble.predictions.formats import write_predictions
from ensemble.predictions.oof_file import write_quarantine
from ensemble.predictions.run_record import RUN, RunRecord, to_json
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.recipe.settings import settings_of
from ensemble.records import TASKS, Quarantined
from ensemble.submission import folder as runs
from ensemble.submission import ledger
from ensemble.submission.rows import VoteInput, VoteResult, render, result_of
from ensemble.voting.constraints import describe_residuals

if TYPE_CHECKING:
    import pandas as pd

_SHOWN: Final = 8
"""Columns of classes that a notebook shows."""

_QUARANTINE: Final = "quarantine.csv"


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

    def _repr_html_(self) -> str:
        columns = self.classes[: min(self.probs.shape[1], _SHOWN)]
        labels = [[label] for label in self.labels] or [[]] * len(self.ids)
        shown = self.probs[:, : len(columns)].tolist()
        rows = zip(self.ids, labels, shown, strict=True)
        cells = [[name, *label, *probs] for name, label, probs in rows]
        header = ["id", *(["label"] if self.labels else []), *columns]
        return html_table(repr(self), header, cells)

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


def publish(
    recipe: Recipe, claimed: runs.Claim, voted: VoteInput, listener: Listener
) -> Submission:
    """Vote and write: the predictions, the submission, run.json, _SUCCESS, and the ledger's line.

    Raises:
        ContractError: the submission would not be what the sample asks for; nothing is written.
        UsageError: weights that do not fit the families, or another run has written to the folder.
        StoreError: the disk refused.
    """
    outcome = result_of(recipe, voted)
    csv_bytes = render(recipe, voted, outcome)
    if outcome.residuals:
        listener.warn(describe_residuals(outcome.residuals))
    record = _record(recipe, claimed, voted, outcome, csv_bytes)
    out = runs.take(recipe, claimed)
    if csv_bytes is None and (out / SUCCESS).exists() and not recipe.writing.force:
        write_quarantine(out / _QUARANTINE, outcome.quarantined)
        listener.warn(f"the finished submission in {out} is left as it was")
        return _result(voted, outcome, out, None, record)
    _tell_of_images(out, record, listener)
    _clear(out)
    _remember(out, recipe, voted, listener)
    publish_json(out / RUN, to_json(record))
    _write_predictions(out / "predictions.parquet", voted, outcome)
    _write_quarantine(out / _QUARANTINE, outcome, listener)
    path = out / "submission.csv"
    if csv_bytes is None:
        remove(path)
        return _result(voted, outcome, out, None, record)
    publish_bytes(path, csv_bytes)
    publish_json(
        out / SUCCESS,
        {
            "counts": record.counts,
            "submission_sha256": record.submission_sha256,
            "versions": record.versions,
        },
    )
    _note(out, recipe, _published(voted, outcome, csv_bytes), listener)
    return _result(voted, outcome, out, path, record)


def _clear(out: Path) -> None:
    """Take the old mark away before anything changes: no mixture looks finished."""
    remove(out / SUCCESS)
    remove_temporaries(out)


def _tell_of_images(out: Path, record: RunRecord, listener: Listener) -> None:
    """Say so where the same run wrote there already, over other images: no flag tells."""
    earlier = runs.recorded(out)
    if earlier is None or earlier.recipe_sha256 != record.recipe_sha256:
        return
    before = earlier.facts.get("image_set")
    if before is not None and before != record.facts.get("image_set"):
        listener.warn(f"the images are others than when {out} was written: it is replaced")


def _remember(out: Path, recipe: Recipe, voted: VoteInput, listener: Listener) -> None:
    """Tell the store of the run, if it refers to it; a vote needs no store that can be written."""
    if not (voted.decided or any(each.key for each in voted.predictions.sources)):
        return
    try:
        references.remember(recipe.resources.store, out)
    except StoreError as error:
        listener.warn(
            f"the store does not know of this run, so say --runs {out} to `ensemble store gc`: "
            f"{error}"
        )


def _write_predictions(path: Path, voted: VoteInput, outcome: VoteResult) -> None:
    """Write what a team mate needs: ids, labels, the fused probabilities and each family's."""
    fused, head = outcome.fused, voted.predictions.head
    columns = {"probs": fused.probs} | {FAMILY + n: p for n, p in fused.families.items()}
    if voted.decided:
        columns = {} if TASKS[head.task].single else {"labels": fused.probs}
    metadata = {
        "classes": list(head.classes),
        "head": head.name,
        "task": head.task,
        "members": {name: list(hashes) for name, hashes in voted.predictions.hashes.items()},
        "quarantined": [asdict(lost) for lost in outcome.quarantined],
    }
    evaluations = voted.decided.evaluations if voted.decided else None
    write_predictions(path, outcome.ids, outcome.labels, columns, metadata, evaluations=evaluations)


def _write_quarantine(path: Path, outcome: VoteResult, listener: Listener) -> None:
    """Write the images without a prediction, or remove what an earlier run wrote of them."""
    if not outcome.quarantined:
        remove(path)
        return
    write_quarantine(path, outcome.quarantined)
    listener.warn(f"{counted(len(outcome.quarantined), 'image')} quarantined; see {path}")


def _note(out: Path, recipe: Recipe, written: ledger.Published, listener: Listener) -> None:
    """Write the ledger's line; the submission is whole without it, so a fault is a warning."""
    try:
        ledger.note(out, recipe, written)
    except (UsageError, StoreError) as error:
        listener.warn(f"the submission is whole, but the ledger has no line of it: {error}")


def _published(voted: VoteInput, outcome: VoteResult, csv_bytes: bytes) -> ledger.Published:
    members = {each.member.name: each.member for each in voted.predictions.sources}
    families = [member.family for member in members.values()]
    rows, lost = len(voted.sample.ids), len(outcome.quarantined)
    views = voted.predictions.views
    return ledger.Published(families, rows, lost, sha256_bytes(csv_bytes), views)


def _result(
    voted: VoteInput, outcome: VoteResult, out: Path, path: Path | None, record: RunRecord
) -> Submission:
    order = _order(voted.sample.ids, outcome.ids)
    return Submission(
        folder=out,
        path=path,
        ids=tuple(outcome.ids[i] for i in order),
        classes=voted.predictions.head.classes,
        labels=tuple(outcome.labels[i] for i in order) if outcome.labels else (),
        probs=outcome.fused.probs[order],
        families={n: p[order] for n, p in outcome.fused.families.items()},
        quarantined=outcome.quarantined,
        record=to_json(record),
        evaluations=voted.decided.evaluations[order] if voted.decided else None,
    )


def _record(
    recipe: Recipe,
    claimed: runs.Claim,
    voted: VoteInput,
    outcome: VoteResult,
    csv_bytes: bytes | None,
) -> RunRecord:
    counts = {
        "inputs": len(voted.sample.ids),
        "predicted": len(outcome.ids),
        "quarantined": len(outcome.quarantined),
    }
    return RunRecord(
        settings=settings_of(recipe.settings),
        head=voted.predictions.head.name,
        classes=voted.predictions.head.classes,
        members=voted.predictions.sources,
        counts=counts,
        versions=_versions(),
        facts=_facts(voted, outcome),
        recipe_sha256=claimed.recipe_sha256,
        submission_sha256=None if csv_bytes is None else sha256_bytes(csv_bytes),
    )


def _facts(voted: VoteInput, outcome: VoteResult) -> dict[str, object]:
    """Return what was found out on the way, and how far values were off constraints."""
    away = {text: asdict(each) for text, each in outcome.residuals.items()}
    return {**voted.facts, **({"constraints": away} if away else {})}


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
