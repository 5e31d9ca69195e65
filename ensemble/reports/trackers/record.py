"""Recording by trackers: at the end of the work, in processes of their own, within a time.

A tracker never fails the work: whatever it does, a note says so and how to mend it.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ensemble.progress import Listener
from ensemble.recipe.track import PACKAGES, Track, without_secret
from ensemble.reports.trackers.child import Answer, Order, read_answer, write_order
from ensemble.reports.trackers.tracked import Tracked
from ensemble.worker import WATCH

LIMIT: Final = 120.0
"""The seconds that a tracker has; MLflow alone needs 40 for its tables on a busy machine."""

_CODE: Final = """
import sys
sys.path[:] = {path!r}
from ensemble.reports.trackers.child import main
main({folder!r})
"""

_PATIENCE: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""What a tracker finds in its environment unless the user says otherwise: some try for minutes."""

_SILENCE: Final = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_CONSOLE": "off",
    "WANDB_SILENT": "true",
}
"""What it finds there in any case: packages tell their makers nothing of their own."""

_REMEDIES: Final[Mapping[str, str]] = {
    "mlflow": "see that the tracking URI is right and answers, or can be written to "
    "(MLFLOW_TRACKING_URI, or --track mlflow=URI; a database needs 'ensemble-vote[mlflow]')",
    "wandb": "see that its server answers and `wandb login` was said, or set WANDB_MODE=offline",
    "tensorboard": "name a folder that can be written to (--track tensorboard=DIR)",
}


def ready(tracks: Sequence[Track], listener: Listener) -> tuple[Track, ...]:
    """Return the trackers that are installed; say of the others at once how to install them."""
    lacking = [t.name for t in tracks if importlib.util.find_spec(PACKAGES[t.name]) is None]
    for name in lacking:
        listener.warn(
            f"{name} records nothing, since {PACKAGES[name]} is not installed: pip install "
            f"'ensemble-vote[{name}]', or in a clone pip install '.[{name}]'; the work goes on "
            f"without it"
        )
    return tuple(track for track in tracks if track.name not in lacking)


def record(
    tracks: Sequence[Track],
    tell: Callable[[], Tracked],
    listener: Listener,
    *,
    limit: float = LIMIT,
) -> None:
    """Have trackers record what was done, and say where it lies, or why it does not.

    Args:
        tracks: The trackers, which are installed; none, and nothing is done.
        tell: Returns what is recorded.
        listener: Told of it.
        limit: The seconds that each tracker has.
    """
    if not tracks:
        return
    try:
        with tempfile.TemporaryDirectory(prefix="ensemble-track-") as folder:
            tracked = tell()
            pictures = _drawn(tracked, Path(folder), listener)
            for track in tracks:
                order = Order(
                    track.name,
                    track.where,
                    tracked.name,
                    tracked.settings,
                    tracked.scores,
                    pictures,
                )
                listener.warn(_said(track, _answer(Path(folder), order, limit)))
    except Exception as error:  # the work is done, and a record of it must not undo that
        listener.warn(f"no tracker has recorded it: {type(error).__name__}: {error}")


def _drawn(tracked: Tracked, folder: Path, listener: Listener) -> dict[str, str]:
    """Draw the pictures into a folder; without matplotlib there are none, which is said."""
    paths = {name: folder / f"{name}.png" for name in tracked.pictures}
    try:
        for name, draw in tracked.pictures.items():
            draw(paths[name])
    except ModuleNotFoundError:
        listener.warn("no picture is recorded: matplotlib comes with the extra `tune`")
        return {}
    return {name: str(path) for name, path in paths.items()}


def _answer(folder: Path, order: Order, limit: float) -> Answer:
    """Have a process do an order; return its answer, or how it ended without one."""
    place = folder / order.tracker
    place.mkdir()
    write_order(place, order)
    with _started(place) as process:
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return Answer(recorded=False, told=f"it did not end within {limit:g} s")
    ended = Answer(recorded=False, told=f"its process ended with exit code {code}")
    return read_answer(place) or ended


@contextmanager
def _started(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process of a tracker; it and what it started do not outlive the block.

    What it prints stays in the folder: stdout is for data alone.
    """
    code = _CODE.format(path=sys.path, folder=str(place))
    own = {name: value for name, value in os.environ.items() if name != WATCH}
    with (place / "printed").open("wb") as printed:
        process = subprocess.Popen(  # noqa: S603 - this Python, and code of our own
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env={**_PATIENCE, **own, **_SILENCE},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that has not ended, with those that it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _said(track: Track, answer: Answer) -> str:
    """Say where a tracker has recorded the work, or what to do about it."""
    told = without_secret(answer.told)
    if answer.recorded:
        return f"{track.name} has recorded it: {told}"
    return (
        f"{track.name} has not recorded it, and nothing else is amiss: {told}; "
        f"{_REMEDIES[track.name]}, and the same command again records it"
    )
