"""A submission of any form as a label a row or a column a class, to be scored against labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ensemble.errors import ContractError, UsageError, few
from ensemble.files.columns import FOLDS, ID, is_index
from ensemble.files.csv_tables import read_table
from ensemble.files.text_table import TableSource, TextTable
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
    held = {*truth.ids, *truth.classes, *truth.columns}
    table = _table(submission, held, labels.id_column)
    pairs = _pairs(table, truth, task)
    if pairs is not None:
        submission = _gathered(table, pairs, labels.id_column or ID)
        table = _table(submission, held, labels.id_column)
    if TASKS[task].several:
        return ReadBack(_spread(table, submission, labels, truth))
    wide = TASKS[task].single and set(truth.classes) <= set(table.columns)
    if wide or len(table.places) < 2:
        _check_one_label(table, truth)
        return ReadBack(submission)
    return _of_task(table, submission, labels)


def _truth_of(labels: Labels, task: Task) -> _Truth:
    header, rows = read_table(labels.table)
    said = labels.id_column if labels.id_column in header else None
    first = header[0] if isinstance(labels.table, TextTable) else None
    key = said or first or (ID if ID in header else None)
    places = range(len(header)) if key is None else [header.index(key)]
    ids = frozenset(row[place] for row in rows for place in places)
    beside = (key, labels.group, *filter(is_index, header))
    columns = tuple(n for n in header if n not in beside and n.lower() not in FOLDS)
    classes = labels.classes
    if TASKS[task].single and not classes and labels.column in header:
        place = header.index(labels.column)
        classes = tuple(sorted({row[place] for row in rows}))
    return _Truth(ids, classes or columns, columns)


def _table(submission: TableSource, names: set[str], said: str | None) -> SampleTable:
    header, _ = read_table(submission)
    return read_sample_table(submission, names, said if said in header else None, ())


# ---- melted


def _pairs(table: SampleTable, truth: _Truth, task: Task) -> Pairs | None:
    """Return the rows of a melted submission; None where its ids are those of the labels."""
    if len(table.places) == 1 and set(table.ids) <= truth.ids:
        return None
    try:
        found = find_pairs(table, truth.classes, truth.ids)
        if found is None and truth.columns != truth.classes:
            found = find_pairs(table, truth.columns, truth.ids, every=False)
    except ContractError as error:
        raise UsageError(str(error)) from error
    except UsageError as error:
        hint = "; name all classes by --classes" if TASKS[task].single else ""
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
    said = {token for tokens in texts for token in tokens}
    numbers = {str(number): name for number, name in enumerate(labels.classes)}
    named = {name: name for name in names}
    known: Mapping[str, str] = named if said <= named.keys() else numbers
    if odd := sorted(said - known.keys()):
        raise UsageError(
            f"{table.path}, column {table.columns[0]!r}: {few(odd)} are no labels; expected "
            f"some of {few(names)} with spaces between them, or their numbers and --classes"
        )
    given = [{known[token] for token in tokens} for tokens in texts]
    rows = [(name, *("1" if each in there else "0" for each in names))
            for name, there in zip(table.ids, given, strict=True)]  # fmt: skip
    return TextTable(str(table.path), (labels.id_column or ID, *names), tuple(rows))


# ---- several tasks


def _of_task(table: SampleTable, submission: TableSource, labels: Labels) -> ReadBack:
    """Return the one column of a task that is scored; what is no submission of tasks stays."""
    columns = table.columns
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
