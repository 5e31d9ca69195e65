"""A checkpoint's weights in their net, and what a card says of where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ensemble.export.checkpoints import load_checkpoint
from ensemble.export.nets import build
from ensemble.export.spec import ExportSpec
from ensemble.export.weights import load_weights
from ensemble.records import Preprocess


@dataclass(frozen=True, slots=True)
class LoadedNet:
    """A net with its weights, in float32 and evaluation mode, and how its images are prepared.

    Complaints name `checkpoint`. `source` is for the card, `stripped` the prefix that its weights
    had, and `notes` is what the user should know of how they were found.
    """

    checkpoint: Path
    net: nn.Module
    preprocess: Preprocess
    source: Mapping[str, str | float]
    stripped: str = ""
    notes: tuple[str, ...] = ()


def load_net(checkpoint: Path, spec: ExportSpec) -> LoadedNet:
    """Build the net of `spec`, and load a checkpoint into it.

    Raises:
        UsageError: the architecture is unknown or cannot be built, or flags are missing.
        MemberError: the checkpoint is not usable, or does not fit the net.
    """
    built = build(spec)
    trusted = checkpoint.resolve() in {path.resolve() for path in spec.trust_pickle}
    loaded = load_checkpoint(
        checkpoint, ema=spec.ema, trust_pickle=trusted, key=spec.key, drop=spec.drop
    )
    placed = load_weights(built.net, loaded, checkpoint, spec)
    source = dict(built.source) | _origin(checkpoint, spec, loaded.sha256)
    source |= {"stripped_prefix": placed.stripped} if placed.stripped else {}
    source |= {"trusted_pickle": "yes"} if trusted else {}
    notes = (*built.notes, *loaded.notes, *placed.notes)
    net = built.net.float().eval()
    return LoadedNet(checkpoint, net, built.preprocess, source, placed.stripped, notes)


def _origin(checkpoint: Path, spec: ExportSpec, sha256: str) -> dict[str, str | float]:
    """Say on the card which weights of which file these are."""
    source: dict[str, str | float] = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": sha256,
    }
    source |= {"weights": "ema"} if spec.ema else {}
    source |= {"key": spec.key} if spec.key else {}
    return source | ({"dropped": " ".join(spec.drop)} if spec.drop else {})
