"""The fields of JSON records, checked as they are read: the record may be anybody's text."""

import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from ensemble.errors import EnsembleError

Fault: TypeAlias = Callable[[str, str, object], EnsembleError]
"""Makes the error of a field: its name, what was expected there, and what was found."""

Choice = TypeVar("Choice")

LONGEST: Final = 500
"""The most characters of a text that names something."""

_SHOWN: Final = 80
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = _SHOWN


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object. Each reader gives the checked value of a field, or raises what `fault` makes.

    `at` is where the object stands in its record, and begins the names of its fields in errors:
    "" for the record itself, then "preprocess." for instance. A field that is not there is null.
    """

    record: Mapping[str, object]
    fault: Fault
    at: str = ""

    def bad(self, name: str, expected: str, found: object) -> EnsembleError:
        """Return the error of a field."""
        return self.fault(f"{self.at}{name}", expected, found)

    def where_empty(self, defaults: Mapping[str, object]) -> "Fields":
        """Return the fields with these values for those that say nothing: null, [], {} or ""."""
        empty = {k: v for k, v in defaults.items() if self.record.get(k) in (None, [], {}, "")}
        return Fields({**self.record, **empty}, self.fault, self.at)

    def only(self, known: Sequence[str]) -> None:
        """Check that there are no other fields than these."""
        for name in self.record:
            if name not in known:
                raise self.bad(name, f"no such field (known: {', '.join(known)})", name)

    def inner(self, name: str) -> "Fields":
        """Return the fields of an object."""
        return fields_of(self.record.get(name), f"{self.at}{name}", self.fault, f"{self.at}{name}.")

    def each(self, name: str) -> list["Fields"]:
        """Return the fields of each object of a list."""
        places = [f"{self.at}{name}[{place}]" for place in range(len(self.list(name)))]
        pairs = zip(self.list(name), places, strict=True)
        return [fields_of(value, place, self.fault, f"{place}.") for value, place in pairs]

    def list(self, name: str) -> list[object]:
        """Return a list of anything."""
        value = self.record.get(name)
        if not isinstance(value, list):
            raise self.bad(name, "a list", value)
        return value

    def text(self, name: str) -> str:
        """Return a printable text of 1 to `LONGEST` characters."""
        value = self.record.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST or not value.isprintable():
            raise self.bad(name, f"printable text of 1 to {LONGEST} characters", value)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, be they empty."""
        value = self.record.get(name)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.bad(name, "a list of texts", value)
        return tuple(value)

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice:
        """Return the one of these that a field holds."""
        value = self.record.get(name)
        for choice in choices:
            if choice == value:
                return choice
        raise self.bad(name, f"one of {', '.join(map(str, choices))}", value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.record.get(name)
        if not isinstance(value, bool):
            raise self.bad(name, "true or false", value)
        return value

    def whole(self, name: str, expected: str, least: int, most: int) -> int:
        """Return a whole number of a range; `expected` says it in the error."""
        value = self.record.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.bad(name, expected, value)
        return value

    def number(self, name: str) -> float:
        """Return a finite number."""
        return self._finite(name, self.record.get(name))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        value = self.record.get(name)
        if not isinstance(value, list):
            raise self.bad(name, "a list of numbers", value)
        return tuple(self._finite(name, number) for number in value)

    def table(self, name: str) -> tuple[tuple[float, ...], ...]:
        """Return a list of lists of finite numbers."""
        rows = [Fields({name: row}, self.fault, self.at) for row in self.list(name)]
        return tuple(row.numbers(name) for row in rows)

    def _finite(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.bad(name, "a number", value)
        if not abs(value) <= sys.float_info.max:  # as it is: a huge integer is no float at all
            raise self.bad(name, "a finite number", value)
        return float(value)


def fields_of(record: object, name: str, fault: Fault, at: str = "") -> Fields:
    """Return the fields of what should be an object; `name` is its own in the error.

    Raises:
        EnsembleError: it is none; which error `fault` says.
    """
    if not isinstance(record, dict):
        raise fault(name, "an object", record)
    return Fields(record, fault, at)


def shown(found: object) -> str:
    """Show a value in a message, cut short: it may be long, or deep."""
    text = _SHORT.repr(found)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
