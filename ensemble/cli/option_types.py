"""What options are read as, where click has no type for it."""

import math
from typing import Literal

import click


def auto_or_number(value: str | int) -> int | Literal["auto"]:
    """Read a whole number from 1 on, or the word auto.

    Raises:
        click.BadParameter: it is neither.
    """
    if value == "auto":
        return "auto"
    if not str(value).isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{str(value)!r} is neither auto nor a whole number from 1 on.")
    return int(value)


class Equation(click.types.StringParamType):
    """An equation; a variable holds several with semicolons between them."""

    envvar_list_splitter = ";"


def off_or_evaluations(value: str | float) -> float | None:
    """Read a number of evaluations from 1 on, or the word off, which is None.

    Raises:
        click.BadParameter: it is neither.
    """
    if value == "off":
        return None
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 1 <= number < math.inf:
        raise click.BadParameter(f"{str(value)!r} is neither off nor a number from 1 on.")
    return number
