"""Votes in Python, on predictions that are there."""

from collections.abc import Sequence
from pathlib import Path

from ensemble import progress_bar
from ensemble.api.arguments import (
    ClassesGiven,
    ConstraintsGiven,
    Paths,
    TasksGiven,
    TtaGiven,
    WeightsGiven,
    constraints_of,
    decode_of,
    either,
    folder_of,
    path_of,
    text_of,
    texts_of,
    weights_of,
)
from ensemble.api.predictions import PredictionsGiven, hints_of, predictions_of, tasks_of
from ensemble.api.tables import (
    TableGiven,
    label_map_of,
    optional_table,
    sample_of,
)
from ensemble.errors import UsageError
from ensemble.pipeline.vote import vote as vote_run
from ensemble.pipeline.vote import vote_predictions, vote_task_predictions
from ensemble.predictions.hints import ForeignHints
from ensemble.progress import Progress
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.recipe.sources import tasks_text, tta_text
from ensemble.records import (
    DecodePolicy,
    IdFrom,
    LabelsAs,
    Merge,
    Output,
    Precision,
    SampleForm,
    Task,
    Voting,
)
from ensemble.submission.publish import Submission


def vote(
    run: str | Path | Submission | None = None,
    *,
    predictions: PredictionsGiven | None = None,
    rows_of: TableGiven | None = None,
    classes: ClassesGiven | None = None,
    task: Task | None = None,
    members: Paths | None = None,
    images: Paths | None = None,
    tta: TtaGiven | None = None,
    merge: Merge | None = None,
    id_from: IdFrom | None = None,
    image_col: str | None = None,
    decode: DecodePolicy | None = None,
    crops: TableGiven | None = None,
    margin: float | None = None,
    square: bool | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    voting: Voting | None = None,
    weights: WeightsGiven = None,
    constraints: ConstraintsGiven | None = None,
    sample: TableGiven | None = None,
    id_col: str | None = None,
    output: Output | None = None,
    out: str | Path | None = None,
    head: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven | None = None,
    positive: str | None = None,
    form: SampleForm | None = None,
    top: int | None = None,
    round: str | None = None,  # noqa: A002
    labels_as: LabelsAs | None = None,
    fill: str | float | None = None,
    store: str | Path | None = None,
    verify_inputs: bool | None = None,
    force: bool = False,
    track: str | Sequence[str] = (),
    progress: progress_bar.Given = "auto",
) -> Submission:
    """Vote on predictions that are there; `ensemble vote` in Python.

    `run` is where an earlier run wrote, or what it gave: what is None is as it was in that run; the
    weights "uniform" weigh families alike. In its place stand `predictions`: an `Oof`, files, or a
    mapping of families to files or DataFrames with ids in the index and a column a class, of which
    `rows_of`, `classes` and `task` say what they do not say themselves; or `members`, with
    `images`, `tta` and what else names the predictions of a run in the store. For the other
    arguments see `run`, which computes nothing again for the same members, images and views.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    _check_one(run, predictions, members)
    _check_left_out(
        "members", members, images=images, tta=tta, merge=merge, id_from=id_from,
        image_col=image_col, decode=decode, crops=crops, margin=margin, square=square,
        device=device, precision=precision, verify_inputs=verify_inputs,
    )  # fmt: skip
    _check_left_out("predictions", predictions, rows_of=rows_of, classes=classes, task=task)
    given = _given(
        voting=voting, weights=weights, sample=sample, output=output, labels_as=labels_as,
        id_col=id_col, label_map=label_map, tasks=tasks, positive=positive, top=top, round=round,
        store=store, form=form, constraints=constraints,
    )  # fmt: skip
    settings = Settings(
        members=() if members is None else texts_of(members, "members"),
        images=texts_of("images" if images is None else images, "images"),
        tta="none" if tta is None else tta_text(tta),
        merge=either(merge, "mean"),
        id_from=either(id_from, "stem"),
        image_col=image_col,
        decode=decode_of(decode),
        crops=optional_table(crops, "crops", id_col=id_col),
        margin=margin,
        square=either(square, False),
        device=either(device, "auto"),
        precision=either(precision, "fp32"),
        voting=either(voting, "soft"),
        weights=weights_of(weights),
        constraints=() if constraints is None else constraints_of(constraints),
        sample=sample_of(sample, id_col),
        id_col=id_col,
        output=either(output, "auto"),
        out=path_of(out),
        head=head,
        label_map=label_map_of(label_map),
        tasks="" if tasks is None else tasks_text(tasks),
        positive=positive,
        form=either(form, "auto"),
        top=either(top, 0),
        round=either(round, "auto"),
        labels_as=either(labels_as, "auto"),
        fill=text_of(fill),
        store=Path(".ensemble" if store is None else store),
        verify_inputs=either(verify_inputs, False),
        force=force,
        track=texts_of(track, "track"),
    )
    with progress_bar.shown(progress) as listener:
        if predictions is None:
            return vote_run(settings, None if run is None else folder_of(run), listener, given)
        hints = hints_of(predictions, rows_of, classes, task, id_col)
        return _vote_on(settings, predictions, hints, listener)


def _vote_on(
    settings: Settings, predictions: PredictionsGiven, hints: ForeignHints, listener: Progress
) -> Submission:
    """Vote on predictions that are given: of one head, or of the tasks of a label map."""
    label_map = resolve(settings).inputs.label_map
    if label_map is not None:
        found = tasks_of(predictions, "predictions", hints, label_map)
        return vote_task_predictions(settings, found, listener)
    joined = predictions_of(predictions, "predictions", hints)
    return vote_predictions(settings, joined, listener)


def _check_one(*given: object) -> None:
    if sum(each is not None for each in given) != 1:
        raise UsageError("vote takes a run's folder, predictions or members: one of them")


def _check_left_out(door: str, opened: object, **given: object) -> None:
    """Refuse arguments that say something only beside `door`, where it was not given."""
    beside = _given(**given)
    if opened is None and beside:
        raise UsageError(f"{', '.join(beside)}: only {door} leave it open; leave it out")


def _given(**arguments: object) -> list[str]:
    return [name for name, value in arguments.items() if value is not None]
