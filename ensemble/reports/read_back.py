"""A submission of any form as a label a row or a column a class, to be scored against labels."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ensemble.errors import ContractError, UsageError, few
from ensemble.files.columns import FOLDS, ID, is_beside, is_index, said_where_there
from ensemble.files.csv_tables import read_table
from ensemble.files.ids import are_known
from ensemble.files.text_table import TableSource, TextTable
from ensemble.label_map import LabelMap
from ensemble.records import TASKS, Task
from ensemble.reports.scorecard import Labels
from ensemble.reports.submitted import is_number
from ensemble.submission.melted import Pairs, find_pairs
from ensemble.submission.sample_table import SampleTable, read_sample_table


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A submission as a plain table, and what a person should know of how it was read."""

    table: TableSource
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Truth:
    """What the labels tell of a submission: ids that it may have, classes, and columns."""

    ids: frozenset[str]
    classes: tuple[str, ...]
    columns: tuple[str, ...]


def read_back(submission: TableSource, labels: Labels, task: Task) -> ReadBack:
    """Return a submission as the id and one column, or the id and a column a class or target.

    The rows of a melted one are gathered, by the classes or columns of the labels; of one with
    several tasks the column is taken that `labels.column` names; the labels of a multilabel task
    in one cell become 0 and 1 for each. What is plain stays as it is.

    Raises:
        UsageError: a melted row without a name or twice, a cell that holds no labels, or tasks of
            which nobody says which is scored.
    """
    header, rows = read_table(submission)
    if len(header) < 2 or not rows:
        return ReadBack(submission)
    truth = _truth_of(labels, task)
    hint = "; name all classes by --classes" if TASKS[task].single else ""
    submission, table = _whole(submission, labels, truth, hint)
    if TASKS[task].several:
        return ReadBack(_spread(table, submission, labels, truth))
    wide = TASKS[task].single and set(truth.classes) <= set(table.columns)
    if wide or len(table.places) < 2:
        _check_one_label(table, truth)
        return ReadBack(submission)
    return _of_task(table, submission, labels)


def gathered(submission: TableSource, labels: Labels, label_map: LabelMap) -> TableSource:
    """Return a submission of the labels or the tasks of a map with one row an image.

    The rows of a melted one are gathered: a probability for each label, or a class for each task.

    Raises:
        UsageError: a melted row without a name or twice, or one that is missing.
    """
    header, rows = read_table(submission)
    if len(header) < 2 or not rows:
        return submission
    # the tasks first: their classes may be numbers, which labels are called too
    truth = _Truth(_ids_of(labels), label_map.names, label_map.labels)
    return _whole(submission, labels, truth, "")[0]


def _whole(
    submission: TableSource, labels: Labels, truth: _Truth, hint: str
) -> tuple[TableSource, SampleTable]:
    """Return a submission with one row an image, as a table and as it is read."""
    header, _ = read_table(submission)
    held = {*truth.ids, *truth.classes, *truth.columns}
    tables = [(submission, header), (labels.table, read_table(labels.table)[0])]
    said, _ = said_where_there(labels.id_column, tables)
    table = _table(submission, held, said)
    pairs = _pairs(table, truth, hint)
    if pairs is None:
        return submission, table
    whole = _gathered(table, pairs, said or ID)
    return whole, _table(whole, held, said)


def _truth_of(labels: Labels, task: Task) -> _Truth:
    header, rows = read_table(labels.table)
    key = _key(labels, header)
    columns = tuple(name for name in header if not _is_beside(name, key, labels))
    seen = _said_classes(labels.column, header, rows) if TASKS[task].single else ()
    return _Truth(_ids_of(labels), labels.classes or seen or columns, columns)


def _ids_of(labels: Labels) -> frozenset[str]:
    """Return what may be ids: the column of the labels' ids, or all that stands there."""
    header, rows = read_table(labels.table)
    key = _key(labels, header)
    places = range(len(header)) if key is None else [header.index(key)]
    return frozenset(row[place] for row in rows for place in places)


