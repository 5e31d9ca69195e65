"""What a vote comes to: labels and probabilities, checked, and the submission that they make."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.errors import ContractError
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions
from ensemble.recipe.resolve import Fusion, Recipe
from ensemble.records import TASKS, Quarantined
from ensemble.submission.cells import Row, fill_row
from ensemble.submission.cells import render as render_rows
from ensemble.submission.sample import Sample
from ensemble.submission.tasks import TaskOutcome, task_rows
from ensemble.voting import vote
from ensemble.voting.blend import best_first, labels_given
from ensemble.voting.constraints import Residual, constrained
from ensemble.voting.decision import Decision
from ensemble.voting.joint import fuse_tasks
from ensemble.voting.lift import class_places, marginals


@dataclass(frozen=True, slots=True)
class VoteInput:
    """What is voted on: the members' predictions, the sample, and facts for run.json.

    `decided` stands in place of a vote where images ended early. With a label map `tasks` are voted
    on, and `predictions` tell of the labels.
    """

    predictions: Predictions
    sample: Sample
    facts: Mapping[str, object]
    decided: "ExitLabels | None" = None
    tasks: TaskPredictions | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExitLabels:
    """Labels without probabilities: int64 (N, D), and evaluations int64 (N,).

    D is 1, and a label a class; or it is the number of labels of a multilabel head, and 0 or 1.
    """

    labels: Indices
    evaluations: Indices


@dataclass(frozen=True, slots=True)
class VoteResult:
    """What a vote comes to: ids and labels in the stored order, what was fused, what is missing.

    `residuals` tell by how much values were off each constraint before they were made to fulfil it.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    fused: vote.Fused
    quarantined: tuple[Quarantined, ...]
    residuals: Mapping[str, Residual] = field(default_factory=dict)


def result_of(recipe: Recipe, voted: VoteInput) -> VoteResult:
    """Vote, or take what was decided, and check that no image is missing or twice there.

    Raises:
        ContractError: the inputs are not the predicted and the quarantined ones.
        UsageError: weights that do not fit the families.
    """
    found, fused = voted.predictions, _fused(recipe, voted)
    residuals: Mapping[str, Residual] = {}
    if recipe.fusion.constraints:
        values, residuals = constrained(fused.probs, recipe.fusion.constraints, found.classes)
        fused = replace(fused, probs=values)
    _check_counts(voted.sample, found.ids, found.quarantined)
    labels = tuple(found.classes[c] for c in fused.labels.tolist())
    return VoteResult(found.ids, labels, fused, found.quarantined, residuals)


def render(recipe: Recipe, voted: VoteInput, outcome: VoteResult) -> bytes | None:
    """Return the bytes of submission.csv; None where images are missing and nothing stands in.

    Args:
        recipe: The rule, and what stands in for quarantined images.
        voted: What was voted on, and the sample.
        outcome: What it came to.

    Raises:
        ContractError: it would not be what the sample asks for.
    """
    if outcome.quarantined and recipe.writing.fill is None:
        return None
    texts = outcome.labels or ("",) * len(outcome.ids)
    probs = outcome.fused.probs
    if voted.sample.kind in ("binary", "list") and not voted.decided:
        probs = labels_given(probs, _rule(recipe))
    lists = _labels_of(recipe, voted, probs)
    cells = task_rows(_tasks_of(recipe, voted, outcome), voted.sample.tasks, outcome.ids)
    rows = {
        name: Row(label, row, labels, of_tasks)
        for name, label, row, labels, of_tasks in zip(
            outcome.ids, texts, probs, lists, cells, strict=True
        )
    }
    if recipe.writing.fill is not None:
        filling = fill_row(recipe.writing.fill, voted.sample, voted.predictions.head)
        rows |= {q.id: filling for q in outcome.quarantined}
    return render_rows(voted.sample, rows, voted.predictions.classes)


def _labels_of(recipe: Recipe, voted: VoteInput, probs: Pooled) -> list[tuple[str, ...]]:
    """Return the labels of each row's cell: those given (1 in `probs`), or the best, in order."""
    classes, sample = voted.predictions.classes, voted.sample
    if sample.kind == "list":
        return [tuple(itertools.compress(classes, row)) for row in probs.tolist()]
    if sample.kind == "top":
        best = best_first(probs, _rule(recipe))[:, : sample.top]
        return [tuple(classes[place] for place in row) for row in best.tolist()]
    return [()] * len(probs)


def _rule(recipe: Recipe) -> Decision:
    return recipe.fusion.weights.decision if recipe.fusion.weights else Decision()


def _fused(recipe: Recipe, voted: VoteInput) -> vote.Fused:
    found, fusion = voted.predictions, recipe.fusion
    if voted.tasks is not None:
        return _fused_tasks(fusion, voted.tasks)
    if voted.decided is None:
        return vote.fuse(found.ballots, fusion.voting, fusion.weights, found.task)
    labels = voted.decided.labels
    if TASKS[found.task].single:
        return vote.Fused(np.empty((len(labels), 0)), labels[:, 0], {})
    return vote.Fused(labels.astype(np.float64), np.empty(0, np.int64), {})


def _tasks_of(recipe: Recipe, voted: VoteInput, outcome: VoteResult) -> list[TaskOutcome]:
    """Return what each task came to, for a sample of tasks.

    Of probabilities it is what they say of the task, whatever the likeliest label is; of a hard
    vote, whose shares are no probabilities, the class that the label has.
    """
    if voted.tasks is None or not voted.sample.tasks:
        return []
    label_map, fused = voted.tasks.label_map, outcome.fused
    said = marginals(fused.probs, label_map)
    hard = recipe.fusion.voting == "hard"
    places = class_places(label_map)[fused.labels]
    return [
        TaskOutcome(task.name, task.classes, said[task.name], places[:, t] if hard else None)
        for t, task in enumerate(label_map.tasks)
    ]


def _fused_tasks(fusion: Fusion, tasks: TaskPredictions) -> vote.Fused:
    joint = fusion.weights.joint if fusion.weights else None
    columns = tasks.columns(joint.spreads if joint else {})
    hard = fusion.voting == "hard"
    voters = tasks.voters() if hard else ()
    return fuse_tasks(columns, voters, tasks.label_map, fusion.voting, fusion.weights)


def _check_counts(sample: Sample, ids: Sequence[str], quarantined: Sequence[Quarantined]) -> None:
    """The invariant: inputs = predicted + quarantined, disjoint, without duplicates."""
    both = set(ids) | {q.id for q in quarantined}
    if len(both) != len(ids) + len(quarantined) or both != set(sample.ids):
        raise ContractError(
            f"{len(sample.ids)} inputs are not {len(ids)} predicted and {len(quarantined)} "
            f"quarantined ones. Nothing was published"
        )
