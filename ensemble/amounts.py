"""Amounts as people write them: `0.5%`, `2h30m`, `2G`."""

import re
from typing import Final

from ensemble.errors import UsageError

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}
_PARTS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([hms])")


def share_of(text: str, what: str) -> float:
    """Read a share between 0 and 1: `0.5%` or `0.005`; `what` is for messages.

    Raises:
        UsageError: it is no such number.
    """
    percent = text.strip().endswith("%")
    try:
        value = float(text.strip().removesuffix("%")) / (100 if percent else 1)
    except ValueError as error:
        raise UsageError(f"{what} {text!r}: expected a share such as 0.5% or 0.005") from error
    if not 0 < value < 1:
        raise UsageError(f"{what} {text!r}: expected more than 0% and less than 100%")
    return value


def seconds_of(text: str, what: str) -> float:
    """Read a time such as `2h30m`, `90m` or `45s`, in seconds; `what` is for messages.

    Raises:
        UsageError: it is none.
    """
    plain = text.strip().lower()
    parts = _PARTS.findall(plain)
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if _PARTS.sub("", plain).strip() or not total:
        raise UsageError(f"{what} {text!r}: expected a time such as 2h30m, 90m or 45s")
    return total


def bytes_of(text: str, what: str) -> int:
    """Read an amount of memory: bytes, or a number of K, M, G or T; `what` is for messages.

    A K is 1024.

    Raises:
        UsageError: it is neither, or nothing.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    amount = 0
    if found is not None:
        amount = int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))
    if not amount:
        raise UsageError(f"{what} {text!r}: expected bytes, or a number of M or G such as 2G")
    return amount