def _said_classes(
    column: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[str, ...]:
    """Return the classes that a column of the labels shows; none where it is not there."""
    if column not in header:
        return ()
    place = header.index(column)
    return tuple(sorted({row[place] for row in rows}))


def _key(labels: Labels, header: Sequence[str]) -> str | None:
    """Return the column of the labels' ids; None where only the ids themselves could tell."""
    if isinstance(labels.table, TextTable) and labels.id_column not in header:
        return header[0]
    named = [name for name in (labels.id_column, ID) if name in header]
    return named[0] if named else None


def _is_beside(name: str, key: str | None, labels: Labels) -> bool:
    """Tell whether a column of the labels is none: the id, the groups, the folds, an index."""
    return name in (key, labels.group) or name.lower() in FOLDS or is_index(name)


def _table(submission: TableSource, names: set[str], said: str | None) -> SampleTable:
    header, _ = read_table(submission)
    return read_sample_table(submission, names, said if said in header else None, ())


# ---- melted


def _pairs(table: SampleTable, truth: _Truth, hint: str) -> Pairs | None:
    """Return the rows of a melted submission; None where its ids are those of the labels."""
    if len(table.places) == 1 and are_known(table.ids, truth.ids):
        return None
    try:
        found = find_pairs(table, truth.classes, truth.ids)
        if found is None and truth.columns != truth.classes:
            found = find_pairs(table, truth.columns, truth.ids, every=False)
    except ContractError as error:
        raise UsageError(str(error)) from error
    except UsageError as error:
        raise UsageError(f"{error}{hint}") from error
    return found


def _gathered(table: SampleTable, pairs: Pairs, key: str) -> TextTable:
    """Return the rows of a melted submission as one an image, a column a name."""
    cells = {pair: line[pairs.value] for pair, line in zip(pairs.rows, pairs.lines, strict=True)}
    rows = [(image, *(cells[image, name] for name in pairs.names)) for image in pairs.images]
    return TextTable(str(table.path), (key, *pairs.names), tuple(rows))


# ---- several labels a cell


def _spread(
    table: SampleTable, submission: TableSource, labels: Labels, truth: _Truth
) -> TableSource:
    """Return labels in one cell as 0 and 1 for each; what has a column for each stays."""
    names = truth.classes
    if len(table.places) != 1 or len(names) < 2:
        return submission
    texts = [cell.split() for cell in table.cells(table.places[0])]
    known = _label_names(table, set(itertools.chain.from_iterable(texts)), names, labels.classes)
    given = [{known[token] for token in tokens} for tokens in texts]
    rows = [(name, *("01"[each in there] for each in names))
            for name, there in zip(table.ids, given, strict=True)]  # fmt: skip
    return TextTable(str(table.path), (labels.id_column or ID, *names), tuple(rows))


def _label_names(
    table: SampleTable, said: set[str], names: Sequence[str], ordered: Sequence[str]
) -> Mapping[str, str]:
    """Return the label that each text of the cells is: its name, or its number in an order."""
    numbers = {str(number): name for number, name in enumerate(ordered)}
    known = {name: name for name in names} if said <= set(names) else numbers
    if odd := sorted(said - known.keys()):
        raise UsageError(
            f"{table.path}, column {table.columns[0]!r}: {few(odd)} are no labels; expected "
            f"some of {few(names)} with spaces between them, or their numbers and --classes"
        )
    return known


# ---- several tasks


def _of_task(table: SampleTable, submission: TableSource, labels: Labels) -> ReadBack:
    """Return the one column of a task that is scored; what is no submission of tasks stays."""
    columns = [n for n in table.columns if not (is_beside(n) or n.lower() in FOLDS)]
    if len(columns) < 2:
        return ReadBack(submission)
    if labels.column in columns:
        place = table.header.index(labels.column)
        rows = zip(table.ids, table.cells(place), strict=True)
        key = labels.id_column or ID
        one = TextTable(str(table.path), (key, labels.column), tuple(rows))
        return ReadBack(one, (f"scored is the column {labels.column!r} of {few(columns)}",))
    texts = [n for n in columns if not _are_numbers(table.cells(table.header.index(n)))]
    if texts:
        raise UsageError(
            f"{table.path}: {few(texts)} are labels of several tasks: say by --label-col which is "
            f"scored, by its name in both tables"
        )
    return ReadBack(submission)


def _check_one_label(table: SampleTable, truth: _Truth) -> None:
    """Refuse cells of several labels, of which a score knows no order."""
    cells = table.cells(table.places[0]) if len(table.places) == 1 else []
    several = [cell for cell in cells if cell not in truth.classes and len(cell.split()) > 1]
    if several and all(set(cell.split()) <= set(truth.classes) for cell in several):
        raise UsageError(
            f"{table.path}, column {table.columns[0]!r}: cells hold several labels, such as "
            f"{several[0]!r}; a score takes one label a row, or a probability for each class: give "
            f"what a run with --output probs writes"
        )


def _are_numbers(cells: Sequence[str]) -> bool:
    return all(map(is_number, cells))
