"""The sample: the ids in order, the columns, and what they ask for.

Ids are text, byte for byte: `007`, `NA` and `1e5` stay what they are. Rows are joined by id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ensemble.errors import UsageError, few
from ensemble.files.columns import submitted_id
from ensemble.files.csv_tables import by_id, read_lines
from ensemble.files.text_table import TableSource
from ensemble.records import TASKS, LabelsAs
from ensemble.submission.forms import Form, Kind, Wanted, form_of_column
from ensemble.submission.rounding import check_whole


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
