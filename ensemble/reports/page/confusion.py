"""Which classes are taken for which: a matrix, or of many classes pairs; cells lead to images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ensemble.arrays import Indices, Vector
from ensemble.reports.page.blocks import (
    Block,
    Cell,
    Gallery,
    Group,
    Note,
    Shown,
    Table,
    Tone,
    count_cell,
    name_cell,
    shown_name,
)
from ensemble.reports.scorecard import Compared, Scorecard

WIDEST: Final = 20
"""With more classes a matrix cannot be read, and the most confused pairs are listed."""

PAIRS: Final = 40
"""The most pairs that are listed."""

PICTURES: Final = 420
"""The most images of all cells together; the cells of the most rows have theirs first."""

_SHORT: Final = 18


@dataclass(frozen=True, slots=True)
class Pair:
    """A cell: the classes, their rows (K,) with the surest first, and its anchor."""

    truth: int
    given: int
    rows: Indices
    anchor: str


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """The cells that hold rows, and how sure each row is, (N,); None where nobody knows."""

    card: Scorecard
    ids: tuple[str, ...]
    pairs: Mapping[tuple[int, int], Pair]
    sure: Vector | None
    prefix: str

    @property
    def shown(self) -> list[Pair]:
        """The cells that lead to images: all of a matrix, or the most confused pairs."""
        pairs = list(self.pairs.values())
        if len(self.card.classes) <= WIDEST:
            return pairs
        return [pair for pair in pairs if pair.truth != pair.given][:PAIRS]


def confusion_of(card: Scorecard, sure: Compared | None, prefix: str) -> Confusion | None:
    """Find the rows of each cell: those that are wrong first, then the cells of the most rows.

    Args:
        card: The scores of classes, with the rows that were compared.
        sure: Probabilities of the same ids, which say how sure each row is; None without any.
        prefix: What anchors begin with.
    """
    compared = card.compared
    if not card.counts.size or compared is None:
        return None
    classes, certain = len(card.classes), _sure_of(compared, sure)
    cells = np.asarray(compared.truth, np.int64) * classes + compared.given.argmax(1)
    first = np.arange(len(cells)) if certain is None else np.argsort(-certain, kind="stable")
    order = np.argsort(cells[first], kind="stable")
    found, starts = np.unique(cells[first][order], return_index=True)
    parts = np.split(first[order], starts[1:])
    made = []
    for cell, rows in zip(found.tolist(), parts, strict=True):
        truth, given = divmod(cell, classes)
        made.append(Pair(truth, given, rows, f"{prefix}cell-{truth}-{given}"))
    made.sort(key=lambda pair: (pair.truth == pair.given, -len(pair.rows), pair.truth, pair.given))
    pairs = {(pair.truth, pair.given): pair for pair in made}
    return Confusion(card, compared.ids, pairs, certain, prefix)


def confusion_blocks(found: Confusion) -> list[Block]:
    """Return the matrix, or of many classes the most confused pairs."""
    if len(found.card.classes) <= WIDEST:
        return [_matrix(found.card, found.pairs)]
    wrong = found.shown
    return [_listed(found, wrong)] if wrong else [Note("No row is wrong.")]


def cell_blocks(found: Confusion, most: int) -> list[Block]:
    """Return the images of the cells, at most so many of one: names alone beyond `PICTURES`."""
    left, galleries = PICTURES, []
    for pair in found.shown:
        right = pair.truth == pair.given
        count = min((most + 1) // 2 if right else most, left, len(pair.rows))
        left -= count
        truth, given = (shown_name(found.card.classes[c]) for c in (pair.truth, pair.given))
        images = tuple(Shown(found.ids[row], _told(found.sure, row))
                       for row in pair.rows[:count].tolist())  # fmt: skip
        title = f"{truth}, right" if right else f"{truth} as {given}"
        galleries.append(Gallery(title, images, pair.anchor, len(pair.rows) - count,
                                 back=f"#{found.prefix}confusion"))  # fmt: skip
    return [Group(tuple(galleries))] if galleries else []


def _sure_of(compared: Compared, sure: Compared | None) -> Vector | None:
    """Return how sure each row is, (N,), joined by id; None where nobody knows of all."""
    if sure is None:
        return None
    certain = dict(zip(sure.ids, sure.given.max(1).tolist(), strict=True))
    if not certain.keys() >= set(compared.ids):
        return None
    return np.array([certain[name] for name in compared.ids], np.float64)


def _matrix(card: Scorecard, pairs: Mapping[tuple[int, int], Pair]) -> Table:
    """Return the counts, each coloured by its share of the truth's row."""
    shares = card.counts / np.maximum(card.counts.sum(1, keepdims=True), 1)
    names = [shown_name(name, _SHORT) for name in card.classes]
    rows = []
    for t, name in enumerate(card.classes):
        cells = [name_cell(name)]
        for g in range(len(names)):
            cells.append(_cell(card, (t, g), float(shares[t, g]), pairs.get((t, g))))
        cells.append(count_cell(int(card.counts[t].sum())))
        rows.append(tuple(cells))
    caption = (
        "Confusion: the truth in rows, what is predicted in columns, coloured by the share of the "
        "row. Each number leads to its images"
    )
    return Table(caption, ("truth", *names, "all"), tuple(rows), matrix=True)


def _cell(card: Scorecard, at: tuple[int, int], share: float, pair: Pair | None) -> Cell:
    count = int(card.counts[at])
    if pair is None:
        return Cell("·", "0", tone="muted", said="0")
    tone: Tone = "right" if at[0] == at[1] else "wrong"
    truth, given = (shown_name(card.classes[place]) for place in at)
    said = f"{count} of {truth} predicted as {given}: see the images"
    return Cell(str(count), str(count), f"#{pair.anchor}", share, tone, said)


def _listed(found: Confusion, wrong: Sequence[Pair]) -> Table:
    card, rows = found.card, []
    for pair in wrong:
        count, whole = len(pair.rows), int(card.counts[pair.truth].sum())
        rows.append((name_cell(card.classes[pair.truth]), name_cell(card.classes[pair.given]),
                     count_cell(count, href=f"#{pair.anchor}", share=count / whole),
                     Cell(f"{100 * count / whole:.1f} %")))  # fmt: skip
    caption = (
        f"The {len(wrong)} most confused pairs of {len(card.classes)} classes; {len(found.pairs)} "
        f"cells of the matrix hold rows: `ensemble score --json` has all of it. Each number leads "
        f"to its images"
    )
    return Table(caption, ("truth", "predicted as", "rows", "of the truth"), tuple(rows))


def _told(sure: Vector | None, row: int) -> tuple[Cell, ...]:
    """Return what is said below an image: how sure the prediction is."""
    if sure is None:
        return ()
    return (Cell(f"{sure[row]:.3f}", repr(float(sure[row]))),)
