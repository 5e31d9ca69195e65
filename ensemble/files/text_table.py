"""A table in memory, which stands where a CSV may; nothing heavy is imported for it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ensemble.errors import few


@dataclass(frozen=True, slots=True, repr=False)
class TextTable:
    """A table in memory, as the CSV that it would be written to: a header, and rows of text.

    `name` is what messages call it; its lines are those of that CSV, the header's the first.
    """

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.rows)} rows, columns {few(self.header)}>"

    @property
    def sha256(self) -> str:
        """The hash of the header and the rows."""
        return hashlib.sha256(json.dumps([self.header, *self.rows]).encode()).hexdigest()


TableSource: TypeAlias = Path | TextTable
"""A CSV, or a table in memory."""
