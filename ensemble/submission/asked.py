"""What a run is asked to write: its sample, or a plain one, held against head, ids and flags."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ensemble.errors import UsageError, few
from ensemble.label_map import LabelMap
from ensemble.members.card import Head
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.records import TASKS
from ensemble.submission.cells import fill_row
from ensemble.submission.forms import Wanted, form_of_column
from ensemble.submission.reading import read_sample
from ensemble.submission.rounding import cuts_of
from ensemble.submission.sample import Sample, check_output, plain_sample
from ensemble.submission.sample_ids import check_ids_match, mapped
from ensemble.submission.tasks import task_forms


def sample_for(
    recipe: Recipe,
    head: Head,
    ids: Sequence[str],
    listener: Listener,
    tasks: Mapping[str, tuple[str, ...]] | None = None,
) -> Sample:
    """Return what the submission is to look like: the sample's ids and columns, or plain ones.

    Args:
        recipe: The sample, and what flags say of it.
        head: What is predicted, or voted on; without classes where only tasks are.
        ids: The images'.
        listener: Told where ids or columns are taken otherwise than they stand.
        tasks: The tasks that are predicted beside, by name: the classes of each, none of a value.

    Raises:
        UsageError: the sample is wrong, or does not suit the head or `--fill`.
        ContractError: the sample and the images name different ids, or a melted one lacks rows.
    """
    wanted = _wanted(recipe, head, tasks or _tasks_of(recipe.inputs.label_map))
    if recipe.writing.sample is None:
        sample = _without_sample(recipe, head, ids, wanted)
    else:
        sample = read_sample(
            recipe.writing.sample,
            head.classes,
            id_column=recipe.inputs.id_col,
            known=frozenset(ids),
            wanted=wanted,
        )
        check_output(recipe.writing.sample, sample, recipe.writing.output)
        if recipe.saving is None:
            sample = mapped(sample, ids, listener)
        check_ids_match(sample, ids)
        _tell_of_copied(sample, listener)
        _tell_of_numbers(sample, listener)
    if wanted.top and sample.kind != "top":
        raise UsageError(
            f"--top {wanted.top}: the submission is of the form {sample.form}, with no labels in "
            f"one cell; leave it out"
        )
    if recipe.writing.output == "binary":
        sample = replace(sample, kind="binary")
    if recipe.writing.fill is not None:
        fill_row(recipe.writing.fill, sample, head)
    return sample


def _tell_of_copied(sample: Sample, listener: Listener) -> None:
    if sample.copied:
        listener.warn(
            f"the sample's {few([repr(each.name) for each in sample.copied])} is neither class nor "
            f"target: it is copied as it stands"
        )


def _tell_of_numbers(sample: Sample, listener: Listener) -> None:
    """Say which class each number of a task is: the table of a label map need not tell."""
    for name, form in sample.tasks.items():
        if form.by_number:
            listener.warn(f"{name} is written by number, from 0: {', '.join(form.classes)}")


def _tasks_of(label_map: LabelMap | None) -> dict[str, tuple[str, ...]]:
    """Return the classes of each task of a label map, by its name."""
    return {task.name: task.classes for task in label_map.tasks} if label_map else {}


def _wanted(recipe: Recipe, head: Head, tasks: Mapping[str, tuple[str, ...]]) -> Wanted:
    """Return what the flags say of the form, having checked that they suit the head."""
    writing, rules = recipe.writing, TASKS[head.task]
    if writing.output == "binary" and not rules.several:
        raise UsageError(f"--output binary is for multilabel heads; {head.name!r} is {head.task}")
    if writing.round != "auto" and rules.bounded:
        raise UsageError(f"--round is for values of a regression; {head.name!r} is {head.task}")
    if recipe.fusion.constraints and writing.round not in ("auto", "off"):
        raise UsageError(
            f"--round {writing.round}: rounded values no longer fulfil the constraints; leave one "
            f"of the two out"
        )
    cuts_of(writing.round)  # what is no rounding is refused before any work
    if writing.top and not rules.bounded:
        raise UsageError(f"--top is for labels; head {head.name!r} is {head.task}")
    return Wanted(
        task=head.task,
        output=writing.output,
        labels_as=writing.labels_as,
        positive=writing.positive,
        top=writing.top,
        rounding=writing.round,
        form=writing.form,
        tasks=tasks,
    )


def _without_sample(recipe: Recipe, head: Head, ids: Sequence[str], wanted: Wanted) -> Sample:
    """Return the plain sample, and what the flags make of it.

    Raises:
        UsageError: labels of a head that has none, or a form that takes a sample.
    """
    if wanted.form == "melted":
        raise UsageError("--form melted: give a sample, whose rows say how pairs are written")
    if wanted.form == "tasks" or (wanted.tasks and not head.classes):
        return _plain_tasks(ids, wanted)
    rounding = "off" if wanted.rounding == "auto" else wanted.rounding
    if not _asks_labels(head, wanted):
        plain = plain_sample(ids, head.classes, "probs", wanted.labels_as)
        return replace(plain, rounding=rounding)
    sample = plain_sample(ids, head.classes, "labels", wanted.labels_as)
    if wanted.top or wanted.form == "list" or TASKS[head.task].several:
        where = "the submission, column 'label'"
        form = form_of_column(where, "label", (), head.classes, wanted)
        sample = replace(sample, kind=form.kind, top=form.top)
    return replace(sample, rounding=rounding)


def _asks_labels(head: Head, wanted: Wanted) -> bool:
    """Tell whether labels are to be written where no sample says it."""
    rules = TASKS[head.task]
    said = wanted.output == "labels" or wanted.form in ("label", "list")
    if said and not rules.bounded:
        raise UsageError(
            f"head {head.name!r} is {head.task} and has no labels: leave out --output and --form, "
            f"for a column for each of {few(head.classes)}"
        )
    if wanted.form == "label" and not rules.single:
        raise UsageError(f"--form label: head {head.name!r} is {head.task}; say --form list")
    by_itself = rules.single and wanted.output != "probs" and wanted.form != "wide"
    return by_itself or said or bool(wanted.top)


def _plain_tasks(ids: Sequence[str], wanted: Wanted) -> Sample:
    if not wanted.tasks:
        raise UsageError("--form tasks: no tasks are predicted; they come with a label map")
    forms = task_forms("the submission", dict.fromkeys(wanted.tasks, ()), wanted)
    return Sample("id", tuple(ids), "tasks", tuple(forms), False, tasks=forms)
