"""Everything that may refuse a run before its first evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ensemble.early_exit.checks import check_early_exit
from ensemble.early_exit.setup import ExitSetup, setup_of
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import ImageSet, image_set_of
from ensemble.inference.float16_images import hold_on_images
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start_members import head_of, start_members
from ensemble.members.card import Head
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe
from ensemble.runtime.devices import check_device
from ensemble.submission import folder
from ensemble.submission.asked import sample_for
from ensemble.submission.sample import Sample


@dataclass(frozen=True, slots=True)
class Preflight:
    """A run that has passed its preflight."""

    claim: folder.Claim
    members: Sequence[ReadyMember]
    head: Head
    images: ImageSet
    skipped: Mapping[str, int]
    sample: Sample

    def exit_setup(self, recipe: Recipe) -> ExitSetup:
        """Return who takes part in an early exit of this run."""
        return setup_of(recipe, self.head, self.members, self.images)


def preflight(recipe: Recipe, progress: Progress) -> Preflight:
    """Do all that may refuse a run, what is quick before what takes time.

    Raises:
        EnsembleError: as for a run.
    """
    check_device(recipe.scoring.device)
    claim, saving = folder.claim(recipe), recipe.saving
    members = start_members(recipe, progress, exits=saving is not None)
    head = head_of(recipe.inputs, members[0].member.card.heads)
    images, skipped = find_images(recipe.inputs, recipe.resources.threads, progress)
    sample = sample_for(recipe, head, [image.source.id for image in images], progress)
    if saving is not None:
        cards, labels = [m.member.card for m in members], sample.kind in ("label", "binary", "list")
        check_early_exit(recipe, saving, head, cards, labels=labels)
    hold_on_images(recipe, members, images)
    return Preflight(claim, members, head, image_set_of(images), skipped, sample)
