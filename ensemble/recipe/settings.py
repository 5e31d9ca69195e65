"""Settings: read from ensemble.toml, checked, and resolved once into a frozen recipe.

Precedence: flag, environment (`ENSEMBLE_…`), ensemble.toml, default. The command line lets click
apply it; Python takes what it is given and reads no file that it is not told of.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal

from ensemble.records import (
    DecodePolicy,
    IdFrom,
    LabelsAs,
    Merge,
    OnNan,
    Output,
    Precision,
    Voting,
)
from ensemble.voting.weights import Weights, to_json

PREDICTED: Final = ("members", "images", "tta", "merge", "id_from", "on_nan", "precision")
"""The settings that a vote on an earlier run takes from it: they made its predictions."""
KEPT: Final = ("voting", "weights", "sample", "output", "labels_as", "store")
"""The settings that a vote takes from the run where it is not told otherwise."""
BESIDE: Final = ("out", "force", "fill", "threads", "batch_size", "shard_size", "memory",
           "store")  # fmt: skip

CONFIDENCE: Final = "95%"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a run needs to know. Complete: what is None means "none", not "ask".

    `weights` None weighs families alike. `output` "auto" is what the sample asks for, else labels
    where there are classes. `batch_size` "auto" lets a warm-up decide, `shard_size` 0 the memory
    budget; `memory` is the budget of decoded pixels; `threads` 0 takes the processors that the
    process may use. `early_exit` is "off", "lossless" or a share of the labels such as "0.5%"; see
    `saving_of`.
    """

    members: tuple[str, ...]
    images: tuple[str, ...]
    tta: str = "none"
    merge: Merge = "mean"
    voting: Voting = "soft"
    weights: Weights | None = None
    sample: Path | None = None
    output: Output = "auto"
    out: Path | None = None
    head: str | None = None
    id_from: IdFrom = "stem"
    labels_as: LabelsAs = "auto"
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    on_nan: OnNan = "fail"
    fill: str | None = None
    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: int | Literal["auto"] = "auto"
    shard_size: int = 0
    memory: str = "1G"
    threads: int = 0
    store: Path = Path(".ensemble")
    force: bool = False
    early_exit: str = "off"
    confidence: str = CONFIDENCE
    calibration: int = 0
    time_budget: str | None = None
    evals_per_image: float | None = None


def settings_of(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as JSON-ready values, for run.json."""
    record: dict[str, object] = {}
    for entry in fields(recipe):
        value = getattr(recipe, entry.name)
        if isinstance(value, DecodePolicy):
            record |= {f.name: getattr(value, f.name) for f in fields(value)}
        elif isinstance(value, Weights):
            record[entry.name] = to_json(value)
        elif isinstance(value, Path):
            record[entry.name] = str(value)
        else:
            record[entry.name] = value
    return record
