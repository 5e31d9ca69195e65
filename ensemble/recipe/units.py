"""Amounts as people write them: `0.5%`, `2h30m`, `2G`."""

import re
from typing import Final

from ensemble.errors import UsageError

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0}
_MOMENTS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_PARTS: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([hms])")


def share_of(text: str, what: str, such: str = "a share such as 0.5%") -> float:
    """Read a share between 0% and 100%, as `percent_of` does.

    Raises:
        UsageError: it is no such share.
    """
    value = percent_of(text, what, such)
    if not 0 < value < 1:
        raise UsageError(f"{what} {text!r}: expected {such}, more than 0% and less than 100%")
    return value


def percent_of(text: str, what: str, such: str = "a share such as 0.5%") -> float:
    """Read a share from 0% to 100%; `what` and what was expected, `such`, are for messages.

    A number without a percent sign may mean either, so it is none.

    Raises:
        UsageError: it is none; suggests what may have been meant.
    """
    plain = text.strip()
    value = _number(plain.removesuffix("%")) if plain.endswith("%") else None
    if value is None:
        raise UsageError(f"{what} {text!r}: expected {such}{_meant(plain)}")
    if not 0 <= value <= 100:  # nan too
        raise UsageError(f"{what} {text!r}: expected {such}, from 0% to 100%")
    return value / 100


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _meant(text: str) -> str:
    """Suggest the shares that a text without a percent sign, or with odd ones, may stand for."""
    value = _number(text.rstrip("%").replace(",", "."))
    if value is None:
        return ""
    readings = [100 * value, value] if value < 1 and "%" not in text else [value]
    shares = [f"{percent:g}%" for percent in readings if 0 < percent < 100]
    return f"; did you mean {' or '.join(shares)}?" if shares else ""


def seconds_of(text: str, what: str) -> float:
    """Read a time such as `2h30m`, `90m` or `45s`, in seconds; `what` is for messages.

    Raises:
        UsageError: it is none.
    """
    plain = text.strip().lower()
    parts = _PARTS.findall(plain)
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if _PARTS.sub("", plain).strip() or not total:
        bare = f"; did you mean {plain}s or {plain}m?" if plain.isdecimal() and int(plain) else ""
        raise UsageError(f"{what} {text!r}: expected a time such as 2h30m, 90m or 45s{bare}")
    return total


def moment_of(text: str, what: str) -> float:
    """Read a short time such as `5ms`, `800us` or `0.2s`, in seconds; `what` is for messages.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(us|ms|s)", text.strip().lower())
    if found is None:
        bare = text.strip()
        hint = f"; did you mean {bare}ms?" if _number(bare) is not None else ""
        raise UsageError(f"{what} {text!r}: expected a time such as 5ms, 800us or 0.2s{hint}")
    return float(found[1]) * _MOMENTS[found[2]]


def bytes_of(text: str, what: str) -> int:
    """Read an amount of memory: bytes, or a number of K, M, G or T; `what` is for messages.

    A K is 1024.

    Raises:
        UsageError: it is neither, or nothing.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    amount = 0
    if found is not None:
        amount = int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))
    if not amount:
        raise UsageError(f"{what} {text!r}: expected bytes, or a number of M or G such as 2G")
    return amount
