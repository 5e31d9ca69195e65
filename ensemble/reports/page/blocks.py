"""What a page is made of: sections of tables, charts, pictures, facts and notes; all of it text.

Nothing here is HTML but the SVG of charts, which `svg` makes: the templates escape all else.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias

Tone: TypeAlias = Literal["", "right", "wrong", "muted", "label"]

_LONGEST: Final = 60
"""Characters of a name that are shown; the whole of a longer one is too much for a cell."""

_THIN: Final = "\u202f"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: its text, and `exact`, the number or numbers that it shows in full.

    `href` leads to a place in the page; `share`, 0 to 1, is drawn behind the text or beside it;
    `said` is what a screen reader says instead of the text.
    """

    text: str
    exact: str = ""
    href: str = ""
    share: float | None = None
    tone: Tone = ""
    said: str = ""


UNDEFINED: Final = Cell("-", tone="muted", said="not defined")
"""What stands where a number is not defined."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, the first of each its heading; a matrix is one whose cells are coloured."""

    kind: ClassVar[str] = "table"

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    matrix: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, as SVG that `svg` made, and what is to be said below it."""

    kind: ClassVar[str] = "chart"

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph; one that `warns` is told apart."""

    kind: ClassVar[str] = "note"

    text: str
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure with its name, and what stands below it."""

    name: str
    shown: Cell
    below: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Figures side by side."""

    kind: ClassVar[str] = "facts"

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """An image of a gallery: its id, what is said of it, a line each; `uri` is its picture.

    Without a picture `lacking` says why. `small` pictures are enlarged pixel by pixel.
    """

    id: str
    lines: tuple[Cell, ...]
    uri: str = ""
    lacking: str = ""
    width: int = 0
    height: int = 0
    small: bool = False


@dataclass(frozen=True, slots=True)
class Gallery:
    """Images under a heading that links lead to; `more` of them are not shown."""

    kind: ClassVar[str] = "gallery"

    title: str
    images: tuple[Shown, ...]
    anchor: str = ""
    more: int = 0
    text: str = ""
    back: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Small galleries side by side."""

    kind: ClassVar[str] = "group"

    galleries: tuple[Gallery, ...]


Block: TypeAlias = Table | Chart | Note | Facts | Gallery | Group


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading."""

    anchor: str
    title: str
    lead: str
    blocks: tuple[Block, ...]
    inner: tuple["Section", ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page: what it is of, its first figures, and its sections."""

    title: str
    about: str
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    colophon: tuple[str, ...] = field(default=())


def name_cell(name: str, *, href: str = "", tone: Tone = "label") -> Cell:
    """Return a name as a cell; see `shown_name`."""
    return Cell(shown_name(name), href=href, tone=tone)


def shown_name(name: str, most: int = _LONGEST) -> str:
    """Return a name as it is shown: what is odd in it spelled out, and a long one cut inside."""
    odd = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    text = "".join(odd)
    if len(text) <= most:
        return text
    head = most * 2 // 3
    return f"{text[:head]}…{text[head + 1 - most :]}"


def score_cell(value: float | None, digits: int = 4) -> Cell:
    """Return a number with so many decimals; what is not defined is a dash."""
    if value is None:
        return UNDEFINED
    text = f"{value:.{digits}f}"
    return Cell(text.removeprefix("-") if float(text) == 0 else text, repr(float(value)))


def count_cell(count: int, *, href: str = "", share: float | None = None) -> Cell:
    """Return a whole number, its thousands apart."""
    return Cell(f"{count:,}".replace(",", _THIN), str(count), href, share)


def interval_cell(interval: tuple[float, float] | None, digits: int = 4) -> Cell:
    """Return the two ends of an interval."""
    if interval is None:
        return Cell("too few rows", tone="muted")
    ends = " ".join(repr(float(end)) for end in interval)
    return Cell("{:.{d}f} to {:.{d}f}".format(*interval, d=digits), ends)
