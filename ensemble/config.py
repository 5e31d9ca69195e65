"""Settings: read from ensemble.toml, checked, and resolved once into a frozen recipe.

Precedence: flag, environment (`ENSEMBLE_…`), ensemble.toml, default. The command line lets click
apply it; Python takes what it is given and reads no file that it is not told of.
"""

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal, get_args

from ensemble.errors import UsageError
from ensemble.spec import DecodePolicy, Merge, Voting

FILE: Final = "ensemble.toml"
_KEYS: Final = (
    "members", "images", "tta", "merge", "voting", "weights", "sample", "output", "out", "head",
    "id_from", "labels_as", "exif", "alpha", "max_pixels", "allow_truncated", "on_nan", "fill",
    "device", "batch_size", "shard_size", "threads", "store", "force",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a run needs to know. Complete: what is None means "none", not "ask".

    `weights` is by family; None weighs families alike. `shard_size` 0 lets the memory budget
    decide; `threads` 0 takes the processors that the process may use.
    """

    members: tuple[str, ...]
    images: tuple[str, ...]
    tta: str = "none"
    merge: Merge = "mean"
    voting: Voting = "soft"
    weights: Mapping[str, float] | None = None
    sample: Path | None = None
    output: Literal["labels", "probs"] = "labels"
    out: Path | None = None
    head: str | None = None
    id_from: Literal["stem", "name", "path"] = "stem"
    labels_as: Literal["auto", "index", "name"] = "auto"
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    on_nan: Literal["fail", "drop-member"] = "fail"
    fill: str | None = None
    device: str = "auto"
    batch_size: int = 32
    shard_size: int = 0
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
        "output": ("labels", "probs"),
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
    if recipe.batch_size < 1 or recipe.shard_size < 0 or recipe.threads < 0:
        raise UsageError("batch_size is at least 1; shard_size and threads are at least 0")
    if recipe.decode.max_pixels < 1:
        raise UsageError(f"max_pixels is at least 1; found {recipe.decode.max_pixels}")


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
            near = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KEYS)}"
            raise UsageError(f"{path}: unknown setting {key!r}; {hint}")
    return settings


def parse_weights(text: str) -> dict[str, float] | Path:
    """Read `family=0.6,other=0.4` into weights; anything without "=" is the path of a file.

    Raises:
        UsageError: a part that is not family=number, or a family twice.
    """
    if "=" not in text:
        return Path(text)
    weights: dict[str, float] = {}
    for part in text.split(","):
        family, _, number = part.rpartition("=")
        family = family.strip()
        try:
            value = float(number)
        except ValueError as error:
            raise UsageError(f"weights: {part!r} is not family=number") from error
        if not family or family in weights:
            raise UsageError(f"weights: family {family!r} is empty or stands there twice")
        weights[family] = value
    return weights


def read_weights(path: Path, record: object) -> dict[str, float]:
    """Read the weights of a weights.json record.

    Raises:
        UsageError: no weights, or a pool, temperature or decision that this version cannot apply.
    """
    if not isinstance(record, dict) or not isinstance(record.get("weights"), dict):
        raise UsageError(f"{path}: expected an object with `weights` by family")
    decision = record.get("decision") or {}
    if not isinstance(decision, dict):
        raise UsageError(f"{path}: decision: expected an object, found {decision!r}")
    more = {
        "pool": record.get("pool", "linear") != "linear",
        "temperature": record.get("temperature", 1.0) != 1.0,
        "decision": any(v not in (None, 0, 0.0) for k, v in decision.items() if k != "prior"),
    }
    beyond = [name for name, found in more.items() if found]
    if beyond:
        raise UsageError(f"{path}: this version cannot apply its {', '.join(beyond)}")
    weights: dict[str, float] = {}
    for family, value in record["weights"].items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{path}: weight of {family!r}: expected a number, found {value!r}")
        weights[family] = float(value)
    return weights


def settings_of(recipe: Recipe) -> dict[str, object]:
    """Return a recipe as JSON-ready values, for run.json."""
    record: dict[str, object] = {}
    for entry in fields(recipe):
        value = getattr(recipe, entry.name)
        if isinstance(value, DecodePolicy):
            record |= {f.name: getattr(value, f.name) for f in fields(value)}
        elif isinstance(value, Path):
            record[entry.name] = str(value)
        else:
            record[entry.name] = value
    return record


def read_weights_file(path: Path) -> dict[str, float]:
    """Read weights.json; see `read_weights`.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot read the weights: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    return read_weights(path, record)
