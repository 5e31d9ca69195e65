"""A submission written: each row's cells, in the sample's order and columns."""

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ensemble.arrays import Pooled
from ensemble.errors import ContractError, UsageError, few
from ensemble.files.csv_tables import csv_bytes
from ensemble.members.card import Head
from ensemble.records import TASKS
from ensemble.submission.rounding import number_texts
from ensemble.submission.sample import Sample
from ensemble.submission.tasks import filled_tasks


@dataclass(frozen=True, slots=True)
class Row:
    """The filling of a submission for one id: a label, or a probability for each class.

    `labels` are those of one cell, where it holds several; `tasks` are the cells of several tasks,
    by name.
    """

    label: str
    probs: Sequence[float]
    labels: tuple[str, ...] = ()
    tasks: Mapping[str, str] = field(default_factory=dict)


def render(sample: Sample, rows: Mapping[str, Row], classes: Sequence[str]) -> bytes:
    """Write a submission as CSV bytes, in the sample's order and columns.

    Args:
        sample: What is asked for.
        rows: A row for every id of the sample; more are an error.
        classes: The classes, in the order of `Row.probs`.

    Raises:
        ContractError: rows missing or left over, or a value that is not finite.
    """
    _check_rows(sample, rows)
    cells = _cells(sample, rows, classes)
    lines = _lines(sample, cells) if sample.pairs is None else _pair_lines(sample, cells)
    return csv_bytes([sample.header, *lines])


def _lines(sample: Sample, cells: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Yield a row an image; what is copied stands in the rows of the sample, in its order."""
    for row, name in enumerate(sample.ids):
        line = [*cells[name]]
        line.insert(sample.id_place, sample.written.get(name, name))
        for column in sample.copied:
            line.insert(column.place, column.cells[row])
        yield line


def _pair_lines(sample: Sample, cells: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Yield the rows of a melted sample, each with the value of its image and name."""
    pairs = sample.pairs
    if pairs is None:
        return
    place = {name: number for number, name in enumerate(sample.classes)}
    written = {sample.written.get(name, name): row for name, row in cells.items()}
    for (image, name), line in zip(pairs.rows, pairs.lines, strict=True):
        value = written[image][place[name]]
        yield [*line[: pairs.value], value, *line[pairs.value + 1 :]]


def fill_row(fill: str, sample: Sample, head: Head) -> Row:
    """Return the row that stands for an image without a prediction.

    Raises:
        UsageError: `fill` is no label of the head, or no number that its columns may hold.
    """
    if sample.kind == "tasks":
        return Row("", (), tasks=filled_tasks(fill, sample.tasks))
    if sample.kind in ("label", "list", "top"):
        return _filled_labels(fill, sample, head.classes)
    return _filled_numbers(fill, sample, head)


def _filled_labels(fill: str, sample: Sample, classes: Sequence[str]) -> Row:
    names = {str(number): name for number, name in enumerate(classes) if sample.index_labels}
    texts = [fill] if sample.kind == "label" else fill.split()
    labels = tuple(names.get(text, text) for text in texts)
    if not labels or not set(labels) <= set(classes):
        near = difflib.get_close_matches(fill, classes, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"they are {few(classes)}"
        raise UsageError(f"--fill {fill!r} is none of the {len(classes)} classes; {hint}")
    return Row(labels[0], (), labels)


def _filled_numbers(fill: str, sample: Sample, head: Head) -> Row:
    value = _number(fill)
    if TASKS[head.task].bounded and not 0 <= value <= 1:
        raise UsageError(f"--fill {fill!r}: a probability lies between 0 and 1")
    if sample.kind == "binary" and value not in (0, 1):
        raise UsageError(f"--fill {fill!r}: --output binary needs 0 or 1")
    return Row("", [value] * len(head.classes))


def _number(fill: str) -> float:
    try:
        value = float(fill)
    except ValueError as error:
        raise UsageError(f"--fill {fill!r}: a number is needed for probability columns") from error
    if not math.isfinite(value):
        raise UsageError(f"--fill {fill!r}: expected a finite number")
    return value


def _cells(sample: Sample, rows: Mapping[str, Row], classes: Sequence[str]) -> dict[str, list[str]]:
    """Return the cells of each id beside the id, in the order of the sample's columns."""
    if sample.kind == "tasks":
        return {n: [rows[n].tasks[task] for task in sample.classes] for n in sample.ids}
    if sample.kind in ("label", "list", "top"):
        number = {name: str(n) for n, name in enumerate(classes)}
        return {n: [_label_cell(rows[n], sample, number)] for n in sample.ids}
    place = {name: number for number, name in enumerate(classes)}
    order = [place[name] for name in sample.classes]
    return {n: _numbers(np.asarray(rows[n].probs, np.float64)[order], n, sample)
            for n in sample.ids}  # fmt: skip


def _label_cell(row: Row, sample: Sample, number: Mapping[str, str]) -> str:
    labels = [row.label] if sample.kind == "label" else row.labels
    return " ".join(number[label] if sample.index_labels else label for label in labels)


def _numbers(values: Pooled, name: str, sample: Sample) -> list[str]:
    if sample.kind == "binary":
        return [str(int(value)) for value in values.tolist()]
    return number_texts(values, name, sample.rounding)


def _check_rows(sample: Sample, rows: Mapping[str, Row]) -> None:
    missing = [i for i in sample.ids if i not in rows]
    if missing or len(rows) != len(sample.ids):
        raise ContractError(
            f"{len(sample.ids)} ids are asked for and {len(rows)} have a prediction; missing: "
            f"{few(missing) or 'none'}. Nothing was published"
        )
