"""The frame of a chart: two scales, their lines and numbers, and what they are called."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ensemble.reports.page.svg import Scale, drawing, line, plain, turned, words

WIDTH: Final = 520
HEIGHT: Final = 340
LEFT: Final = 64.0
RIGHT: Final = 16.0
TOP: Final = 14.0
BOTTOM: Final = 46.0


@dataclass(frozen=True, slots=True)
class Axes:
    """The scales of a chart, and what they are called."""

    across: Scale
    up: Scale
    across_name: str
    up_name: str

    @property
    def frame(self) -> list[str]:
        """The lines and numbers of both scales, and their names."""
        left, right, low, high = self.across.start, self.across.end, self.up.start, self.up.end
        parts = []
        for tick in self.up.ticks():
            y = self.up(tick)
            parts += [line(left, y, right, y, "grid"),
                      words(left - 8, y + 4, plain(tick), "end", "muted")]  # fmt: skip
        for tick in self.across.ticks():
            x = self.across(tick)
            parts += [line(x, low, x, high, "grid"),
                      words(x, low + 18, plain(tick), "middle", "muted")]  # fmt: skip
        parts.append(line(left, low, right, low, "axis"))
        parts.append(words((left + right) / 2, low + 38, self.across_name, "middle", "muted"))
        parts.append(turned(14, (low + high) / 2, self.up_name))
        return parts


def spread_over(
    width: int = WIDTH, height: int = HEIGHT
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the scales of a chart begin and end: across, and up from below."""
    return (LEFT, width - RIGHT), (height - BOTTOM, TOP)


def chart(axes: Axes, about: str, parts: Iterable[str], width: int = WIDTH) -> str:
    """Return a chart of such a width: the frame, and what is drawn in it."""
    return drawing(width, round(axes.up.start + BOTTOM), about, [*axes.frame, *parts])
