"""A sample read: its form told by its header and ids, or refused with the flag that decides.

Ids are text, byte for byte: `007`, `NA` and `1e5` stay what they are. Rows are joined by id.
"""

from collections.abc import Collection, Mapping, Sequence

from ensemble.errors import UsageError, few
from ensemble.files.csv_tables import by_id
from ensemble.files.ids import are_known
from ensemble.files.text_table import TableSource
from ensemble.records import TASKS, LabelsAs, SampleForm
from ensemble.submission.forms import Form, Wanted, form_of_column
from ensemble.submission.melted import Pairs, find_pairs
from ensemble.submission.rounding import rounding_of
from ensemble.submission.sample import SHAPES, Copied, Sample
from ensemble.submission.sample_table import SampleTable, read_sample_table
from ensemble.submission.tasks import TaskForm, task_forms


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
    first. The form is `wanted.form`, or the one that the sample fits: melted by its ids or a column
    of names, see `melted.find_pairs`; tasks where every column is called as one; wide where they
    are one-to-one with the classes. One more column is told by its cells, see
    `forms.form_of_column`.

    Raises:
        UsageError: anything else, or what fits two forms; names the line or column, or the flag.
        ContractError: a melted sample lacks rows.
    """
    wanted = wanted or Wanted(labels_as=labels_as)
    table = read_sample_table(path, {*classes, *wanted.tasks}, id_column, known)
    pairs = _pairs(table, classes, known, wanted)
    form = _form(table, pairs, classes, known, wanted)
    if form == "melted" and pairs is not None:
        return _melted(table, pairs, wanted)
    if form == "tasks":
        return _of_tasks(table, wanted)
    if form != "wide":
        return _of_column(table, classes, wanted)
    _check_columns(path, table.columns, classes)
    return _filled(table, Form("probs", table.columns), wanted)


def _pairs(
    table: SampleTable, classes: Sequence[str], known: Collection[str], wanted: Wanted
) -> Pairs | None:
    """Return the rows of a melted sample, of classes or of tasks; None where it is none."""
    if wanted.form not in ("auto", "melted"):
        return None
    found = [
        find_pairs(table, classes, known) if classes else None,
        find_pairs(table, tuple(wanted.tasks), known, every=False) if wanted.tasks else None,
    ]
    there = [pairs for pairs in found if pairs is not None]
    if len(there) > 1:
        raise UsageError(f"{table.path}: {few(there[0].names)} are classes and tasks: rename one")
    return there[0] if there else None


def _form(
    table: SampleTable,
    pairs: Pairs | None,
    classes: Sequence[str],
    known: Collection[str],
    wanted: Wanted,
) -> SampleForm:
    """Return the form of a sample: the one that is said, or the one that it fits.

    "label" stands for all forms of one column, which its cells tell.
    """
    fitting = _fitting(table, classes, wanted)
    if pairs is not None and fitting == ["label"] and not are_known(table.ids, known):
        fitting = []  # ids of images and names are no images
    fitting += ["melted"] * (pairs is not None)
    if wanted.form != "auto":
        one = len(table.columns) == 1 and table.columns != tuple(classes)
        return _said_form(table, wanted.form, fitting, one=one)
    if len(fitting) > 1:
        both = " and ".join(f"{form} ({SHAPES[form]})" for form in fitting)
        raise UsageError(
            f"{table.path}: the sample fits two forms: {both}. Say by --form which it is: "
            f"{' or '.join(f'--form {form}' for form in fitting)}"
        )
    return fitting[0] if fitting else "wide"


def _fitting(table: SampleTable, classes: Sequence[str], wanted: Wanted) -> list[SampleForm]:
    """Return the forms of a row an image that a sample fits by its columns."""
    columns, fitting = set(table.columns), list[SampleForm]()
    if (
        columns
        and columns <= set(wanted.tasks)
        and (len(columns) > 1 or columns.isdisjoint(classes))
    ):
        fitting.append("tasks")
    if columns == set(classes):
        fitting.append("wide")
    return ["label"] if len(columns) == 1 and not fitting else fitting


def _said_form(
    table: SampleTable, said: SampleForm, fitting: Sequence[SampleForm], *, one: bool
) -> SampleForm:
    """Return the form that was said; one column may be said to hold anything."""
    if one and said in ("label", "list", "wide"):
        return "label"
    if said == "wide" or said in fitting:
        return said
    raise UsageError(
        f"--form {said}: the sample {table.path} does not fit it: expected {SHAPES[said]}; its "
        f"columns are {few(table.header)}"
    )


def _melted(table: SampleTable, pairs: Pairs, wanted: Wanted) -> Sample:
    cells: dict[str, list[str]] = {name: [] for name in pairs.names}
    for (_, name), line in zip(pairs.rows, pairs.lines, strict=True):
        cells[name].append(line[pairs.value])
    of_tasks = set(pairs.names) <= set(wanted.tasks)
    rows = [[text for texts in cells.values() for text in texts]]
    return Sample(
        id_column=table.header[table.id_place],
        ids=pairs.images,
        kind="tasks" if of_tasks else "probs",
        columns=(table.header[pairs.value],),
        index_labels=False,
        of=pairs.names,
        rounding="off" if of_tasks else _rounding(table, rows, wanted),
        tasks=task_forms(table.path, cells, wanted) if of_tasks else {},
        pairs=pairs,
    )


def _of_tasks(table: SampleTable, wanted: Wanted) -> Sample:
    cells = {table.header[place]: table.cells(place) for place in table.places}
    forms = task_forms(table.path, cells, wanted)
    return _filled(table, Form("tasks"), wanted, tasks=forms)


def _of_column(table: SampleTable, classes: Sequence[str], wanted: Wanted) -> Sample:
    column, cells = table.columns[0], table.cells(table.places[0])
    where = f"{table.path}, column {column!r}"
    return _filled(table, form_of_column(where, column, cells, classes, wanted), wanted)


def _filled(
    table: SampleTable, form: Form, wanted: Wanted, tasks: Mapping[str, TaskForm] | None = None
) -> Sample:
    """Return the sample of a row an image."""
    ids = tuple(by_id(table.path, table.body, table.id_place))
    cells = [tuple(row.cells[place] for place in table.places) for row in table.body]
    return Sample(
        id_column=table.header[table.id_place],
        ids=ids,
        kind=form.kind,
        columns=table.columns,
        index_labels=form.index_labels,
        id_place=sum(place < table.id_place for place in table.places),
        of=form.of,
        top=form.top,
        rounding="off" if tasks else _rounding(table, cells, wanted),
        tasks=tasks or {},
        copied=tuple(Copied(n, table.header[n], tuple(table.cells(n))) for n in table.copied),
    )


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


def _rounding(table: SampleTable, cells: Sequence[Sequence[str]], wanted: Wanted) -> str:
    """Return how values are written: as they are, but for a regression that is told otherwise."""
    if TASKS[wanted.task].bounded:
        return "off"
    if wanted.output == "auto":
        return rounding_of(table.path, cells, wanted.rounding)
    return "off" if wanted.rounding == "auto" else wanted.rounding
