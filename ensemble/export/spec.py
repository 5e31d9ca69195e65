"""What an export is told: the architecture, the heads, the preprocessing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

from ensemble.boxes import Crop, crop_told
from ensemble.errors import UsageError
from ensemble.records import (
    Activation,
    Batch,
    ChannelOrder,
    Fit,
    InputRange,
    Interpolation,
    Ordinal,
    Task,
)


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One output of the net: its name, and the names of its columns in order.

    `task` and `activation` None are those that the spec says of every head. `ordinal` says that the
    columns are thresholds of ordered classes, see `members.card.Head`: then it is multilabel.
    """

    name: str
    classes: tuple[str, ...]
    task: Task | None = None
    activation: Activation | None = None
    ordinal: Ordinal | None = None


@dataclass(frozen=True, slots=True)
class PreprocessFlags:
    """What the user says of the preprocessing; None takes timm's data config, or the default.

    `input_range` is the scale of `mean` and `std`: pixels run from 0 to it, to 1 by default.
    `margin` and `square` say how the boxes were widened that the net was trained on; a margin of
    None that it was trained on whole images.
    """

    height: int | None = None
    width: int | None = None
    fit: Fit | None = None
    crop_pct: float | None = None
    interpolation: Interpolation | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channel_order: ChannelOrder | None = None
    input_range: InputRange | None = None
    margin: float | None = None
    square: bool | None = None

    @property
    def crop(self) -> Crop | None:
        """How boxes were widened; None where the net was trained on whole images.

        Raises:
            UsageError: a margin out of range, or `square` without one.
        """
        return crop_told(self.margin, square=bool(self.square))

    def to_unit_range(self) -> "PreprocessFlags":
        """Return the same for pixels from 0 to 1, on which scale a card has its mean and std.

        Raises:
            UsageError: a range other than 1 or 255, or one without a mean and a std.
        """
        if self.input_range not in (None, *get_args(InputRange)):
            raise UsageError(f"--input-range {self.input_range}: expected 1 or 255")
        if self.input_range is None or self.input_range == 1:
            return replace(self, input_range=1)
        given = (("mean", self.mean), ("std", self.std))
        mean, std = (_scaled(name, values, self.input_range) for name, values in given)
        return replace(self, mean=mean, std=std, input_range=1)


def _scaled(name: str, values: tuple[float, ...] | None, scale: float) -> tuple[float, ...]:
    if not values:
        raise UsageError(f"--input-range is the scale of --mean and --std: give --{name} too")
    return tuple(value / scale for value in values)


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What the user says of the checkpoints.

    `arch` is a timm name, or "pkg.mod:factory" for a function that takes `num_classes`, and what
    `args` holds besides, and returns a torch module. `num_classes` is the number of classes of
    all heads together. A net with several heads returns a dict by head name, or a tuple in the
    order of `heads`.
    `key` is the entry of the file that holds the weights, and what begins with a text of `drop`
    is no weight; see `checkpoints.load_checkpoint`.
    `family` and `fold` are None where the file's name tells them; see `names.family_and_fold`.
    `activation` None is told by the graph's last operator, and by the task. `batch` "alone" has
    images scored one by one, for a net whose predictions depend on their batch.
    """

    arch: str
    heads: tuple[HeadSpec, ...]
    task: Task = "classification"
    activation: Activation | None = None
    preprocess: PreprocessFlags = PreprocessFlags()
    in_chans: int = 3
    dynamic_size: bool = False
    ema: bool = False
    trust_pickle: frozenset[Path] = frozenset()
    family: str | None = None
    fold: int | None = None
    key: str | None = None
    drop: tuple[str, ...] = ()
    args: Mapping[str, object] = field(default_factory=dict)
    batch: Batch = "any"

    @property
    def head_names(self) -> tuple[str, ...]:
        """What the heads are called, in the order of `heads`."""
        return tuple(head.name for head in self.heads)


def columns_of(spec: ExportSpec) -> int:
    """Return the number of columns of the net: the classes of all its heads."""
    return sum(len(head.classes) for head in spec.heads)


def task_of(spec: ExportSpec, head: HeadSpec) -> Task:
    """Return the task of a head: its own, or that of every head."""
    return head.task or ("multilabel" if head.ordinal else spec.task)


def activation_told(spec: ExportSpec, head: HeadSpec) -> Activation | None:
    """Return the activation that was said of a head, or of every head; None where none was."""
    return head.activation or spec.activation


def is_factory(arch: str) -> bool:
    """Tell whether an architecture is a function of the user's own, as pkg.mod:factory."""
    return ":" in arch and "/" not in arch
