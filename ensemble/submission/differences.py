"""What tells a run from the one that a folder holds already, in the words of the flags."""

import json
from collections.abc import Mapping
from typing import Final

from ensemble.recipe.settings import TABLE, Settings, named, settings_of

_SHOWN: Final = 3
_SHORT: Final = 60


def differences(recorded: Mapping[str, object], settings: Settings) -> str:
    """Say which settings of a recorded run are other ones: "was made with --tta hflip; …".

    Args:
        recorded: The settings that run.json has, by name; what it lacks has its default.
        settings: Those of the run that is to be made.

    Returns:
        Words that follow the name of the folder; at most three settings are told by name.
    """
    now = json.loads(json.dumps(settings_of(settings), ensure_ascii=False))
    beside = named("beside")
    before = {name: recorded.get(name, row.default) for name, row in TABLE.items()}
    other = [name for name in now if name not in beside and _plain(before[name]) != now[name]]
    if not other:
        return "holds a vote on other predictions, or a run of another version"
    more = f" and {len(other) - _SHOWN} more" * (len(other) > _SHOWN)
    was, has = [], []
    for name in other[:_SHOWN]:
        old, new = _written(name, before[name]), _written(name, now[name])
        readable = max(len(old), len(new)) <= _SHORT
        was.append(old if readable else f"other {_flag(name)}")
        has += [new] * readable
    told = f"; this run has {', '.join(has)}" if has else ""
    return f"was made with {', '.join(was)}{more}{told}"


def _written(name: str, value: object) -> str:
    """Write a setting as a flag; what is off, or not given, is without it."""
    if value is None or value is False:
        return f"no {_flag(name)}"
    if value is True:
        return _flag(name)
    if isinstance(value, Mapping):
        told = value.get("weights", {})
        value = ",".join(f"{key}={number}" for key, number in told.items()) or "…"
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return f"{_flag(name)} {value}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _plain(value: object) -> object:
    """Return a value as JSON has it."""
    return json.loads(json.dumps(value, default=str))
