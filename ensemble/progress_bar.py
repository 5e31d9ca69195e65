"""Progress that is shown: a bar in a terminal or a notebook, lines elsewhere; one for both doors.

Neither rich nor IPython is imported: a notebook that is running has IPython loaded already.
"""

import contextlib
import html
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, Self, TextIO, TypeAlias

from ensemble.errors import UsageError
from ensemble.progress import Listener, Progress, Quiet

FRESH_LINE: Final = "\r\x1b[K"
"""What wipes the line of a terminal that a bar may stand in."""

Given = Progress | Listener | Literal["auto"] | None
"""What Python is given: "auto" shows what suits the place, None shows nothing."""

_WIDTH: Final = 30


class Terminal:
    """A canvas that is one line of a terminal."""

    every = 0.2

    def __init__(self, stream: TextIO) -> None:
        """Draw on a stream that is a terminal."""
        self._stream = stream

    def draw(self, share: float, text: str) -> None:
        """Draw the bar anew."""
        filled = round(_WIDTH * share)
        self._write(f"{FRESH_LINE}[{'#' * filled}{'.' * (_WIDTH - filled)}] {text}")

    def note(self, message: str) -> None:
        """Print a line, its first word in yellow."""
        self._write(f"\x1b[33mnote:\x1b[0m {message}\n")

    def clear(self) -> None:
        """Wipe the line."""
        self._write(FRESH_LINE)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class Lines:
    """A canvas that is a log: a line every so many seconds."""

    def __init__(self, stream: TextIO, every: float = 10.0) -> None:
        """Print on any stream, notes alone where `every` is infinite."""
        self._stream, self.every = stream, every

    def draw(self, share: float, text: str) -> None:
        """Print a line."""
        self._write(text)

    def note(self, message: str) -> None:
        """Print a line."""
        self._write(f"note: {message}")

    def clear(self) -> None:
        """Leave the lines where they are."""

    def _write(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class Notebook:
    """A canvas in the output of a notebook's cell: one bar, and a line for each note."""

    every = 0.5

    def __init__(self, display: Callable[..., Any]) -> None:
        """Draw by IPython's `display`."""
        self._display = display
        self._bar: Any = None

    def draw(self, share: float, text: str) -> None:
        """Draw the bar, in the place where it stood."""
        picture = f'<progress value="{share:.3f}" max="1"></progress> {html.escape(text)}'
        data = {"text/plain": text, "text/html": picture}
        if self._bar is None:
            self._bar = self._display(data, raw=True, display_id=True)
        else:
            self._bar.update(data, raw=True)

    def note(self, message: str) -> None:
        """Show a line that stays."""
        text = f"note: {message}"
        data = {"text/plain": text, "text/html": f"<div>{html.escape(text)}</div>"}
        self._display(data, raw=True)

    def clear(self) -> None:
        """Empty the bar's place."""
        if self._bar is not None:
            self._bar.update({"text/plain": "", "text/html": ""}, raw=True)


Canvas: TypeAlias = Terminal | Lines | Notebook
"""Where a bar stands: `every` so many seconds it is drawn; notes stay."""


class Bar:
    """Progress of a run: a bar on a terminal, elsewhere a line every ten seconds.

    A run over one image and several members is one image: rates are in images.
    """

    def __init__(
        self,
        place: TextIO | Canvas,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Report on a stream, or on a canvas."""
        self._canvas = place if isinstance(place, Canvas) else _canvas_of(place)
        self._clock = clock
        self._total = self._done = 0
        self._members, self._unit = 1, "images"
        self._began = self._shown = clock()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal on a fresh line."""
        if self._total:
            self._canvas.clear()

    def start(self, total: int, members: int, unit: str = "images") -> None:
        """Begin a count: evaluations in all, of so many members, that make `unit`."""
        self._unit = unit
        self._total, self._done, self._members = total, 0, max(members, 1)
        self._began = self._clock()
        self._shown = self._began

    def advance(self, evaluations: int) -> None:
        """Count evaluations, and show them when it is time."""
        self._done += evaluations
        now = self._clock()
        if now - self._shown >= self._canvas.every:
            self._shown = now
            self._show(now)

    def warn(self, message: str) -> None:
        """Print a line of warning."""
        if self._total:
            self._canvas.clear()
        self._canvas.note(message)

    def _show(self, now: float) -> None:
        share = self._done / self._total
        seconds = max(now - self._began, 1e-9)
        rate = self._done / self._members / seconds
        left = round(seconds * (1 - share) / max(share, 1e-9))
        text = f"{share:4.0%}  {rate:.1f} {self._unit}/s  {left // 60}:{left % 60:02d} left"
        self._canvas.draw(share, text)


@contextlib.contextmanager
def shown(progress: Given) -> Iterator[Progress]:
    """Yield who is to be told: what suits the place for "auto", nobody for None, else who is given.

    In a notebook, and where stderr is a terminal, a bar is shown; elsewhere notes alone, on stderr.
    A listener has `warn` only, and is not told how far it is.

    Raises:
        UsageError: what is given listens to nothing.
    """
    if progress is None:
        yield Quiet()
    elif progress == "auto":
        with Bar(_place()) as bar:
            yield bar
    elif not callable(getattr(progress, "warn", None)):
        raise UsageError(
            f'progress: expected "auto", None, or an object with the methods of '
            f"ensemble.progress.Progress, or warn alone; found {type(progress).__name__}"
        )
    else:
        yield _Told(progress)


class _Told:
    """A progress that passes on what a listener hears."""

    def __init__(self, listener: Progress | Listener) -> None:
        self.warn = listener.warn
        self.start = getattr(listener, "start", Quiet().start)
        self.advance = getattr(listener, "advance", Quiet().advance)


def _canvas_of(stream: TextIO) -> Canvas:
    return Terminal(stream) if stream.isatty() else Lines(stream)


def _place() -> Canvas:
    """Return the canvas that suits the place where Python runs."""
    if (display := notebook_display()) is not None:
        return Notebook(display)
    return Terminal(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr, math.inf)


def notebook_display() -> Callable[..., Any] | None:
    """Return IPython's `display` where a kernel runs this code, as in a notebook; else None."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return ipython.display.display if hasattr(shell, "kernel") else None
