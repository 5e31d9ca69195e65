"""Drawings as SVG by hand: elements whose text is escaped, and scales from values to places.

Colours are classes that the page's style knows, so that a drawing is light or dark as the page is.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where values from `low` to `high` stand: at `start` to `end`, in units of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value; values beyond the ends stand at them."""
        reach = self.high - self.low
        share = (value - self.low) / reach if reach else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Return about so many round numbers between the ends."""
        reach = self.high - self.low
        if not (reach > 0 and math.isfinite(reach)):
            return [self.low]
        rough = reach / about
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * s for s in _STEPS if size * s >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(n * step, 12) for n in range(first, last + 1)]


def scale_of(values: Iterable[float], start: float, end: float, margin: float = 0.06) -> Scale:
    """Return a scale that holds these values, with a margin at both ends."""
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    room = (high - low) * margin or abs(high) * margin or 1.0
    return Scale(low - room, high + room, start, end)


def drawing(width: int, height: int, about: str, parts: Iterable[str]) -> str:
    """Return a whole drawing; `about` is what a screen reader says of it."""
    inside = "".join(parts)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(about)}">{inside}</svg>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Draw a line; `kind` is its class."""
    return f'<line x1="{_at(x1)}" y1="{_at(y1)}" x2="{_at(x2)}" y2="{_at(y2)}" class="{kind}"/>'


def dot(x: float, y: float, kind: str, radius: float = 4.5, about: str = "") -> str:
    """Draw a dot; `about` is shown where a pointer rests on it."""
    return (
        f'<circle cx="{_at(x)}" cy="{_at(y)}" r="{_at(radius)}" class="{kind}">{_title(about)}'
        f"</circle>"
    )


def bar(x: float, y: float, width: float, height: float, about: str) -> str:
    """Draw a bar from its left upper corner; `about` is shown where a pointer rests on it."""
    sides = f'width="{_at(max(width, 0.0))}" height="{_at(max(height, 0.0))}"'
    return f'<rect x="{_at(x)}" y="{_at(y)}" {sides} class="bar">{_title(about)}</rect>'


def shade(x: float, y: float, width: float, height: float, share: float) -> str:
    """Draw a rectangle of a density, 0 to 1."""
    sides = f'width="{_at(width)}" height="{_at(height)}"'
    return f'<rect x="{_at(x)}" y="{_at(y)}" {sides} class="dense" opacity="{share:.2f}"/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Draw a line through points."""
    places = " ".join(f"{_at(x)},{_at(y)}" for x, y in points)
    return f'<polyline points="{places}" class="{kind}"/>'


def words(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    """Write a text, its start, middle or end at a place."""
    own = f' class="{kind}"' if kind else ""
    return f'<text x="{_at(x)}" y="{_at(y)}" text-anchor="{anchor}"{own}>{html.escape(text)}</text>'


def turned(x: float, y: float, text: str) -> str:
    """Write a text upwards, its middle at a place."""
    place = f"{_at(x)} {_at(y)}"
    return (
        f'<text transform="translate({place}) rotate(-90)" text-anchor="middle" class="muted">'
        f"{html.escape(text)}</text>"
    )


def plain(value: float) -> str:
    """Write a number of an axis."""
    return f"{value:.6g}"


def _title(about: str) -> str:
    return f"<title>{html.escape(about)}</title>" if about else ""


def _at(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")
