"""What a vote comes to: labels and probabilities, slice by slice, and the cells that they fill."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.cores import ahead
from ensemble.errors import ContractError
from ensemble.predictions.slices import (
    BallotSlices,
    in_memory,
    row_slices,
    rows_of_slice,
    task_slices,
)
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions
from ensemble.recipe.resolve import Fusion, Recipe
from ensemble.records import TASKS
from ensemble.submission.cells import Filling, Row, cells_of, fill_row
from ensemble.submission.sample import Sample
from ensemble.submission.tasks import TaskOutcome, outcomes_of, task_rows
from ensemble.voting import vote
from ensemble.voting.blend import best_first, labels_given
from ensemble.voting.constraints import Residual, constrained
from ensemble.voting.decision import Decision
from ensemble.voting.joint import fuse_tasks


@dataclass(frozen=True, slots=True)
class VoteInput:
    """What is voted on: the members' predictions, the sample, and facts for run.json.

    `decided` stands in place of a vote where images ended early. With a label map `tasks` are voted
    on, and `predictions` tell of the labels. Where `ballots` read the members' numbers slice by
    slice, `predictions` tell of the rows alone, and hold no families.
    """

    predictions: Predictions
    sample: Sample
    facts: Mapping[str, object]
    decided: "ExitLabels | None" = None
    tasks: TaskPredictions | None = None
    ballots: BallotSlices | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExitLabels:
    """Labels without probabilities: int64 (N, D), and evaluations int64 (N,).

    D is 1, and a label a class; or it is the number of labels of a multilabel head, and 0 or 1.
    """

    labels: Indices
    evaluations: Indices


@dataclass(frozen=True, slots=True)
class VoteResult:
    """What a vote comes to for a slice: ids and labels in the stored order, and what was fused.

    `at` are the slice's rows; `residuals` tell by how much values were off each constraint before
    they were made to fulfil it.
    """

    at: slice
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    fused: vote.Fused
    residuals: Mapping[str, Residual] = field(default_factory=dict)


def results_of(recipe: Recipe, voted: VoteInput, rows: int | None = None) -> Iterator[VoteResult]:
    """Vote slice by slice, or take what was decided; no image may be missing or twice there.

    Args:
        recipe: The rule of the vote.
        voted: What is voted on.
        rows: How many rows a slice has; without it as many as fit into its memory.

    Raises:
        ContractError: the inputs are not the predicted and the quarantined ones.
        UsageError: weights that do not fit the families.
        StoreError: predictions that cannot be read.
    """
    _check_counts(voted)
    return _results(recipe, voted, rows or rows_of_slice(_columns_of(voted)))


def _results(recipe: Recipe, voted: VoteInput, size: int) -> Iterator[VoteResult]:
    found = voted.predictions
    slices = row_slices(len(found.ids), size)
    for at, voted_on in zip(slices, _fused(recipe, voted, slices, size), strict=True):
        fused, residuals = voted_on, dict[str, Residual]()
        if recipe.fusion.constraints:
            values, residuals = constrained(fused.probs, recipe.fusion.constraints, found.classes)
            fused = replace(fused, probs=values)
        labels = tuple(found.classes[c] for c in fused.labels.tolist())
        yield VoteResult(at, found.ids[at], labels, fused, residuals)


def cells_of_result(recipe: Recipe, voted: VoteInput, result: VoteResult) -> Sequence[Row]:
    """Return the cells of each row of a slice, beside the id; see `cells_of`.

    Args:
        recipe: The rule of the vote.
        voted: What was voted on, and the sample.
        result: What it came to.

    Raises:
        ContractError: it would not be what the sample asks for.
    """
    sample, probs = voted.sample, result.fused.probs
    if sample.kind in ("binary", "list") and not voted.decided:
        probs = labels_given(probs, _rule(recipe))
    filling = Filling(
        result.ids,
        result.labels or ("",) * len(result.ids),
        probs,
        _labels_of(recipe, voted, probs),
        task_rows(_tasks_of(recipe, voted, result), sample.tasks, result.ids),
    )
    return cells_of(sample, filling, voted.predictions.classes)


def cells_of_fill(recipe: Recipe, voted: VoteInput) -> Row | None:
    """Return the cells of a quarantined image; None where nothing stands in for one.

    Nor does it where not one image was predicted: a submission of it alone says nothing.
    """
    if recipe.writing.fill is None or not voted.predictions.ids:
        return None
    head = voted.predictions.head
    filling = fill_row(recipe.writing.fill, voted.sample, head)
    return cells_of(voted.sample, filling, head.classes)[0]


def _labels_of(recipe: Recipe, voted: VoteInput, probs: Pooled) -> Sequence[tuple[str, ...]]:
    """Return the labels of each row's cell: those given (1 in `probs`), or the best, in order."""
    classes, sample = voted.predictions.classes, voted.sample
    if sample.kind == "list":
        return [tuple(itertools.compress(classes, row)) for row in probs.tolist()]
    if sample.kind == "top":
        best = best_first(probs, _rule(recipe))[:, : sample.top]
        return [tuple(classes[place] for place in row) for row in best.tolist()]
    return ()


