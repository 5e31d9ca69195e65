"""Where settings come from: ensemble.toml and the environment."""

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.recipe.settings import TABLE

FILE: Final = "ensemble.toml"

PREFIX: Final = "ENSEMBLE_"

VARIABLES: Final = ("ENSEMBLE_SUPERVISE", "ENSEMBLE_WATCH")
"""The environment variables that are read and are no setting of a recipe: the one list of them."""

BESIDE: Final = ("label_col",)
"""The settings that are no setting of a run: where the labels of a table stand."""

_KEYS: Final = (*TABLE, *BESIDE)


def read_toml(path: Path) -> dict[str, object]:
    """Read a recipe file: settings by the names of the flags, with underscores.

    `[weights]` and `[tta]` are tables of families, `[constraints]` one of targets, `[tasks]` one of
    the label map's tasks. Relative paths are relative to the working directory, as on the command
    line.

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


def tta_text(given: object) -> str:
    """Return `--tta` as text, where it may be a mapping of families to policies.

    Raises:
        UsageError: a family whose name could not be told apart in the text, or no text.
    """
    if isinstance(given, str):
        return given
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"tta {given!r}: expected a policy such as flip, or one for each family")
    for family, policy in given.items():
        if not family or set(family) & {",", "="} or not isinstance(policy, str) or "=" in policy:
            raise UsageError(
                f"tta: {family!r} with views {policy!r}; expected the name of a family, without , "
                f"or =, and a policy such as flip"
            )
    return ",".join(f"{family}={policy}" for family, policy in given.items())


def tasks_text(given: object) -> str:
    """Return `--tasks` as text, where it may be a mapping, as `[tasks.…]` of a recipe file is.

    Raises:
        UsageError: it is neither, or holds what TOML cannot say.
    """
    if isinstance(given, str):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(f"tasks {given!r}: expected TOML, or a mapping of tasks")
    return "\n".join(f"{json.dumps(name)} = {_toml(told)}" for name, told in sorted(given.items()))


def _toml(value: object) -> str:
    """Write a value as inline TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return json.dumps(value)
    raise UsageError(f"tasks: {value!r} is no text, number, list or mapping")


def _hint(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
