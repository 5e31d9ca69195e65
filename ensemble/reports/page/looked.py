"""What a page is made of: all that was found out before, and what is lacking, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ensemble.arrays import Indices
from ensemble.boxes import Box
from ensemble.predictions.run_record import RunRecord
from ensemble.recipe.policy import Policy
from ensemble.records import Quarantined
from ensemble.reports.page.answers import Answer
from ensemble.voting.weights import Weights


@dataclass(frozen=True, slots=True, eq=False)
class ScoredBox:
    """A box that was chosen of an image, and its score; None where the table has none."""

    id: str
    box: Box
    score: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What is shown: of one answer, or of the label of a label map and each of its tasks.

    `what` says what was looked at, in words; `unfound` are the ids that have a prediction and no
    image; `lacking` are what the page has not, and why, a line each. `rules` counts the boxes of
    images by the rule that chose them.
    """

    title: str
    what: str
    answers: tuple[Answer, ...] = ()
    record: RunRecord | None = None
    weights: Weights | None = None
    policy: Policy | None = None
    quarantined: tuple[Quarantined, ...] = ()
    evaluations: Indices | None = None
    boxes: tuple[ScoredBox, ...] = ()
    unfound: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    rules: Mapping[str, object] = field(default_factory=dict)
