"""What the columns of a table are for: found by what they are called and hold, or refused."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from ensemble.errors import UsageError, few
from ensemble.files.ids import counterparts

ID: Final = "id"

FOLDS: Final = ("fold", "kfold", "folds")
"""What a column of folds is called, in any case."""

_ROW_NUMBER: Final = re.compile(r"|index|level_\d+|Unnamed: \d+|__index_level_\d+__")

_TRUTH: Final = ("label", "labels", "target", "targets", "y_true", "ground_truth")

_SPLIT: Final = ("split", "usage", "subset")


def id_column(
    where: object,
    header: Sequence[str],
    rows: Sequence[Sequence[object]] = (),
    *,
    said: str | None = None,
    known: Collection[str] = (),
) -> str:
    """Return the column of the ids: the one that is said, else `id`, else the one that holds them.

    Args:
        where: The table, in messages.
        header: The names of its columns.
        rows: Its cells, a row each, which are asked where no column is called id.
        said: What `--id-col` says; a table without such a column is refused, but where ids are
            known that tell its column.
        known: Ids that are known already: those of the images, or of the predictions.

    Raises:
        UsageError: no column is it, or several may be; or one numbers the rows, as pandas writes
            its index, and nobody says which is the id.
    """
    if said is not None and said in header:
        return said
    if said is not None and not known:
        raise UsageError(f"{where}: no column {said!r}, as --id-col says; it has {_listed(header)}")
    check_no_index(where, header)
    if ID in header:
        return ID
    held = _holding(header, rows, known)
    if len(held) == 1:
        return held[0]
    raise UsageError(
        f"{where}: no column is called id; it has {_listed(header)}. "
        f"Say by --id-col which is the id"
    )


def submitted_id(
    where: object,
    header: Sequence[str],
    rows: Sequence[Sequence[object]] = (),
    *,
    said: str | None = None,
    known: Collection[str] = (),
) -> str:
    """Return the id column of a submission: as `id_column` does, and else the first.

    Competitions put it there under any name; its ids are held against others before anything is
    made of them.

    Raises:
        UsageError: as for `id_column`.
    """
    held = [] if said is not None or ID in header else _holding(header, rows, known)
    if said is None and ID not in header and len(held) != 1:
        check_no_index(where, header)
        return header[0]
    return id_column(where, header, rows, said=said, known=known)


def said_where_there(
    said: str | None, tables: Sequence[tuple[object, Sequence[str]]]
) -> tuple[str | None, ...]:
    """Return what `--id-col` says to each of several tables; None to those without it.

    Args:
        said: What `--id-col` says.
        tables: Each table, in messages, and the names of its columns.

    Raises:
        UsageError: no table has it; names them all.
    """
    if said is not None and not any(said in header for _, header in tables):
        told = "; ".join(f"{where} has {_listed(header)}" for where, header in tables)
        raise UsageError(f"no column {said!r}, as --id-col says: {told}")
    return tuple(said if said in header else None for _, header in tables)


def check_no_index(where: object, header: Iterable[str]) -> None:
    """Refuse a column that only numbers the rows.

    Raises:
        UsageError: there is one; names it, and how to do without it.
    """
    numbering = [name for name in header if _ROW_NUMBER.fullmatch(name)]
    if numbering:
        called = f"the column {numbering[0]!r}" if numbering[0] else "a column without a name"
        raise UsageError(
            f"{where}: {called} is an index, as pandas writes it, and no id and no class: write "
            f"the table with index=False, or say which column is the id by --id-col"
        )


def is_index(name: str) -> bool:
    """Tell whether a column is called as those that number the rows."""
    return bool(_ROW_NUMBER.fullmatch(name))


def fold_column(where: object, header: Iterable[str]) -> str | None:
    """Return the column of the folds, or None.

    Raises:
        UsageError: several are called so, and none `fold`.
    """
    found = [name for name in header if name.lower() in FOLDS]
    if FOLDS[0] in found:
        return FOLDS[0]
    if len(found) > 1:
        raise UsageError(f"{where}: {few(found)} may all be the folds: call one of them fold")
    return found[0] if found else None


def is_beside(name: str) -> bool:
    """Tell whether a column of predictions is the truth or a split beside them, by its name."""
    return name.lower() in (*_TRUTH, *_SPLIT)


def is_split(name: str) -> bool:
    """Tell whether a column says which part of the data a row belongs to, by its name."""
    return name.lower() in _SPLIT


def _listed(header: Iterable[str]) -> str:
    """Name columns in a message, one without a name as ''."""
    return few([name or repr(name) for name in header])


def _holding(
    header: Sequence[str], rows: Sequence[Sequence[object]], known: Collection[str]
) -> list[str]:
    """Return the columns that hold all ids that are known; where none does, any of them.

    Where none does either, those that hold them once each, a folder or an extension apart.
    """
    wanted = set(known)
    if not wanted:
        return []
    cells = {name: {str(row[place]) for row in rows} for place, name in enumerate(header)}
    full = [name for name, values in cells.items() if wanted <= values]
    some = full or [name for name, values in cells.items() if wanted & values]
    whole = [name for name, values in cells.items() if len(values) == len(rows)]
    return some or [name for name in whole if counterparts(cells[name], wanted)]
