"""Where the settings of a command are from: typed, the environment, ensemble.toml or a default."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from ensemble.recipe.sources import FILE
from ensemble.recipe.track import without_secret

_NO_SETTINGS: Final = ("as_json", "dry_run", "show_config")


def settings_with_origin() -> list[dict[str, object]]:
    """Return each setting of the command that runs: its name, its value, and where it is from."""
    context = click.get_current_context()
    return [
        {"setting": param.name, "value": _plain(context.params[param.name]),
         "origin": _origin(context, param)}
        for param in context.command.params
        if param.name in context.params and param.name not in _NO_SETTINGS
    ]  # fmt: skip


def is_typed(name: str) -> bool:
    """Whether a setting was typed; the environment, ensemble.toml and defaults give way."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def typed_flags(names: Sequence[str]) -> list[str]:
    """Return those of the settings that were typed, as they are written on the command line."""
    typed = [p for p in click.get_current_context().command.params
             if p.name in names and is_typed(str(p.name))]  # fmt: skip
    return [p.opts[0] if isinstance(p, click.Option) else p.human_readable_name for p in typed]


def _origin(context: click.Context, param: click.Parameter) -> str:
    source = context.get_parameter_source(str(param.name))
    named = {
        ParameterSource.COMMANDLINE: param.opts[0],
        ParameterSource.ENVIRONMENT: str(param.envvar),
        ParameterSource.DEFAULT_MAP: FILE,
    }
    return named.get(source, "default") if source else "default"


def tell_origin(error: click.ClickException) -> None:
    """Make an error of click name the variable or the file that a bad value is from."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return
    origin = _origin(error.ctx, error.param)
    if origin == FILE:
        error.param_hint = f"'{error.param.name}' of {FILE}"
    elif origin == error.param.envvar:
        error.param_hint = origin


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return without_secret(str(value)) if isinstance(value, str | Path) else value
