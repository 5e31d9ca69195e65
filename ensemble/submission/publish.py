"""From a vote to a submission: what is written, in which order, and what is given back."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import StoreError, UsageError, counted
from ensemble.files.atomic import (
    SUCCESS,
    publish_json,
    remove,
    remove_temporaries,
)
from ensemble.html_table import html_table
from ensemble.predictions import references
from ensemble.predictions.oof_file import write_quarantine
from ensemble.predictions.run_record import RUN, RunRecord, to_json
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.recipe.settings import settings_of
from ensemble.records import Quarantined
from ensemble.runtime.devices import OPENVINO
from ensemble.runtime.wheels import installed
from ensemble.submission import folder as runs
from ensemble.submission import ledger
from ensemble.submission.rows import VoteInput
from ensemble.submission.staging import PREDICTIONS, SUBMISSION, Kept, Staged, order_of, staged
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
    images were quarantined and nothing was filled in. Where nobody asked for the numbers, as the
    command line does not, `labels`, `probs` and `families` are empty.
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
        return f"{html_table(repr(self), header, cells)}{self._counted()}"

    def _counted(self) -> str:
        """Return how often each label is given, the commonest first, as HTML; nothing without."""
        counts = Counter(self.labels).most_common()
        rows = [(name, count, f"{100 * count / len(self.labels):.1f} %") for name, count in counts]
        return html_table("labels", ("label", "images", "share"), rows) if rows else ""

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
    recipe: Recipe,
    claimed: runs.Claim,
    voted: VoteInput,
    listener: Listener,
    *,
    keep: bool = True,
) -> Submission:
    """Vote and write: the predictions, the submission, run.json, _SUCCESS, and the ledger's line.

    Args:
        recipe: How to vote and what to write.
        claimed: Where to.
        voted: What is voted on.
        listener: Told of what is to be known.
        keep: Whether the submission that is given back has labels and probabilities.

    Raises:
        ContractError: the submission would not be what the sample asks for; nothing is written.
        UsageError: weights that do not fit the families, or another run has written to the folder.
        StoreError: the disk refused.
    """
    with staged(recipe, claimed.folder, voted, keep=keep) as made:
        if made.residuals:
            listener.warn(describe_residuals(made.residuals))
        return _publish(recipe, claimed, voted, made, listener)


def _publish(
    recipe: Recipe, claimed: runs.Claim, voted: VoteInput, made: Staged, listener: Listener
) -> Submission:
    record, lost = _record(recipe, claimed, voted, made), voted.predictions.quarantined
    out = runs.take(recipe, claimed)
    if made.csv is None and (out / SUCCESS).exists() and not recipe.writing.force:
        write_quarantine(out / _QUARANTINE, lost)
        listener.warn(f"the finished submission in {out} is left as it was")
        return _result(voted, made, out, None, record)
    _tell_of_images(out, record, listener)
    _clear(out)
    _remember(out, recipe, voted, listener)
    publish_json(out / RUN, to_json(record))
    made.predictions.publish(out / PREDICTIONS)
    _write_quarantine(out / _QUARANTINE, lost, listener)
    path = out / SUBMISSION
    if made.csv is None:
        remove(path)
        return _result(voted, made, out, None, record)
    made.csv.publish(path)
    publish_json(
        out / SUCCESS,
        {
            "counts": record.counts,
            "submission_sha256": record.submission_sha256,
            "versions": record.versions,
        },
    )
    _note(out, recipe, _published(voted, made.csv.sha256), listener)
    return _result(voted, made, out, path, record)


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


def _write_quarantine(path: Path, lost: Sequence[Quarantined], listener: Listener) -> None:
    """Write the images without a prediction, or remove what an earlier run wrote of them."""
    if not lost:
        remove(path)
        return
    write_quarantine(path, lost)
    often, count = Counter(each.error_class for each in lost).most_common(1)[0]
    first = next(each for each in lost if each.error_class == often)
    listener.warn(
        f"{counted(len(lost), 'image')} quarantined, {count} as {often}, such as {first.id!r}: "
        f"{first.message}; see {path}"
    )


def _note(out: Path, recipe: Recipe, written: ledger.Published, listener: Listener) -> None:
    """Write the ledger's line; the submission is whole without it, so a fault is a warning."""
    try:
        ledger.note(out, recipe, written)
    except (UsageError, StoreError) as error:
        listener.warn(f"the submission is whole, but the ledger has no line of it: {error}")


def _published(voted: VoteInput, sha256: str) -> ledger.Published:
    members = {each.member.name: each.member for each in voted.predictions.sources}
    families = [member.family for member in members.values()]
    rows, lost = len(voted.sample.ids), len(voted.predictions.quarantined)
    return ledger.Published(families, rows, lost, sha256, voted.predictions.views)


def _result(
    voted: VoteInput, made: Staged, out: Path, path: Path | None, record: RunRecord
) -> Submission:
    classes = voted.predictions.head.classes
    kept = made.kept or Kept((), np.empty((0, len(classes))), {})
    return Submission(
        folder=out,
        path=path,
        ids=made.ids,
        classes=classes,
        labels=kept.labels,
        probs=kept.probs,
        families=kept.families,
        quarantined=voted.predictions.quarantined,
        record=to_json(record),
        evaluations=voted.decided.evaluations[order_of(voted)] if voted.decided else None,
    )


def _record(recipe: Recipe, claimed: runs.Claim, voted: VoteInput, made: Staged) -> RunRecord:
    counts = {
        "inputs": len(voted.sample.ids),
        "predicted": len(made.ids),
        "quarantined": len(voted.predictions.quarantined),
    }
    return RunRecord(
        settings=settings_of(recipe.settings),
        head=voted.predictions.head.name,
        classes=voted.predictions.head.classes,
        members=voted.predictions.sources,
        counts=counts,
        versions=_versions(voted.facts),
        facts=_facts(voted, made),
        recipe_sha256=claimed.recipe_sha256,
        submission_sha256=None if made.csv is None else made.csv.sha256,
    )


def _facts(voted: VoteInput, made: Staged) -> dict[str, object]:
    """Return what was found out on the way, and how far values were off constraints."""
    away = {text: asdict(each) for text, each in made.residuals.items()}
    return {**voted.facts, **({"constraints": away} if away else {})}


def _versions(facts: Mapping[str, object]) -> dict[str, str]:
    """Return what the predictions were made with; ONNX Runtime goes by two names."""
    openvino = ["openvino"] if facts.get("provider") == OPENVINO else []
    names = ("ensemble-vote", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "pillow",
             "pyarrow", "simplejpeg", *openvino)  # fmt: skip
    return {"python": platform.python_version(), **installed(names)}
