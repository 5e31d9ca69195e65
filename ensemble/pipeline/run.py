"""The whole path: images and members in, a submission out. No maths and no terminal here."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble.early_exit import forecast
from ensemble.early_exit.checks import check_early_exit
from ensemble.early_exit.run import run_early_exit, stored_entries
from ensemble.early_exit.setup import ExitJob, ExitSetup, setup_of
from ensemble.files.atomic import free_bytes
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import ImageSet, image_set_of
from ensemble.inference.forecast import MemberForecast, forecast_members
from ensemble.inference.ready import ReadyMember
from ensemble.inference.score import score_into_store
from ensemble.inference.start_members import start_members
from ensemble.members.card import Head
from ensemble.predictions.stored import (
    StoredPredictions,
    Votes,
    votes_of,
)
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import View
from ensemble.runtime.devices import check_device
from ensemble.submission import folder, publish
from ensemble.submission.publish import Submission
from ensemble.submission.rows import ExitLabels, VoteInput
from ensemble.submission.sample import Sample, sample_for
from ensemble.views.parse import read_policy
from ensemble.worker import read_watch


def run(settings: Settings, progress: Progress | None = None) -> Submission:
    """Score images with members, and write the submission.

    Raises:
        EnsembleError: see `ensemble.errors`; a leaf for each exit code.
    """
    progress = progress or Quiet()
    recipe = resolve(settings)
    scored = _scored(recipe, progress)  # the sessions have ended: the vote may have their memory
    votes = scored.found if isinstance(scored.found, Votes) else votes_of(scored.found)
    poll = VoteInput(votes, scored.sample, scored.facts, scored.decided)
    return publish.publish(recipe, scored.claimed, poll, progress)


@dataclass(frozen=True, slots=True)
class _Scored:
    """What scoring leaves: where to write, the sample, facts for run.json, and what to vote on.

    `decided` are the labels where images ended early; there is no vote then.
    """

    claimed: folder.Claim
    sample: Sample
    facts: Mapping[str, object]
    found: Sequence[StoredPredictions] | Votes
    decided: ExitLabels | None = None


def _scored(recipe: Recipe, progress: Progress) -> _Scored:
    began, clock = time.time(), read_watch(os.environ).began
    checked, saving = _preflight(recipe, progress), recipe.saving
    if saving is not None:
        work = ExitJob(_cast(recipe, checked), saving, clock)
        return _exited(work, checked, progress, began)
    entries, tally = score_into_store(recipe, checked.ready_members, checked.images, progress)
    facts = {
        **_facts(checked, began),
        "evaluations": tally.evaluations,
        "batch_sizes": dict(tally.batch_sizes),
        "dropped_members": list(tally.dropped),
        "odd_files": dict(tally.warnings),
    }
    return _Scored(checked.claimed, checked.sample, facts, entries)


def _exited(work: ExitJob, checked: "_Ready", progress: Progress, began: float) -> _Scored:
    """Score with early exit, unless the store has every prediction."""
    if (entries := stored_entries(work)) is not None:
        progress.warn("every prediction is in the store already, so no image ends early")
        facts = {**_facts(checked, began), "evaluations": 0}
        return _Scored(checked.claimed, checked.sample, facts, entries)
    exited = run_early_exit(work, progress)
    facts = {
        **_facts(checked, began),
        "evaluations": exited.made,
        "odd_files": dict(exited.odd),
        "early_exit": exited.record,
    }
    decided = ExitLabels(exited.labels, exited.evaluations)
    return _Scored(checked.claimed, checked.sample, facts, exited.votes, decided)


def _cast(recipe: Recipe, checked: "_Ready") -> ExitSetup:
    return setup_of(recipe, checked.head, checked.ready_members, checked.policy, checked.images)


def _facts(checked: "_Ready", began: float) -> dict[str, object]:
    return {
        "provider": checked.ready_members[0].scorer.provider,
        "seconds": round(time.time() - began, 3),
        "skipped_files": dict(checked.skipped),
        "image_set": checked.images.sha256,
    }


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would do: where it would write, over how many images, and each member's work.

    `free` are the bytes that the store's disk has left. `early_exit` is what is known of one
    beforehand; None where every image gets every evaluation.
    """

    out: Path
    images: int
    unreadable: int
    skipped: Mapping[str, int]
    members: tuple[MemberForecast, ...]
    free: int
    early_exit: forecast.ExitForecast | None


def plan(settings: Settings, progress: Progress | None = None) -> RunPlan:
    """Do all that comes before a run's first evaluation, and write nothing.

    Members are opened and proven, images found and hashed, the sample and the ids matched.

    Raises:
        EnsembleError: as for `run`.
    """
    recipe = resolve(settings)
    checked = _preflight(recipe, progress or Quiet())
    exits, planned = _foreseen(recipe, checked)
    return RunPlan(
        out=checked.claimed.fresh,
        images=len(checked.images.images),
        unreadable=sum(not image.sha256 for image in checked.images.images),
        skipped=dict(checked.skipped),
        members=tuple(planned),
        free=free_bytes(recipe.resources.store),
        early_exit=exits,
    )


def _foreseen(
    recipe: Recipe, checked: "_Ready"
) -> tuple[forecast.ExitForecast | None, list[MemberForecast]]:
    """Return what is known of an early exit, if there is to be one, and each member's work."""
    saving = recipe.saving
    if saving is not None:
        work = ExitJob(_cast(recipe, checked), saving, 0.0)
        if stored_entries(work) is None:
            return forecast.forecast_of(work)
    return None, forecast_members(recipe, checked.policy, checked.ready_members, checked.images)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A run that has passed its preflight."""

    claimed: folder.Claim
    ready_members: Sequence[ReadyMember]
    policy: Sequence[View]
    head: Head
    images: ImageSet
    skipped: Mapping[str, int]
    sample: Sample


def _preflight(recipe: Recipe, progress: Progress) -> _Ready:
    check_device(recipe.scoring.device)
    claimed, saving = folder.claim(recipe), recipe.saving
    policy = read_policy(recipe.scoring.tta)
    ready_members = start_members(recipe, policy, progress, exits=saving is not None)
    head = ready_members[0].member.card.head(recipe.inputs.head)
    images, skipped = find_images(recipe.inputs, recipe.resources.threads, progress)
    sample = sample_for(recipe, head, [image.source.id for image in images])
    if saving is not None:
        check_early_exit(recipe, saving, head, labels=sample.kind != "probs")
    return _Ready(claimed, ready_members, policy, head, image_set_of(images), skipped, sample)