def fused_tasks(fusion: Fusion, tasks: TaskPredictions) -> vote.Fused:
    """Fuse predictions of the tasks of a label map, as a vote does by its weights and voting.

    Raises:
        UsageError: weights that do not fit the families.
    """
    joint = fusion.weights.joint if fusion.weights else None
    columns = tasks.columns(joint.spreads if joint else {})
    hard = fusion.voting == "hard"
    voters = tasks.voters() if hard else ()
    return fuse_tasks(columns, voters, tasks.label_map, fusion.voting, fusion.weights)


def _rule(recipe: Recipe) -> Decision:
    return recipe.fusion.weights.decision if recipe.fusion.weights else Decision()


def _columns_of(voted: VoteInput) -> int:
    """Return how many numbers a row has, of all members together."""
    found = voted.predictions
    return max(len(found.sources), len(found.families), 1) * len(found.classes)


def _fused(
    recipe: Recipe, voted: VoteInput, slices: Sequence[slice], rows: int
) -> Iterator[vote.Fused]:
    found, fusion = voted.predictions, recipe.fusion
    if voted.decided is not None:
        return (_of_labels(voted.decided.labels[at], found) for at in slices)
    if voted.tasks is not None:
        return (fused_tasks(fusion, part) for part in task_slices(voted.tasks, rows))
    ballots = (voted.ballots or in_memory(found))(rows)
    fused = (vote.fuse(own, fusion.voting, fusion.weights, found.task) for own in ballots)
    return ahead(fused)


def _of_labels(labels: Indices, found: Predictions) -> vote.Fused:
    """Return labels that were decided, int64 (N, D), as what a vote gives."""
    if TASKS[found.task].single:
        return vote.Fused(np.empty((len(labels), 0)), labels[:, 0], {})
    return vote.Fused(labels.astype(np.float64), np.empty(0, np.int64), {})


def _tasks_of(recipe: Recipe, voted: VoteInput, result: VoteResult) -> list[TaskOutcome]:
    """Return what each task came to, for a sample of tasks."""
    if voted.tasks is None or not voted.sample.tasks:
        return []
    return outcomes_of(result.fused, voted.tasks.label_map, recipe.fusion.voting)


def _check_counts(voted: VoteInput) -> None:
    """The invariant: inputs = predicted + quarantined, disjoint, without duplicates."""
    sample, found = voted.sample, voted.predictions
    both = set(found.ids)
    both.update(q.id for q in found.quarantined)
    whole = len(both) == len(found.ids) + len(found.quarantined) == len(sample.ids)
    both.difference_update(sample.ids)
    if not whole or both:
        raise ContractError(
            f"{len(sample.ids)} inputs are not {len(found.ids)} predicted and "
            f"{len(found.quarantined)} quarantined ones. Nothing was published"
        )
