"""Two members judged by each other: scored as a run does it, and every head compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ensemble.errors import UsageError
from ensemble.evaluation import labels
from ensemble.images.reading import Hashed
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.ready import ReadyMember
from ensemble.inference.score import score_into_store
from ensemble.members.card import Head
from ensemble.pipeline.agreement import Comparison, compare
from ensemble.predictions.stored import StoredPredictions, read_predictions
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe


@dataclass(frozen=True, slots=True)
class Judge:
    """What judges: images, and their labels by id, None where there are none.

    `labelled` is the head that the labels are of, None for any; the predictions go into `folder`.
    """

    recipe: Recipe
    images: Sequence[Hashed]
    truth: Mapping[str, str] | None
    labelled: str | None
    folder: Path
    progress: Progress

    def judge(self, before: ReadyMember, after: ReadyMember) -> tuple[Comparison, ...]:
        """Score the images with two members, and compare every head.

        Raises:
            UsageError: no image can be used, or one has no label.
            EnsembleError: as for a run.
        """
        store = self.folder / f"store-{before.member.card.name}"
        heads = before.member.card.heads
        recipe = replace(
            self.recipe,
            inputs=replace(self.recipe.inputs, head=heads[0].name),
            resources=replace(self.recipe.resources, store=store),
        )
        entries, _ = score_into_store(
            recipe, [before, after], image_set_of(self.images), self.progress
        )
        return tuple(self._agreement(head, entries) for head in heads)

    def _agreement(self, head: Head, entries: Sequence[StoredPredictions]) -> Comparison:
        """Compare two members by id, on the images that both predict."""
        found = read_predictions(  # an int8 member has the name of its original
            [
                replace(entry, head=head, member=replace(entry.member, name=number))
                for number, entry in zip(("float32", "int8"), entries, strict=True)
            ]
        )
        if not found.ids:
            raise UsageError(
                f"none of the images that judge can be used: {found.quarantined[0].message}"
            )
        truth = None
        if self.truth is not None and self.labelled in (None, head.name):
            truth = labels.truth_of(found.ids, self.truth, head.classes)
        before, after = (probs.astype(np.float64) for probs in found.families.values())
        return compare(head, before, after, truth)
