"""The sample, and the submission: ids, order, columns and dtypes exactly as asked.

Ids are text, byte for byte: `007`, `NA` and `1e5` stay what they are. Rows are joined by id.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.errors import ContractError, UsageError, few
from ensemble.files.columns import submitted_id
from ensemble.files.csv_tables import by_id, csv_bytes, read_lines
from ensemble.files.ids import counterparts
from ensemble.files.text_table import TableSource
from ensemble.members.card import Head
from ensemble.progress import Listener
from ensemble.recipe.resolve import Recipe
from ensemble.records import TASKS, LabelsAs
from ensemble.submission.forms import Form, Kind, Wanted, check_whole, cuts_of, form_of_column


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample submission: the header, the ids in order, and what the other columns ask for.

    `kind` is "label" (one column), "probs" (a column a class, or one of a class of two), "binary"
    (such columns, of 0 and 1), "list" (the labels that are given, in one cell) or "top" (the best
    `top` of them, the best first). `index_labels` tells whether labels are written as class
    indices; `id_place` is the place of the id among the columns. `of` are the classes of the
    columns, where these are called otherwise; `written` are ids that are written otherwise than the
    images' own; `rounding` is how values are written, see `forms.Wanted`.
    """

    id_column: str
    ids: tuple[str, ...]
    kind: Kind
    columns: tuple[str, ...]
    index_labels: bool
    id_place: int = 0
    of: tuple[str, ...] = ()
    top: int = 0
    written: Mapping[str, str] = field(default_factory=dict)
    rounding: str = "off"

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the columns of numbers."""
        return self.of or self.columns


@dataclass(frozen=True, slots=True)
class Row:
    """The filling of a submission for one id: a label, or a probability for each class.

    `labels` are those of one cell, where it holds several.
    """

    label: str
    probs: Sequence[float]
    labels: tuple[str, ...] = ()


def read_sample(
    path: TableSource,
    classes: Sequence[str],
    labels_as: LabelsAs = "auto",
    *,
    id_column: str | None = None,
    known: Collection[str] = (),
    wanted: Wanted | None = None,
) -> Sample:
    """Read a sample submission, and what it asks for.

    The id is `id_column`, the column `id`, the one that holds the ids that are `known`, or the
    first. One more column is told by its cells, see `forms.form_of_column`; columns that are
    one-to-one with the classes are probabilities.

    Raises:
        UsageError: anything else; names the line or column.
    """
    header, body = read_lines(path)
    if not body:
        raise UsageError(f"{path}: the sample has a header and no rows")
    wanted = wanted or Wanted(labels_as=labels_as)
    rows = [row.cells for row in body]
    place = header.index(submitted_id(path, header, rows, said=id_column, known=known))
    ids, columns = tuple(by_id(path, body, place)), (*header[:place], *header[place + 1 :])
    cells = [(*row[:place], *row[place + 1 :]) for row in rows]
    if len(columns) == 1 and columns != tuple(classes):
        where, texts = f"{path}, column {columns[0]!r}", [row[0] for row in cells]
        form = form_of_column(where, columns[0], texts, classes, wanted)
    else:
        _check_columns(path, columns, classes)
        form = Form("probs", columns)
    rounding = _rounding_of(path, cells, wanted)
    return Sample(
        header[place], ids, form.kind, columns, form.index_labels, place, form.of, form.top,
        rounding=rounding,
    )  # fmt: skip


def _check_columns(path: TableSource, columns: Sequence[str], classes: Sequence[str]) -> None:
    """Check that columns are one-to-one with the classes."""
    missing, unknown = sorted(set(classes) - set(columns)), sorted(set(columns) - set(classes))
    if missing or unknown or not columns:
        told = [f"no column for {few(missing)}"] * bool(missing)
        told += [f"no class for {few(unknown)}"] * bool(unknown)
        raise UsageError(
            f"{path}: after the id, expected one label column or one column a class; "
            f"{', '.join(told)}"
        )


def _rounding_of(path: TableSource, cells: Sequence[Sequence[str]], wanted: Wanted) -> str:
    """Return how values are written: as they are, but for a regression that is told otherwise."""
    if TASKS[wanted.task].bounded:
        return "off"
    if wanted.output == "auto":
        check_whole(path, cells, wanted.rounding)
    return "off" if wanted.rounding == "auto" else wanted.rounding


def plain_sample(
    ids: Sequence[str], classes: Sequence[str], output: str, labels_as: LabelsAs
) -> Sample:
    """Return the sample that stands in where none is given: every image in order, `id,label`."""
    if output == "probs":
        return Sample("id", tuple(ids), "probs", tuple(classes), False)
    return Sample("id", tuple(ids), "label", ("label",), labels_as == "index")


def check_output(path: TableSource, sample: Sample, output: str) -> None:
    """Check that a sample asks for the output that was asked for.

    `output` is "auto", "labels", "probs", or "binary" in the columns of probabilities.

    Raises:
        UsageError: it asks for the other one.
    """
    asked = "probs" if sample.kind == "probs" else "labels"
    if output not in ("auto", asked) and (output, asked) != ("binary", "probs"):
        raise UsageError(
            f"--output {output}: the sample {path} asks for {asked}, by its columns "
            f"{few(sample.columns)}; leave out --output, or give another sample"
        )


def check_ids_match(sample: Sample, ids: Sequence[str]) -> None:
    """Check that the sample and the images name the same ids.

    Raises:
        ContractError: with both difference lists.
    """
    wanted, found = set(sample.ids), set(ids)
    if wanted == found:
        return
    lacking = _listed("ids of the sample have no image", [i for i in sample.ids if i not in found])
    beyond = _listed("images are not in the sample", [i for i in ids if i not in wanted])
    told = "; ".join(filter(None, (lacking, beyond)))
    raise ContractError(f"the sample and the images differ: {told}. {_hint(wanted, found)}")


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
    place = {name: row for row, name in enumerate(classes)}
    if sample.kind in ("label", "list", "top"):
        text = {name: str(place[name]) if sample.index_labels else name for name in classes}
        cells = {
            name: [" ".join(text[label] for label in _labels_of(row, sample))]
            for name, row in rows.items()
        }
    else:
        order = [place[c] for c in sample.classes]
        cells = {
            name: _cells_of(np.asarray(rows[name].probs, np.float64)[order], name, sample)
            for name in sample.ids
        }
    at, written = sample.id_place, sample.written
    lines = [(written.get(name, name), cells[name]) for name in sample.ids]
    header = (sample.id_column, list(sample.columns))
    return csv_bytes([*rest[:at], name, *rest[at:]] for name, rest in [header, *lines])


def _labels_of(row: Row, sample: Sample) -> Sequence[str]:
    return [row.label] if sample.kind == "label" else row.labels


def _check_rows(sample: Sample, rows: Mapping[str, Row]) -> None:
    missing = [i for i in sample.ids if i not in rows]
    if missing or len(rows) != len(sample.ids):
        raise ContractError(
            f"{len(sample.ids)} ids are asked for and {len(rows)} have a prediction; missing: "
            f"{few(missing) or 'none'}. Nothing was published"
        )


def sample_for(recipe: Recipe, head: Head, ids: Sequence[str], listener: Listener) -> Sample:
    """Return what the submission is to look like: the sample's ids and columns, or plain ones.

    Raises:
        UsageError: the sample is wrong, or does not suit the head or `--fill`.
        ContractError: the sample and the images name different ids.
    """
    wanted = _wanted(recipe, head)
    if recipe.writing.sample is None:
        sample = _without_sample(recipe, head, ids, wanted)
    else:
        sample = read_sample(
            recipe.writing.sample,
            head.classes,
            id_column=recipe.inputs.id_col,
            known=ids,
            wanted=wanted,
        )
        check_output(recipe.writing.sample, sample, recipe.writing.output)
        if recipe.saving is None:
            sample = _mapped(sample, ids, listener)
        check_ids_match(sample, ids)
    if recipe.writing.output == "binary":
        sample = replace(sample, kind="binary")
    if recipe.writing.fill is not None:
        fill_row(recipe.writing.fill, sample, head)
    return sample


def _wanted(recipe: Recipe, head: Head) -> Wanted:
    """Return what the flags say of the form, having checked that they suit the head."""
    writing, rules = recipe.writing, TASKS[head.task]
    if writing.output == "binary" and not rules.several:
        raise UsageError(f"--output binary is for multilabel heads; {head.name!r} is {head.task}")
    if writing.round != "auto" and rules.bounded:
        raise UsageError(f"--round is for values of a regression; {head.name!r} is {head.task}")
    cuts_of(writing.round)  # what is no rounding is refused before any work
    if writing.top and not rules.bounded:
        raise UsageError(f"--top is for labels; head {head.name!r} is {head.task}")
    return Wanted(
        head.task, writing.output, writing.labels_as, writing.positive, writing.top, writing.round
    )


def _without_sample(recipe: Recipe, head: Head, ids: Sequence[str], wanted: Wanted) -> Sample:
    """Return the plain sample, and what the flags make of it.

    Raises:
        UsageError: labels of a head that has none.
    """
    labels = TASKS[head.task].single and wanted.output != "probs"
    if wanted.output == "labels" and not TASKS[head.task].single and not TASKS[head.task].several:
        raise UsageError(
            f"head {head.name!r} is {head.task} and has no labels: leave out --output, for a "
            f"column for each of {list(head.classes)[:5]}"
        )
    labels = labels or wanted.output == "labels" or bool(wanted.top)
    sample = plain_sample(ids, head.classes, "labels" if labels else "probs", wanted.labels_as)
    if labels and (wanted.top or TASKS[head.task].several):
        where = "the submission, column 'label'"
        form = form_of_column(where, "label", (), head.classes, wanted)
        sample = replace(sample, kind=form.kind, top=form.top)
    rounding = "off" if wanted.rounding == "auto" else wanted.rounding
    return replace(sample, rounding=rounding)


def _mapped(sample: Sample, ids: Sequence[str], listener: Listener) -> Sample:
    """Return a sample with the ids of the images where theirs are a folder or an extension apart.

    Only where that is one to one, and it is said: a run of ids that differ is refused later.
    """
    own = counterparts(sample.ids, ids)
    if not own or not len(own) == len(sample.ids) == len(ids):
        return sample
    name, short = next(iter(own.items()))
    listener.warn(
        f"the sample's ids are those of the images, a folder or an extension apart, one to one, "
        f"such as {name!r} for {short!r}: they are written as the sample has them"
    )
    written = {known: name for name, known in own.items()}
    return replace(sample, ids=tuple(own[name] for name in sample.ids), written=written)


def fill_row(fill: str, sample: Sample, head: Head) -> Row:
    """Return the row that stands for an image without a prediction.

    Raises:
        UsageError: `fill` is no label of the head, or no number that its columns may hold.
    """
    if sample.kind in ("label", "list", "top"):
        names = {str(i): c for i, c in enumerate(head.classes)} if sample.index_labels else {}
        texts = [fill] if sample.kind == "label" else fill.split()
        labels = tuple(names.get(text, text) for text in texts)
        if not labels or not set(labels) <= set(head.classes):
            raise UsageError(f"--fill {fill!r} is not one of {list(head.classes)[:10]}")
        return Row(labels[0], (), labels)
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


def _cells_of(values: NDArray[np.float64], name: str, sample: Sample) -> list[str]:
    """Write the values of a row; nine significant digits tell every float32 from its neighbours."""
    if sample.kind == "binary":
        return [str(int(value)) for value in values.tolist()]
    finite = np.isfinite(values)
    if not finite.all():
        odd = values[~finite][0]
        raise ContractError(f"id {name!r}: the prediction is {odd}. Nothing was published")
    if sample.rounding == "off":
        return [f"{value:.9g}" for value in values.tolist()]
    cuts = cuts_of(sample.rounding)
    whole = np.searchsorted(cuts, values, side="right") if cuts else np.rint(values)
    return [str(int(value)) for value in whole.tolist()]


def _hint(wanted: set[str], found: set[str]) -> str:
    """Guess why no id fits: an extension, or zeros that a spreadsheet took away."""
    if wanted & found:
        return "Check --images"
    if {Path(name).stem for name in wanted} & found:
        return "The sample's ids have an extension: say --id-from name"
    if {name.lstrip("0") for name in wanted} & {name.lstrip("0") for name in found}:
        return "Leading zeros differ: a spreadsheet may have taken them from the sample"
    return "Check --images and --id-from"


def _listed(what: str, odd: Sequence[str]) -> str:
    return f"{len(odd)} {what} ({few(odd)})" if odd else ""
