"""`--track`: the trackers that record what is done, and where each of them does."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ensemble.errors import UsageError

PACKAGES: Final[Mapping[str, str]] = {
    "mlflow": "mlflow",
    "wandb": "wandb",
    "tensorboard": "tensorboardX",
}
"""The trackers that there are, each the extra of its name, and the package that it needs."""

OFF: Final = "off"


@dataclass(frozen=True, slots=True)
class Track:
    """A tracker, and where it records: a URI, a project or a folder; "" is its own default."""

    name: str
    where: str = ""


def without_secret(text: str) -> str:
    """Return a text without the user and password of an address, or of a path made of one."""
    return re.sub(r"(:/+)\S*@", r"\1…@", text)


def tracks_of(texts: Sequence[str]) -> tuple[Track, ...]:
    """Read trackers, as `mlflow`, `tensorboard=runs`, several in a text with commas, or `off`.

    Raises:
        UsageError: there is no such tracker, or it stands there twice.
    """
    parts = [part.strip() for text in texts for part in text.split(",")]
    if parts == [OFF]:
        return ()
    found: dict[str, Track] = {}
    for part in parts:
        name, _, where = part.partition("=")
        if name not in PACKAGES:
            near = difflib.get_close_matches(name, PACKAGES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(
                f"track {name!r}: expected {', '.join(PACKAGES)}, each with =WHERE or without, or "
                f"{OFF} alone{hint}"
            )
        if name in found:
            raise UsageError(f"track: {name} stands there twice; name it once")
        found[name] = Track(name, where)
    return tuple(found.values())
