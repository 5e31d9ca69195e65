"""The sample, and the submission: ids, order, columns and dtypes exactly as asked.

Ids are text, byte for byte: `007`, `NA` and `1e5` stay what they are. Rows are joined by id.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ensemble.errors import ContractError, UsageError, few
from ensemble.files.csv_tables import by_id, csv_bytes, read_lines
from ensemble.files.text_table import TableSource
from ensemble.members.card import Head
from ensemble.recipe.resolve import Recipe
from ensemble.records import TASKS, LabelsAs

_INTEGER: Final = re.compile(r"[+-]?\d+")


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample submission: the header, the ids in order, and what the other columns ask for.

    `kind` is "label" (one column), "probs" (one column a class, in `columns`' order) or "binary"
    (such columns, of 0 and 1).
    `index_labels` tells whether labels are written as class indices.
    """

    id_column: str
    ids: tuple[str, ...]
    kind: Literal["label", "probs", "binary"]
    columns: tuple[str, ...]
    index_labels: bool


@dataclass(frozen=True, slots=True)
class Row:
    """The filling of a submission for one id: a label, or a probability for each class."""

    label: str
    probs: Sequence[float]


def read_sample(path: TableSource, classes: Sequence[str], labels_as: LabelsAs = "auto") -> Sample:
    """Read a sample submission, and what it asks for.

    The first column is the id. One more column is the label; columns that are one-to-one with
    the classes are probabilities.

    Raises:
        UsageError: anything else; names the line or column.
    """
    header, body = read_lines(path)
    if not body:
        raise UsageError(f"{path}: the sample has a header and no rows")
    ids = list(by_id(path, body, 0))
    columns = header[1:]
    if len(columns) == 1 and columns[0] not in classes:
        values = [row.cells[1] for row in body]
        index = _index_labels(path, columns[0], values, classes, labels_as)
        return Sample(header[0], tuple(ids), "label", tuple(columns), index)
    missing, unknown = sorted(set(classes) - set(columns)), sorted(set(columns) - set(classes))
    if missing or unknown or not columns:
        told = [f"no column for {few(missing)}"] * bool(missing)
        told += [f"no class for {few(unknown)}"] * bool(unknown)
        raise UsageError(
            f"{path}: after the id, expected one label column or one column a class; "
            f"{', '.join(told)}"
        )
    return Sample(header[0], tuple(ids), "probs", tuple(columns), False)


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
    asked = "labels" if sample.kind == "label" else "probs"
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
    if sample.kind == "label":
        text = {name: str(place[name]) if sample.index_labels else name for name in classes}
        lines = [[name, text[rows[name].label]] for name in sample.ids]
    else:
        order, write = [place[c] for c in sample.columns], _WRITERS[sample.kind]
        lines = [
            [name, *write(np.asarray(rows[name].probs, np.float64)[order], name)]
            for name in sample.ids
        ]
    return csv_bytes([[sample.id_column, *sample.columns], *lines])


def _check_rows(sample: Sample, rows: Mapping[str, Row]) -> None:
    missing = [i for i in sample.ids if i not in rows]
    if missing or len(rows) != len(sample.ids):
        raise ContractError(
            f"{len(sample.ids)} ids are asked for and {len(rows)} have a prediction; missing: "
            f"{few(missing) or 'none'}. Nothing was published"
        )


def sample_for(recipe: Recipe, head: Head, ids: Sequence[str]) -> Sample:
    """Return what the submission is to look like: the sample's ids and columns, or plain ones.

    Raises:
        UsageError: the sample is wrong, or does not suit the head or `--fill`.
        ContractError: the sample and the images name different ids.
    """
    if recipe.writing.sample is None:
        labels = TASKS[head.task].single and recipe.writing.output != "probs"
        output = "labels" if labels or recipe.writing.output == "labels" else "probs"
        sample = plain_sample(ids, head.classes, output, recipe.writing.labels_as)
    else:
        sample = read_sample(recipe.writing.sample, head.classes, recipe.writing.labels_as)
        check_output(recipe.writing.sample, sample, recipe.writing.output)
        check_ids_match(sample, ids)
    if sample.kind == "label" and not TASKS[head.task].single:
        raise UsageError(
            f"head {head.name!r} is {head.task} and has no labels: the sample needs one column "
            f"for each of {list(head.classes)[:5]}, and --output is probs"
        )
    if recipe.writing.output == "binary":
        if not TASKS[head.task].several:
            raise UsageError(
                f"--output binary is for multilabel heads; {head.name!r} is {head.task}"
            )
        sample = replace(sample, kind="binary")
    if recipe.writing.fill is not None:
        fill_row(recipe.writing.fill, sample, head)
    return sample


def fill_row(fill: str, sample: Sample, head: Head) -> Row:
    """Return the row that stands for an image without a prediction.

    Raises:
        UsageError: `fill` is no label of the head, or no number that its columns may hold.
    """
    if sample.kind == "label":
        names = {str(i): c for i, c in enumerate(head.classes)} if sample.index_labels else {}
        label = names.get(fill, fill)
        if label not in head.classes:
            raise UsageError(f"--fill {fill!r} is not one of {list(head.classes)[:10]}")
        return Row(label, ())
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


def _index_labels(
    path: TableSource,
    column: str,
    values: Sequence[str],
    classes: Sequence[str],
    labels_as: LabelsAs,
) -> bool:
    """Decide whether labels are written as indices, from what the sample holds."""
    if labels_as != "auto":
        return labels_as == "index"
    filled = [v for v in values if v.strip()]
    if not filled:
        return False
    where = f"{path}, column {column!r}: the sample holds"
    if not set(filled) <= set(classes) and all(map(_is_fraction, filled)):
        raise UsageError(
            f"{where} numbers such as {filled[0]!r}. For probabilities it needs a column for each "
            f"class: {few(classes)}; if labels are meant, say --labels-as index or "
            f"--labels-as name"
        )
    integers = _are_integers([v.strip() for v in filled])
    if integers != _are_integers(classes):
        found = "integers" if integers else f"text such as {filled[0]!r}"
        raise UsageError(
            f"{where} {found}, and the classes are {few(classes)}. Say --labels-as index (their "
            f"numbers, from 0) or --labels-as name"
        )
    return False


def _are_integers(texts: Sequence[str]) -> bool:
    return all(_INTEGER.fullmatch(text) for text in texts)


def _is_fraction(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not _INTEGER.fullmatch(text.strip())


def _numbers(values: NDArray[np.float64], name: str) -> list[str]:
    """Write the values of a row; nine significant digits tell every float32 from its neighbours."""
    finite = np.isfinite(values)
    if not finite.all():
        odd = values[~finite][0]
        raise ContractError(f"id {name!r}: the prediction is {odd}. Nothing was published")
    return [f"{value:.9g}" for value in values.tolist()]


def _flags(values: NDArray[np.float64], _: str) -> list[str]:
    return [str(int(value)) for value in values.tolist()]


_WRITERS: Final = {"probs": _numbers, "binary": _flags}


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
