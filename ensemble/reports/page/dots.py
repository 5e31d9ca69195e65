"""A chart of scores on one scale: a line each, a dot and its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ensemble.evaluation.bootstrap import Interval
from ensemble.reports.page.blocks import shown_name
from ensemble.reports.page.svg import Scale, dot, drawing, line, plain, scale_of, words

Kind: TypeAlias = Literal["dot", "dot ours", "dot faint"]

_WIDTH: Final = 640
_LETTER: Final = 7.4
"""About how wide a letter is."""

_NUMBERS: Final = 84.0
_ROW: Final = 30
_TOP: Final = 12.0
_AXIS: Final = 44
_LETTERS: Final = 28


@dataclass(frozen=True, slots=True)
class Scored:
    """A line: its name, its score, its interval where there is one, and how it is drawn."""

    name: str
    score: float
    interval: Interval | None = None
    kind: Kind = "dot"


def dot_chart(lines: Sequence[Scored], about: str, *, zero: bool = False) -> str:
    """Draw scores below one another; with `zero` a line stands where nothing is gained."""
    ends = [value for each in lines for value in (each.score, *(each.interval or ()))]
    longest = max(len(shown_name(each.name, _LETTERS)) for each in lines)
    start = 28 + _LETTER * longest
    scale = scale_of([*ends, *([0.0] if zero else [])], start, _WIDTH - _NUMBERS)
    foot = _TOP + _ROW * len(lines)
    parts = [*_grid(scale, foot)]
    if zero:
        parts.append(line(scale(0), _TOP, scale(0), foot, "zero"))
    for row, each in enumerate(lines):
        parts += _line(scale, each, _TOP + _ROW * (row + 0.5))
    return drawing(_WIDTH, round(foot) + _AXIS, about, parts)


def _grid(scale: Scale, foot: float) -> list[str]:
    parts = []
    for tick in scale.ticks():
        parts += [line(scale(tick), _TOP, scale(tick), foot, "grid"),
                  words(scale(tick), foot + 20, plain(tick), "middle", "muted")]  # fmt: skip
    return parts


def _line(scale: Scale, each: Scored, y: float) -> list[str]:
    parts = [words(scale.start - 14, y + 4, shown_name(each.name, _LETTERS), "end")]
    if each.interval is not None:
        parts.append(line(scale(each.interval[0]), y, scale(each.interval[1]), y, "interval"))
    parts.append(dot(scale(each.score), y, each.kind, 5.5))
    parts.append(words(_WIDTH - _NUMBERS + 14, y + 4, f"{each.score:.4f}", kind="number"))
    return parts
