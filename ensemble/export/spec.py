"""What an export is told: the architecture, the heads, the preprocessing."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

from ensemble.errors import UsageError
from ensemble.files.paths import SUFFIXES
from ensemble.records import (
    Activation,
    Batch,
    ChannelOrder,
    Fit,
    InputRange,
    Interpolation,
    Task,
)

_SEPARATORS: Final = "-_. "
_FOLDS: Final = tuple(
    re.compile(rf"(?:^|(?<=[-_. ])){word}([0-9]+)(?=$|[-_. ])", re.IGNORECASE)
    for word in ("fold[-_=]?", "f")
)


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One output of the net: its name, and the names of its columns in order."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreprocessFlags:
    """What the user says of the preprocessing; None takes timm's data config, or the default.

    `input_range` is the scale of `mean` and `std`: pixels run from 0 to it, to 1 by default.
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

    `arch` is a timm name, or "pkg.mod:factory" for a function that takes `num_classes` and
    returns a torch module. `num_classes` is the number of classes of all heads together. A net
    with several heads returns a dict by head name, or a tuple in the order of `heads`.
    `family` and `fold` are None where the file's name tells them; see `family_and_fold`.
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
    batch: Batch = "any"


def family_and_fold(path: Path) -> tuple[str, int | None]:
    """Read the family and the fold off a file's name: "resnet-f0.pt" is ("resnet", 0).

    The fold is a part of its own between separators: f0, fold0, fold_0, fold-0 or fold=0. The
    family is the rest of the name, and empty for a name such as "fold0.ckpt".

    Raises:
        UsageError: the name holds several folds.
    """
    stem = path.name
    while (suffix := Path(stem).suffix).lower() in SUFFIXES:
        stem = stem.removesuffix(suffix)
    found = next((f for f in (list(p.finditer(stem)) for p in _FOLDS) if f), [])
    if not found:
        return stem, None
    if len(found) > 1:
        names = ", ".join(match[0] for match in found)
        raise UsageError(f"{path}: its name holds several folds: {names}. Give --family and --fold")
    start, end = found[0].span()
    family = stem[:start].rstrip(_SEPARATORS) + stem[end:].rstrip(_SEPARATORS)
    return family.lstrip(_SEPARATORS), int(found[0][1])
