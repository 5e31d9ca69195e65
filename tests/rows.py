"""Submissions written from a few rows, a slice at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ensemble.files.spool import spooled
from ensemble.recipe.resolve import Recipe
from ensemble.submission.cells import Filling, cells_of
from ensemble.submission.lines import lines_of
from ensemble.submission.rows import VoteInput
from ensemble.submission.sample import Sample
from ensemble.submission.staging import staged


@dataclass
class Row:
    """What fills a row."""

    label: str
    probs: Sequence[float] = ()
    labels: tuple[str, ...] = ()
    tasks: Mapping[str, str] = field(default_factory=dict)


def render(sample: Sample, rows: Mapping[str, Row], classes: Sequence[str], size: int = 1) -> bytes:
    """The CSV of rows by their ids, taken so many at a time."""
    ids = list(rows)
    with spooled(Path("s.csv")) as sink:
        with lines_of(sample, ids, (), [], sink) as lines:
            for start in range(0, len(ids), size):
                some = ids[start : start + size]
                own = [rows[name] for name in some]
                filling = Filling(
                    some,
                    [row.label for row in own],
                    np.array([row.probs for row in own]),
                    [row.labels for row in own],
                    [row.tasks for row in own],
                )
                lines.add(cells_of(sample, filling, classes))
            lines.finish()
        return sink.piece(0, sink.tell())


def submission(recipe: Recipe, voted: VoteInput) -> bytes | None:
    """The bytes of submission.csv; None where there is none."""
    with staged(recipe, Path(), voted, keep=False) as made:
        return None if made.csv is None else made.csv.piece(0, made.csv.tell())
