"""The whole path: images and members in, a submission out. No maths and no terminal here."""

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ensemble.early_exit.run import run_early_exit, stored_entries
from ensemble.early_exit.setup import ExitJob
from ensemble.inference.score import score_into_store
from ensemble.pipeline.device import settled
from ensemble.pipeline.preflight import Preflight, preflight
from ensemble.pipeline.tasks import exit_facts, tasks_input
from ensemble.predictions.stored import StoredPredictions, read_in_slices, read_tasks
from ensemble.predictions.table import Predictions
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.reports.trackers.record import ready, record
from ensemble.reports.trackers.tracked import of_run
from ensemble.submission import folder, publish
from ensemble.submission.publish import Submission
from ensemble.submission.rows import ExitLabels, VoteInput
from ensemble.submission.sample import Sample
from ensemble.worker import read_watch


def run(settings: Settings, progress: Progress | None = None, *, keep: bool = True) -> Submission:
    """Score images with members, and write the submission.

    Args:
        settings: What is asked for.
        progress: Told how far it is.
        keep: Whether the submission that is given back has labels and probabilities.

    Raises:
        EnsembleError: see `ensemble.errors`; a leaf for each exit code.
    """
    progress = progress or Quiet()
    recipe = settled(resolve(settings))
    tracks = ready(recipe.resources.tracks, progress)
    scored = _scored(recipe, progress)  # the sessions have ended: the vote may have their memory
    given = _vote_input(recipe, scored, progress)
    made = publish.publish(recipe, scored.claim, given, progress, keep=keep)
    record(tracks, partial(of_run, "run", made.folder.name, made.record), progress)
    return made


def _vote_input(recipe: Recipe, scored: "_Scored", progress: Progress) -> VoteInput:
    """Read what is voted on: labels that are decided, one head, or the tasks of a label map."""
    found, label_map = scored.found, recipe.inputs.label_map
    if isinstance(found, Predictions):
        return VoteInput(found, scored.sample, scored.facts, scored.decided)
    if label_map is not None:
        return tasks_input(
            recipe, read_tasks(found, label_map), scored.sample, scored.facts, progress
        )
    votes, ballots = read_in_slices(found)
    return VoteInput(votes, scored.sample, scored.facts, scored.decided, ballots=ballots)


@dataclass(frozen=True, slots=True)
class _Scored:
    """What scoring leaves: where to write, the sample, facts for run.json, and what to vote on.

    `decided` are the labels where images ended early; there is no vote then.
    """

    claim: folder.Claim
    sample: Sample
    facts: Mapping[str, object]
    found: Sequence[StoredPredictions] | Predictions
    decided: ExitLabels | None = None


def _scored(recipe: Recipe, progress: Progress) -> _Scored:
    began, clock, saving = time.time(), read_watch(os.environ).began, recipe.saving
    with preflight(recipe, progress) as checked:
        if saving is not None:
            work = ExitJob(checked.exit_setup(recipe), saving, clock)
            return _exited(work, checked, progress, began)
        entries, tally = score_into_store(
            recipe, checked.members, checked.images, progress, checked.dispatcher
        )
    facts = {
        **_facts(checked, began),
        **_predicted(recipe, checked),
        "evaluations": tally.evaluations,
        "batch_sizes": dict(tally.batch_sizes),
        "dropped_members": list(tally.dropped),
        "odd_files": dict(tally.warnings),
    }
    return _Scored(checked.claim, checked.sample, facts, entries)


def _exited(work: ExitJob, checked: Preflight, progress: Progress, began: float) -> _Scored:
    """Score with early exit, unless the store has every prediction."""
    if (entries := stored_entries(work)) is not None:
        progress.warn("every prediction is in the store already, so no image ends early")
        facts = {**_facts(checked, began), "evaluations": 0}
        return _Scored(checked.claim, checked.sample, facts, entries)
    exited = run_early_exit(work, progress)
    facts = {
        **_facts(checked, began),
        "evaluations": exited.made,
        "odd_files": dict(exited.odd),
        "early_exit": exited.record,
    }
    if work.setup.joint is not None:
        facts |= exit_facts(work.setup.joint, progress)
    decided = ExitLabels(exited.labels, exited.evaluations)
    return _Scored(checked.claim, checked.sample, facts, exited.votes, decided)


def _facts(checked: Preflight, began: float) -> dict[str, object]:
    return {
        "provider": checked.members[0].scorer.provider,
        "seconds": round(time.time() - began, 3),
        "skipped_files": dict(checked.skipped),
        "image_set": checked.images.sha256,
        **_workers(checked),
        **_crops(checked),
    }


def _predicted(recipe: Recipe, checked: Preflight) -> dict[str, object]:
    """Return the seconds that a policy predicts of a run; nothing where there is no policy."""
    policy = recipe.inputs.policy
    if policy is None:
        return {}
    return {"predicted_seconds": round(policy.seconds_for(len(checked.images.images)), 3)}


def _workers(checked: Preflight) -> dict[str, object]:
    """Name the workers that scored; nothing where this process did."""
    return {"workers": list(checked.dispatcher.names)} if checked.dispatcher else {}


def _crops(checked: Preflight) -> dict[str, object]:
    """Count the boxes of a run by the rule that chose them; nothing where nobody says it."""
    boxes = [image.box for image in checked.images.images if image.box is not None]
    rules = Counter(box.rule for box in boxes if box.rule)
    return {"crops": dict(rules)} if rules else {}
