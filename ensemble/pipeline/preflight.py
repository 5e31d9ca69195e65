"""Everything that may refuse a run before its first evaluation."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ensemble.early_exit.checks import check_early_exit
from ensemble.early_exit.setup import ExitSetup, setup_of
from ensemble.inference.executors.dispatch import Dispatcher
from ensemble.inference.executors.started import (
    StartedMembers,
    alone,
    check_alone,
    started_members,
    warn_of_workers,
)
from ensemble.inference.find import check_whole, find_images
from ensemble.inference.fingerprint import ImageSet, image_set_of
from ensemble.inference.held_images import hold_on_images
from ensemble.inference.quicker import tell_if_quicker
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start_members import head_of, start_members
from ensemble.members.card import Head
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe
from ensemble.submission import folder
from ensemble.submission.asked import sample_for
from ensemble.submission.sample import Sample


@dataclass(frozen=True, slots=True)
class Preflight:
    """A run that has passed its preflight; `dispatcher` hands out its shards to workers."""

    claim: folder.Claim
    members: Sequence[ReadyMember]
    head: Head
    images: ImageSet
    skipped: Mapping[str, int]
    sample: Sample
    dispatcher: Dispatcher | None = None

    def exit_setup(self, recipe: Recipe) -> ExitSetup:
        """Return who takes part in an early exit of this run."""
        return setup_of(recipe, self.head, self.members, self.images)


@contextmanager
def preflight(recipe: Recipe, progress: Progress, *, dry: bool = False) -> Iterator[Preflight]:
    """Do all that may refuse a run, what is quick before what takes time.

    Workers, where there are some, end with the block. Nothing of what a `dry` one saw is written
    down.

    Raises:
        EnsembleError: as for a run.
    """
    check_alone(recipe)  # what it refuses is refused before anything is written
    claim = folder.claim(recipe)
    with _started(recipe, progress) as started:
        store = None if dry else recipe.resources.store
        yield _checked(recipe, claim, started, progress, store)


@contextmanager
def _started(recipe: Recipe, progress: Progress) -> Iterator[StartedMembers]:
    """Start the members; those of an early exit in this process, whoever else there is."""
    if recipe.saving is None:
        with started_members(recipe, progress) as started:
            yield started
        return
    warn_of_workers(recipe, progress)
    yield StartedMembers(start_members(alone(recipe), progress, exits=True))


def _checked(
    recipe: Recipe,
    claim: folder.Claim,
    started: StartedMembers,
    progress: Progress,
    store: Path | None,
) -> Preflight:
    members, saving = started.members, recipe.saving
    head = head_of(recipe.inputs, members[0].member.card.heads)
    images, skipped = find_images(recipe.inputs, recipe.resources.threads, progress, store)
    if recipe.writing.sample is None:
        check_whole(skipped)
    sample = sample_for(recipe, head, [image.source.id for image in images], progress)
    if saving is not None:
        cards, labels = [m.member.card for m in members], sample.kind in ("label", "binary", "list")
        by_task = sample.kind == "tasks"
        check_early_exit(recipe, saving, head, cards, labels=labels, by_task=by_task)
    if started.dispatcher is None:  # workers hold their own members
        hold_on_images(recipe, members, images, progress)
        if store is not None:
            tell_if_quicker(recipe, members, len(images), progress)
    return Preflight(
        claim, members, head, image_set_of(images), skipped, sample, started.dispatcher
    )
