"""Values written as text: as they are, to whole numbers, or by cuts."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.errors import ContractError, UsageError
from ensemble.submission.digits import digit_rows

_INTEGER: Final = re.compile(r"[+-]?\d+")


def check_whole(where: object, rows: Sequence[Sequence[str]], rounding: str) -> None:
    """Refuse whole numbers in the sample of a regression, where nobody says what becomes of values.

    Zeros alone under several targets hold the place of values; under one they may be grades.

    Raises:
        UsageError: names the flag.
    """
    filled = [cell.strip() for row in rows for cell in row if cell.strip()]
    if set(filled) == {"0"} and len(rows[0]) > 1:
        return
    if rounding == "auto" and filled and all(map(_INTEGER.fullmatch, filled)):
        raise UsageError(
            f"{where}: the sample holds whole numbers, such as {filled[0]}, and the head gives "
            f"values: say --round nearest, --round 0.5,1.5 (cuts: values below the first become "
            f"0), or --round off to write values as they are"
        )


def rounding_of(where: object, rows: Sequence[Sequence[str]], rounding: str) -> str:
    """Return how values are written under the cells of a sample: "off", or what somebody said.

    Raises:
        UsageError: whole numbers, and nobody says what becomes of values.
    """
    check_whole(where, rows, rounding)
    return "off" if rounding == "auto" else rounding


def cuts_of(rounding: str) -> tuple[float, ...]:
    """Return the cuts that --round names, ascending; none where it names none.

    Raises:
        UsageError: it is neither a word that is known nor numbers that ascend.
    """
    if rounding in ("auto", "off", "nearest"):
        return ()
    try:
        cuts = tuple(float(text) for text in rounding.split(","))
    except ValueError:
        cuts = ()
    if not cuts or not all(a < b for a, b in pairwise(cuts)) or not all(map(math.isfinite, cuts)):
        raise UsageError(
            f"--round {rounding!r}: expected off, nearest, or cuts that ascend, such as 0.5,1.5"
        )
    return cuts


def number_texts(values: NDArray[np.float64], ids: Sequence[str], rounding: str) -> list[str]:
    """Write the values (N, C) of each row, with commas between them.

    Nine digits tell every float32 from its neighbours.

    Args:
        values: float64 (N, C).
        ids: The id of each row, in messages.
        rounding: "off", "nearest", or cuts that ascend.

    Raises:
        ContractError: a value is not finite.
    """
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.flatnonzero(~finite.all(1))[0])
        odd = values[row][~finite[row]][0]
        raise ContractError(f"id {ids[row]!r}: the prediction is {odd}. Nothing was published")
    if rounding == "off":
        return digit_rows(values)
    cuts = cuts_of(rounding)
    whole = np.searchsorted(cuts, values, side="right") if cuts else np.rint(values)
    return [",".join(str(int(value)) for value in row) for row in whole.tolist()]
