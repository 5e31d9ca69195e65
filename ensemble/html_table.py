"""Tables as a notebook shows them; all text is escaped."""

import html
from collections.abc import Iterable, Sequence

from ensemble.errors import counted


def html_table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[object]], most: int = 12
) -> str:
    """Return a table as HTML: numbers to five digits, and no more than `most` rows.

    Args:
        caption: What stands above it.
        header: The names of the columns.
        rows: The cells, a row as long as the header.
        most: So many rows are shown, and how many more there are.
    """
    cells = list(rows)
    lines = [_row("th", header), *(_row("td", row) for row in cells[:most])]
    more = f"<p>and {counted(len(cells) - most, 'row')} more</p>" if len(cells) > most else ""
    return f"<table><caption>{_cell(caption)}</caption>{''.join(lines)}</table>{more}"


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_cell(cell)}</{tag}>' for cell in cells)}</tr>"


def _cell(value: object) -> str:
    return html.escape(f"{value:.5g}" if isinstance(value, float) else str(value))
