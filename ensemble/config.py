"""Settings: read from ensemble.toml, checked, and resolved once into a frozen recipe.

Precedence: flag, environment (`ENSEMBLE_…`), ensemble.toml, default. The command line lets click
apply it; Python takes what it is given and reads no file that it is not told of.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal, get_args

from ensemble.errors import UsageError
from ensemble.spec import DecodePolicy, Merge, Voting
from ensemble.weights import Weights, to_json

FILE: Final = "ensemble.toml"
PREFIX: Final = "ENSEMBLE_"
VARIABLES: Final = ("ENSEMBLE_SUPERVISE", "ENSEMBLE_WATCH")
"""The environment variables that are read and are no setting of a recipe: the one list of them."""

_KEYS: Final = (
    "members", "images", "tta", "merge", "voting", "weights", "sample", "output", "out", "head",
    "id_from", "labels_as", "exif", "alpha", "max_pixels", "allow_truncated", "on_nan", "fill",
    "device", "batch_size", "shard_size", "memory", "threads", "store", "force",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a run needs to know. Complete: what is None means "none", not "ask".

    `weights` None weighs families alike. `output` "auto" is what the sample asks for, else labels
    where there are classes. `batch_size` "auto" lets a warm-up decide,
    `shard_size` 0 the memory budget; `memory` is the budget of decoded pixels;
    `threads` 0 takes the processors that the process may use.
    """

    members: tuple[str, ...]
    images: tuple[str, ...]
    tta: str = "none"
    merge: Merge = "mean"
    voting: Voting = "soft"
    weights: Weights | None = None
    sample: Path | None = None
    output: Literal["auto", "labels", "probs", "binary"] = "auto"
    out: Path | None = None
    head: str | None = None
    id_from: Literal["stem", "name", "path"] = "stem"
    labels_as: Literal["auto", "index", "name"] = "auto"
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    on_nan: Literal["fail", "drop-member"] = "fail"
    fill: str | None = None
    device: str = "auto"
    batch_size: int | Literal["auto"] = "auto"
    shard_size: int = 0
    memory: str = "1G"
    threads: int = 0
    store: Path = Path(".ensemble")
    force: bool = False


def check_recipe(recipe: Recipe) -> None:
    """Check the values that have a list or a range.

    Raises:
        UsageError: names the setting, what it may be and what it is.
    """
    choices = {
        "merge": get_args(Merge),
        "voting": get_args(Voting),
        "output": ("auto", "labels", "probs", "binary"),
        "id_from": ("stem", "name", "path"),
        "labels_as": ("auto", "index", "name"),
        "on_nan": ("fail", "drop-member"),
    }
    for name, known in choices.items():
        value = getattr(recipe, name)
        if value not in known:
            raise UsageError(f"{name} {value!r}: expected one of {', '.join(known)}")
    decode = {"exif": ("apply", "ignore"), "alpha": ("drop", "white", "black")}
    for name, known in decode.items():
        value = getattr(recipe.decode, name)
        if value not in known:
            raise UsageError(f"{name} {value!r}: expected one of {', '.join(known)}")
    sized = recipe.batch_size == "auto" or recipe.batch_size >= 1
    if not sized or recipe.shard_size < 0 or recipe.threads < 0:
        raise UsageError("batch_size is auto or at least 1; shard_size and threads are at least 0")
    bytes_of(recipe.memory)
    if recipe.decode.max_pixels < 1:
        raise UsageError(f"max_pixels is at least 1; found {recipe.decode.max_pixels}")


def bytes_of(text: str) -> int:
    """Read an amount of memory: bytes, or a number of K, M, G or T, of 1024 each.

    Raises:
        UsageError: it is neither, or nothing.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    amount = 0
    if found is not None:
        amount = int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))
    if not amount:
        raise UsageError(f"memory {text!r}: expected bytes, or a number of M or G such as 2G")
    return amount


def read_toml(path: Path) -> dict[str, object]:
    """Read a recipe file: settings by the names of the flags, with underscores.

    `[weights]` is a table of families. Relative paths are relative to the working directory, as
    on the command line.

    Raises:
        UsageError: the file is not TOML, or has an unknown key; suggests the nearest.
    """
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from error
    for key in settings:
        if key not in _KEYS:
            raise UsageError(f"{path}: unknown setting {key!r}; {_hint(key, _KEYS)}")
    return settings


def check_environment(names: Iterable[str]) -> None:
    """Check that every variable `ENSEMBLE_…` is one that is read.

    Raises:
        UsageError: one is not; suggests the nearest.
    """
    known = (*(f"{PREFIX}{key.upper()}" for key in _KEYS), *VARIABLES)
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known:
            raise UsageError(f"unknown environment variable {name}; {_hint(name, known)}")


def _hint(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


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
