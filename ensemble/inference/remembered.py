"""A number that an earlier run measured, and left in the store."""

import json
from contextlib import suppress
from pathlib import Path


def remembered(path: Path, field: str) -> float | None:
    """Return the number in a field of a JSON file; None where there is none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return float(json.loads(path.read_text("utf-8"))[field])
    return None
