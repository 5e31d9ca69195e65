"""A submission from what the store or files hold, with no model run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ensemble.errors import UsageError, few
from ensemble.inference.start_members import check_weights, head_of
from ensemble.pipeline.device import settled
from ensemble.pipeline.entries import entries_of_members
from ensemble.pipeline.tasks import tasks_input
from ensemble.predictions import file_slices, table
from ensemble.predictions.formats import read_parts
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.slices import BallotSlices
from ensemble.predictions.stored import (
    entries_of_run,
    read_in_slices,
    read_tasks,
)
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import TaskPredictions, join_tasks
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Fusion, Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import hashes_of
from ensemble.reports.trackers.record import ready, record
from ensemble.reports.trackers.tracked import of_run
from ensemble.submission import folder, publish
from ensemble.submission.asked import sample_for
from ensemble.submission.publish import Submission
from ensemble.submission.rows import VoteInput
from ensemble.voting.fits import other_views


def vote(
    settings: Settings,
    run_folder: Path | None = None,
    progress: Progress | None = None,
    given: Collection[str] = (),
    *,
    keep: bool = True,
) -> Submission:
    """Make a submission from what the store holds, with no model run.

    Args:
        settings: How to vote and what to write; their members, images and views name the
            predictions unless `run_folder` does.
        run_folder: The folder of an earlier run, whose predictions are voted on again.
        progress: Told of warnings.
        given: The kept settings that are to decide; the earlier run's own (sample, weights,
            voting and so on) stand for the rest.
        keep: Whether the submission that is given back has labels and probabilities.

    Raises:
        UsageError: the store does not hold all predictions; says which are missing.
        EnsembleError: as for `run`.
    """
    progress = progress or Quiet()
    facts: dict[str, object] = {"provider": None, "evaluations": 0}
    keys: list[str] = []
    if run_folder is None:
        recipe = settled(resolve(settings))
        entries = entries_of_members(recipe, progress)
    else:
        earlier = folder.read_run(run_folder)
        recipe = resolve(folder.settings_from_run(settings, earlier, run_folder, given))
        keys = earlier.keys
        facts["run"] = str(run_folder)
        head = recipe.inputs.head or earlier.head
        entries = entries_of_run(
            earlier.members, recipe.resources.store, head, run_folder, recipe.inputs.label_map
        )
    label_map = recipe.inputs.label_map
    hashes = hashes_of({e.member.name: e.member for e in entries}.values())
    check_weights(recipe.fusion, head_of(recipe.inputs, [entries[0].head]), hashes, label_map)
    if label_map is not None:
        tasks = read_tasks(entries, label_map)
        return _vote_tasks(recipe, tasks, facts, progress, keys=keys, keep=keep)
    votes, ballots = read_in_slices(entries)
    _warn_of_views(recipe.fusion, votes, progress)
    claim = folder.claim(recipe, keys)
    sample = sample_for(recipe, votes.head, votes.inputs(), progress)
    voted = VoteInput(votes, sample, facts, ballots=ballots)
    return _published(recipe, claim, voted, progress, keep=keep)


def _vote_tasks(
    recipe: Recipe,
    tasks: TaskPredictions,
    facts: Mapping[str, object],
    progress: Progress,
    *,
    keys: Sequence[str],
    keep: bool = True,
) -> Submission:
    """Make a submission from predictions of the tasks of a label map."""
    found = tasks.label
    _warn_of_views(recipe.fusion, found, progress)
    claim = folder.claim(recipe, keys)
    sample = sample_for(recipe, found.head, found.inputs(), progress)
    voted = tasks_input(recipe, tasks, sample, facts, progress)
    return _published(recipe, claim, voted, progress, keep=keep)


def _published(
    recipe: Recipe, claim: folder.Claim, voted: VoteInput, progress: Progress, *, keep: bool
) -> Submission:
    """Publish a submission, and have it recorded by trackers."""
    tracks = ready(recipe.resources.tracks, progress)
    made = publish.publish(recipe, claim, voted, progress, keep=keep)
    record(tracks, partial(of_run, "vote", made.folder.name, made.record), progress)
    return made


def vote_files(
    settings: Settings,
    files: Sequence[tuple[str | None, Path]],
    elsewhere: ForeignHints,
    progress: Progress | None = None,
    *,
    keep: bool = True,
) -> Submission:
    """Make a submission from files of predictions; see `vote_predictions` and `formats.read`.

    Raises:
        EnsembleError: as for `vote`.
    """
    label_map = resolve(settings).inputs.label_map
    if label_map is None:
        weights = resolve(settings).fusion.weights
        found = file_slices.read_in_slices(files, elsewhere, weights.classes if weights else ())
        return _vote_given(settings, *found, progress or Quiet(), keep=keep)
    parts = [part for name, path in files for part in read_parts(path, name, elsewhere)]
    return vote_task_predictions(settings, join_tasks(parts, label_map), progress, keep=keep)


def vote_task_predictions(
    settings: Settings,
    tasks: TaskPredictions,
    progress: Progress | None = None,
    *,
    keep: bool = True,
) -> Submission:
    """Make a submission from predictions of several tasks that were made elsewhere.

    Raises:
        EnsembleError: as for `vote`.
    """
    progress, recipe = progress or Quiet(), resolve(settings)
    known = replace(tasks, parts=tuple(map(table.identified, tasks.parts)))
    found = known.label
    for note in found.notes:
        progress.warn(note)
    if found.rescaled:
        progress.warn(table.describe_rescaling(found.rescaled))
    check_weights(recipe.fusion, found.head, found.hashes, tasks.label_map)
    keys = [each.member.sha256 for each in found.sources]
    facts = {"provider": None, "evaluations": 0}
    return _vote_tasks(recipe, known, facts, progress, keys=keys, keep=keep)


def vote_predictions(
    settings: Settings, predictions: Predictions, progress: Progress | None = None
) -> Submission:
    """Make a submission from predictions made elsewhere, one family each.

    Args:
        settings: How to vote and what to write; they name no members and no images.
        predictions: The families' predictions of the same rows; see `oof.read_all`.
        progress: Told of warnings.

    Raises:
        EnsembleError: as for `vote`.
    """
    weights = resolve(settings).fusion.weights
    votes = table.identified(table.in_order(predictions, weights.classes if weights else ()))
    return _vote_given(settings, votes, None, progress or Quiet())


def _vote_given(
    settings: Settings,
    votes: Predictions,
    ballots: BallotSlices | None,
    progress: Progress,
    *,
    keep: bool = True,
) -> Submission:
    """Make a submission from families that are identified; `ballots` read their numbers."""
    recipe = resolve(settings)
    for note in votes.notes:
        progress.warn(note)
    if votes.rescaled:
        progress.warn(table.describe_rescaling(votes.rescaled))
    check_weights(recipe.fusion, votes.head, votes.hashes)
    _warn_of_unknown(recipe.fusion, votes.hashes, progress)
    _warn_of_views(recipe.fusion, votes, progress)
    keys = [each.member.sha256 for each in votes.sources]
    claim = folder.claim(recipe, keys)
    facts = {"provider": None, "evaluations": 0}
    sample = sample_for(recipe, votes.head, votes.inputs(), progress)
    tuned = recipe.fusion.weights is not None and recipe.fusion.weights.classes
    if sample.index_labels and not (tuned or votes.ordered):
        raise UsageError(
            "the files name the classes in different orders, so a label's number is not known: "
            "write labels by name, or give a weights.json, which has the order"
        )
    voted = VoteInput(votes, sample, facts, ballots=ballots)
    return _published(recipe, claim, voted, progress, keep=keep)


def _warn_of_unknown(
    fusion: Fusion, hashes: Mapping[str, Sequence[str]], progress: Progress
) -> None:
    """Say which families' predictions, by the hashes of their members, do not say who made them."""
    tuned_on = fusion.weights.members if fusion.weights else {}
    if unknown := [family for family in tuned_on if not hashes.get(family)]:
        progress.warn(
            f"the predictions of {few(unknown)} do not say which members made them: that they are "
            f"those that the weights were tuned for is taken on trust"
        )


def _warn_of_views(fusion: Fusion, votes: Predictions, progress: Progress) -> None:
    """Say that weights were tuned under other views than those of the predictions."""
    if fusion.weights is not None and (told := other_views(fusion.weights, votes.views)):
        progress.warn(told)
