"""What a run is asked to write: its sample, or a plain one, held against head, ids and flags."""

from collections.abc import Sequence
from dataclasses import replace

from ensemble.errors import UsageError
from ensemble.members.card import Head
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.records import TASKS
from ensemble.submission.cells import fill_row
from ensemble.submission.forms import Wanted, form_of_column
from ensemble.submission.rounding import cuts_of
from ensemble.submission.sample import Sample, check_output, plain_sample, read_sample
from ensemble.submission.sample_ids import check_ids_match, mapped


def sample_for(recipe: Recipe, head: Head, ids: Sequence[str], listener: Listener) -> Sample:
    """Return what the submission is to look like: the sample's ids and columns, or plain ones.

    Raises:
        UsageError: the sample is wrong, or does not suit the head or `--fill`.
        ContractError: the sample and the images name different ids.
    """
    wanted = _wanted(recipe, head)
    if recipe.writing.sample is None:
        sample = _without_sample(recipe, head, ids, wanted)
    else:
        sample = read_sample(
            recipe.writing.sample,
            head.classes,
            id_column=recipe.inputs.id_col,
            known=ids,
            wanted=wanted,
        )
        check_output(recipe.writing.sample, sample, recipe.writing.output)
        if recipe.saving is None:
            sample = mapped(sample, ids, listener)
        check_ids_match(sample, ids)
    if recipe.writing.output == "binary":
        sample = replace(sample, kind="binary")
    if recipe.writing.fill is not None:
        fill_row(recipe.writing.fill, sample, head)
    return sample


def _wanted(recipe: Recipe, head: Head) -> Wanted:
    """Return what the flags say of the form, having checked that they suit the head."""
    writing, rules = recipe.writing, TASKS[head.task]
    if writing.output == "binary" and not rules.several:
        raise UsageError(f"--output binary is for multilabel heads; {head.name!r} is {head.task}")
    if writing.round != "auto" and rules.bounded:
        raise UsageError(f"--round is for values of a regression; {head.name!r} is {head.task}")
    cuts_of(writing.round)  # what is no rounding is refused before any work
    if writing.top and not rules.bounded:
        raise UsageError(f"--top is for labels; head {head.name!r} is {head.task}")
    return Wanted(
        head.task, writing.output, writing.labels_as, writing.positive, writing.top, writing.round
    )


def _without_sample(recipe: Recipe, head: Head, ids: Sequence[str], wanted: Wanted) -> Sample:
    """Return the plain sample, and what the flags make of it.

    Raises:
        UsageError: labels of a head that has none.
    """
    labels = TASKS[head.task].single and wanted.output != "probs"
    if wanted.output == "labels" and not TASKS[head.task].single and not TASKS[head.task].several:
        raise UsageError(
            f"head {head.name!r} is {head.task} and has no labels: leave out --output, for a "
            f"column for each of {list(head.classes)[:5]}"
        )
    labels = labels or wanted.output == "labels" or bool(wanted.top)
    sample = plain_sample(ids, head.classes, "labels" if labels else "probs", wanted.labels_as)
    if labels and (wanted.top or TASKS[head.task].several):
        where = "the submission, column 'label'"
        form = form_of_column(where, "label", (), head.classes, wanted)
        sample = replace(sample, kind=form.kind, top=form.top)
    rounding = "off" if wanted.rounding == "auto" else wanted.rounding
    return replace(sample, rounding=rounding)
