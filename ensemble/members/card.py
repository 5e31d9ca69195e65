"""The card: what a member says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from ensemble.errors import MemberError
from ensemble.records import TASKS, Activation, Batch, BoxScale, Layout, Ordinal, Preprocess, Task

ACTIVATIONS: Final = {task: rules.activations[0] for task, rules in TASKS.items()}
"""What a head's outputs need, unless they are probabilities already."""

BOX_COLUMNS: Final = 5
"""The values of a box: its four sides, and its score."""


@dataclass(frozen=True, slots=True)
class BoxOutput:
    """How a detector gives its boxes: `count` an image, after its own suppression of doubles.

    The head's output holds them, float (N, count, 4) as left, top, right, bottom, in pixels of the
    member's input, or from 0 to 1 where `scale` is "unit". `scores` is the ONNX output of their
    scores, from 0 to 1, float (N, count); rows that are not used have the score 0.
    """

    scores: str
    count: int
    scale: BoxScale = "pixels"


@dataclass(frozen=True, slots=True)
class Head:
    """One output of a member: its ONNX output, what it means, and the names of its columns.

    `activation` is what turns the output into probabilities: "exp" where it holds their logarithms
    (a net that ends in LogSoftmax), "none" where it already holds them, and for a regression,
    whose `classes` name the values. A head of boxes has one class, what they hold, and `boxes`,
    which others have not. `ordinal` says that a multilabel head holds thresholds of ordered
    classes: of each class but the lowest, how likely it is that one or a higher one; "conditional"
    if the one below is reached (CORN), "cumulative" as it stands (CORAL).
    """

    name: str
    output: str
    task: Task
    activation: Activation
    classes: tuple[str, ...]
    boxes: BoxOutput | None = None
    ordinal: Ordinal | None = None

    @property
    def columns(self) -> int:
        """How many values it gives of an image: its classes; or 4 a box, and then 1 a box."""
        return len(self.classes) if self.boxes is None else BOX_COLUMNS * self.boxes.count

    def record(self) -> dict[str, object]:
        """Return the fields as plain values, `boxes` and `ordinal` only where there are some.

        It stands in fingerprints, which must stay what they were for members that are there.
        """
        later = ("boxes", "ordinal")
        return {k: v for k, v in asdict(self).items() if k not in later or v is not None}


@dataclass(frozen=True, slots=True)
class Card:
    """A member's description of itself. `fold` is None for a member that saw every row.

    `batch` is "alone" where a prediction depends on the rest of its batch, so that each image is
    scored by itself; `layout` tells where the input has its channels.
    """

    name: str
    family: str
    fold: int | None
    arch: str
    preprocess: Preprocess
    heads: tuple[Head, ...]
    dynamic_size: bool = False
    source: Mapping[str, str | float] = field(default_factory=dict)
    batch: Batch = "any"
    layout: Layout = "nchw"

    @property
    def finds_boxes(self) -> bool:
        """Whether it is a detector's, which nobody votes on."""
        return any(head.boxes is not None for head in self.heads)

    def head(self, name: str | None = None) -> Head:
        """Return the head of that name; without one, the only head.

        Raises:
            MemberError: no head has the name, or several heads and none was named.
        """
        return head_named(self.heads, name, f"member {self.name}")


def head_named(heads: Sequence[Head], name: str | None, who: str) -> Head:
    """Return the head of that name; without one, the only head; `who` has them, in messages.

    Raises:
        MemberError: no head has the name, or several heads and none was named.
    """
    if name is None and len(heads) == 1:
        return heads[0]
    for head in heads:
        if head.name == name:
            return head
    names = ", ".join(head.name for head in heads)
    asked = "has several heads" if name is None else f"has no head {name!r}"
    raise MemberError(f"{who} {asked}; its heads: {names}. Name one with --head")


def declared(card: Card) -> dict[str, str]:
    """Return `batch` and `layout` where they are not the usual ones: cards do without those."""
    return ({"batch": card.batch} if card.batch != "any" else {}) | (
        {"layout": card.layout} if card.layout != "nchw" else {}
    )
