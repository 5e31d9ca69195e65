"""Rows of numbers as text, all at once: byte for byte what `format(number, ".9g")` writes.

A number is scaled to nine digits before the point, by a power of ten that float64 holds exactly; so
one rounding alone lies between it and the truth, of less than 1e-6. Where that might decide between
two texts, and beyond the powers held here, Python writes the number.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Indices, Pooled

_LEAST: Final = -14
"""The power of ten of the least number that is scaled: by 10 ** 22, the last that is exact."""

_CLOSE: Final = 1e-6
"""How near to half-way between two texts a rounding might decide."""

_BOUNDS: Final = np.array([float(f"1e{power}") for power in range(_LEAST, 2)])
_ZERO: Final = len(_BOUNDS)
_SCALES: Final = np.array([0.0, *(float(f"1e{8 - power}") for power in range(_LEAST, 1)), 0.0])
"""By which numbers between two bounds are scaled; nothing outside of them, nor 0, is."""

_AT_ONCE: Final = 1 << 14
"""Numbers that are written at once: their words lie in a core's cache."""

_WORDS: Final = 6
"""Four letters each, of a number: two before its digits, three of three digits, and a power."""


def _words(*texts: str) -> NDArray[np.uint32]:
    """Return texts of up to four letters as a word each, ending in NULs."""
    return np.frombuffer(b"".join(text.encode().ljust(4, b"\0") for text in texts), np.uint32)


def _before(power: int) -> str:
    """Return what stands before the nine digits of a number, the comma before it among that."""
    return f",0.{'0' * (-power - 1)}" if -5 < power < 0 else ","


def _triples(form: str) -> NDArray[np.uint32]:
    """Return three digits, 0 to 999, as they are; and 1000 more without the zeros at their end."""
    whole = [form.format(*f"{number:03d}") for number in range(1000)]
    return _words(*whole, *(text.rstrip("0").rstrip(".") for text in whole))


_POWERS: Final = range(_LEAST, 1)
_STARTS: Final = np.stack(
    [
        _words("", *(_before(power)[:4] for power in _POWERS), ",0"),
        _words("", *(_before(power)[4:] for power in _POWERS), ""),
    ]
)
_ENDS: Final = _words("", *(f"e{power:03d}" if power < -4 else "" for power in _POWERS), "")
_INNER: Final = _triples("{}{}{}")
_FIRST: Final = np.concatenate([_INNER, _triples("{}.{}{}")])
"""The first three digits: of a number whose point stands before them, and after the first."""

_POINTED: Final = np.array(
    [0, *(2000 * (power < -4 or power == 0) for power in _POWERS), 0], np.int32
)


def digit_rows(values: Pooled) -> list[str]:
    """Return the numbers of each row, finite float64 (N, C), with commas between them."""
    if not values.size:
        return [""] * len(values)
    size = max(_AT_ONCE // values.shape[1], 1)
    starts = range(0, len(values), size)
    return [text for start in starts for text in _texts(values[start : start + size])]


def _texts(values: Pooled) -> list[str]:
    rows, columns = values.shape
    words = np.zeros((rows, columns * _WORDS + 1), np.uint32)
    words[:, -1] = _words("\n")
    cells = words[:, :-1].reshape(rows, columns, _WORDS)
    letters = cells.view(np.uint8)
    for row, column in np.argwhere(_filled(cells, values)).tolist():
        text = f",{values[row, column]:.9g}".encode()
        letters[row, column] = np.frombuffer(text.ljust(4 * _WORDS, b"\0"), np.uint8)
    letters[:, 0, 0] = 0  # no comma before the first
    return words.tobytes().translate(None, b"\0").decode().split("\n")[:-1]


def _filled(cells: NDArray[np.uint32], values: Pooled) -> NDArray[np.bool_]:
    """Write numbers (N, C) into words (N, C, 6), a comma before each; tell which are left out."""
    place = np.searchsorted(_BOUNDS, values, side="right")
    place[place > len(_POWERS)] = 0
    scaled = values * _SCALES[place]
    digits = np.rint(scaled)
    odd = (np.abs(scaled - digits) > 0.5 - _CLOSE) | np.signbit(values)
    carried = digits >= 1e9
    digits[carried] = 1e8
    place += carried
    odd |= place > len(_POWERS)
    place[values == 0] = _ZERO
    odd |= place == 0
    place[odd] = 0
    _write(cells, place, digits.astype(np.int32))
    return np.asarray(odd, bool)


def _write(cells: NDArray[np.uint32], place: Indices, digits: NDArray[np.int32]) -> None:
    """Write the nine digits of numbers (N, C), and what their places ask for around them."""
    thousands, last = np.divmod(digits, np.int32(1000))
    first, middle = np.divmod(thousands, np.int32(1000))
    short = last == 0
    cells[..., 0], cells[..., 1] = _STARTS[0][place], _STARTS[1][place]
    cells[..., 4] = _INNER[last + 1000]
    cells[..., 3] = _INNER[middle + 1000 * short]
    short &= middle == 0
    cells[..., 2] = _FIRST[first + _POINTED[place] + 1000 * short]
    cells[..., 5] = _ENDS[place]
