"""What a vote comes to: labels and probabilities, checked, and the submission that they make."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensemble.arrays import Indices
from ensemble.errors import ContractError, UsageError
from ensemble.members.card import Head
from ensemble.predictions.stored import Votes
from ensemble.recipe.settings import Recipe
from ensemble.records import Quarantined
from ensemble.submission import sample as submission
from ensemble.voting import vote as voting
from ensemble.voting.decision import Decision


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a vote comes to: ids and labels in the stored order, what was fused, what is missing."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    fused: voting.Fused
    quarantined: tuple[Quarantined, ...]


def outcome_of(recipe: Recipe, poll: Poll) -> Outcome:
    """Vote, or take what was decided, and check that no image is missing or twice there.

    Raises:
        ContractError: the inputs are not the predicted and the quarantined ones.
        UsageError: weights that do not fit the families.
    """
    votes = poll.votes
    fused = _fused(recipe, poll)
    _check_counts(poll.sample, votes.ids, votes.quarantined)
    labels = tuple(votes.head.classes[c] for c in fused.labels.tolist())
    return Outcome(votes.ids, labels, fused, votes.quarantined)


def render(recipe: Recipe, poll: Poll, outcome: Outcome) -> bytes | None:
    """Return the bytes of submission.csv; None where images are missing and nothing stands in.

    Raises:
        ContractError: it would not be what the sample asks for.
    """
    if outcome.quarantined and recipe.fill is None:
        return None
    texts = outcome.labels or ("",) * len(outcome.ids)
    probs = outcome.fused.probs
    if poll.sample.kind == "binary" and not poll.decided:
        rule = recipe.weights.decision if recipe.weights else Decision()
        probs = voting.labels_given(probs, rule)
    rows = {
        name: submission.Row(label, row)
        for name, label, row in zip(outcome.ids, texts, probs, strict=True)
    }
    if recipe.fill is not None:
        filling = _fill_row(recipe.fill, poll.sample, poll.votes.head)
        rows |= {q.id: filling for q in outcome.quarantined}
    return submission.render(poll.sample, rows, poll.votes.head.classes)


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
