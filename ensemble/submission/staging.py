"""A vote made slice by slice, before anything of it is published: what is wrong ends it here."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.files.parquet import FAMILY, places, text_column
from ensemble.files.spool import Spool, spooled
from ensemble.predictions.run_file import RunFile
from ensemble.recipe.resolve import Recipe
from ensemble.records import TASKS
from ensemble.submission.lines import lines_of
from ensemble.submission.rows import (
    VoteInput,
    VoteResult,
    cells_of_fill,
    cells_of_result,
    results_of,
)
from ensemble.voting.constraints import Residual, joined_residuals

PREDICTIONS = "predictions.parquet"
SUBMISSION = "submission.csv"


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The numbers of a vote, in the order of the sample: labels, (N, C) fused, (N, C) a family."""

    labels: tuple[str, ...]
    probs: Pooled
    families: Mapping[str, Pooled]


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A vote of which nothing is published yet.

    `csv` is None where images are missing and nothing stands in for them. `ids` are those that are
    predicted, in the order of the sample. `kept` are the numbers, where somebody wants them.
    """

    predictions: Spool
    csv: Spool | None
    ids: tuple[str, ...]
    residuals: Mapping[str, Residual]
    kept: Kept | None


@contextmanager
def staged(recipe: Recipe, folder: Path, voted: VoteInput, *, keep: bool) -> Iterator[Staged]:
    """Vote, and give what is to be published.

    Args:
        recipe: How to vote and what to write.
        folder: Where it is to be published, or near: its disk holds what is written.
        voted: What is voted on.
        keep: Whether to keep the numbers in memory too.

    Raises:
        ContractError: the submission would not be what the sample asks for.
        UsageError: weights that do not fit the families, or predictions that changed meanwhile.
        StoreError: the disk refused, or predictions are gone.
    """
    results = results_of(recipe, voted)
    lost = [q.id for q in voted.predictions.quarantined]
    fill = cells_of_fill(recipe, voted) if lost else []
    tally = _Tally(voted, keep=keep)
    with ExitStack() as stack:
        predictions = stack.enter_context(spooled(folder / PREDICTIONS))
        csv = None if fill is None else stack.enter_context(spooled(folder / SUBMISSION))
        with RunFile(cast(BinaryIO, predictions), _about(voted)) as file, ExitStack() as inner:
            lines = None
            if fill is not None and csv is not None:
                asked = lines_of(voted.sample, voted.predictions.ids, lost, fill, csv)
                lines = inner.enter_context(asked)
            for result in results:
                _add(file, voted, result)
                if lines is not None:
                    lines.add(cells_of_result(recipe, voted, result))
                tally.add(result)
            if lines is not None:
                lines.finish()
        yield Staged(predictions, csv, _ids(voted), tally.residuals, tally.kept())


def order_of(voted: VoteInput) -> Indices:
    """Return the rows of the predictions in the order of the sample, int64 (N,)."""
    return places(text_column(_ids(voted)), text_column(voted.predictions.ids))


def _ids(voted: VoteInput) -> tuple[str, ...]:
    """Return the ids that are predicted, in the order of the sample."""
    lost = {q.id for q in voted.predictions.quarantined}
    asked = voted.sample.ids
    return tuple(name for name in asked if name not in lost) if lost else asked


def _about(voted: VoteInput) -> dict[str, object]:
    """Return what the file of predictions says of itself."""
    found = voted.predictions
    return {
        "classes": list(found.head.classes),
        "head": found.head.name,
        "task": found.task,
        "members": {name: list(hashes) for name, hashes in found.hashes.items()},
        "quarantined": [asdict(lost) for lost in found.quarantined],
    }


def _add(file: RunFile, voted: VoteInput, result: VoteResult) -> None:
    """Write what a team mate needs: ids, labels, the fused probabilities and each family's."""
    fused, decided = result.fused, voted.decided
    columns = {"probs": fused.probs} | {FAMILY + n: p for n, p in fused.families.items()}
    if decided:
        columns = {} if TASKS[voted.predictions.task].single else {"labels": fused.probs}
    evaluations = decided.evaluations[result.at] if decided else None
    file.add(result.ids, result.labels, columns, evaluations)


class _Tally:
    """Gathers what is known of a vote when its last slice is done."""

    def __init__(self, voted: VoteInput, *, keep: bool) -> None:
        self._voted, self._keep = voted, keep
        self._labels: list[str] = []
        self._columns: dict[str | None, Pooled] = {}
        self._residuals: list[tuple[int, Mapping[str, Residual]]] = []

    def add(self, result: VoteResult) -> None:
        self._residuals.append((len(result.ids), result.residuals))
        if not self._keep:
            return
        self._labels += result.labels
        rows, given = len(self._voted.predictions.ids), {None: result.fused.probs}
        for name, probs in (given | dict(result.fused.families)).items():
            if name not in self._columns:
                self._columns[name] = np.empty((rows, probs.shape[1]))
            self._columns[name][result.at] = probs

    @property
    def residuals(self) -> Mapping[str, Residual]:
        return joined_residuals(self._residuals)

    def kept(self) -> Kept | None:
        if not self._keep:
            return None
        order = order_of(self._voted)
        if (order != np.arange(len(order))).any():
            self._labels = [self._labels[row] for row in order] if self._labels else []
            for name, probs in self._columns.items():
                self._columns[name] = probs[order]
        families = {name: probs for name, probs in self._columns.items() if name is not None}
        return Kept(tuple(self._labels), self._columns[None], families)
