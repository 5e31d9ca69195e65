"""Progress is shown where it suits: in a terminal, in a notebook, in a log."""

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.errors import UsageError
from ensemble.progress import Quiet
from ensemble.progress_bar import FRESH_LINE, Bar, Notebook, notebook_display
from ensemble.progress_bar import shown as told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, *moments: float) -> str:
    """What a bar writes of one evaluation a moment, of four images by two members."""
    clock = iter([0.0, 0.0, *moments])
    with Bar(stream, lambda: next(clock)) as bar:
        bar.start(8, 2)
        for _ in moments:
            bar.advance(4)
    return stream.getvalue()


def test_elsewhere_than_on_a_terminal_a_line_comes_every_ten_seconds() -> None:
    assert shown(io.StringIO(), 9.0) == ""
    assert shown(io.StringIO(), 10.0) == " 50%  0.2 images/s  0:10 left\n"


def test_a_bar_on_a_terminal_stands_in_one_line_that_it_wipes() -> None:
    said = shown(Terminal(), 1.0, 2.0)
    assert "\n" not in said
    assert f"[{'#' * 15}{'.' * 15}]  50%  2.0 images/s" in said
    assert said.endswith(FRESH_LINE)


class Cell:
    """The output of a notebook's cell: what IPython's `display` was given."""

    def __init__(self) -> None:
        self.outputs: list[dict[str, str]] = []

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool = False) -> Any:
        assert raw
        self.outputs.append(data)
        return (
            SimpleNamespace(update=lambda data, raw: self._put(place, data))
            if (place := len(self.outputs)) and display_id
            else None
        )

    def _put(self, place: int, data: dict[str, str]) -> None:
        self.outputs[place - 1] = data


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A notebook: IPython is loaded, and its shell has a kernel."""
    made = Cell()
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(
        sys.modules, "IPython",
        SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=made.display)),
    )  # fmt: skip
    return made


def test_a_notebook_has_one_bar_in_its_place_and_notes_that_stay() -> None:
    cell, clock = Cell(), iter([0.0, 0.0, 1.0, 2.0])
    with Bar(Notebook(cell.display), lambda: next(clock)) as bar:
        bar.start(8, 1)
        bar.advance(2)
        bar.advance(2)
        assert [data["text/plain"] for data in cell.outputs] == [" 50%  2.0 images/s  0:02 left"]
        assert '<progress value="0.500" max="1">' in cell.outputs[0]["text/html"]
        bar.warn("<b> is odd")
    assert [data["text/plain"] for data in cell.outputs] == ["", "note: <b> is odd"]
    assert cell.outputs[1]["text/html"] == "<div>note: &lt;b&gt; is odd</div>"


def test_a_notebook_shows_progress_unasked(cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    with told("auto") as progress:
        progress.warn("the images are others")
    assert cell.outputs[0]["text/plain"] == "note: the images are others"
    assert capsys.readouterr() == ("", "")


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    assert notebook_display() is None


def test_a_script_without_a_terminal_prints_notes_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with told("auto") as progress:
        progress.start(4, 1)
        progress.advance(2)
        progress.warn("the images are others")
    assert capsys.readouterr() == ("", "note: the images are others\n")


def test_a_terminal_shows_a_bar_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    with told("auto") as progress:
        progress.warn("odd")
    assert stream.getvalue() == "\x1b[33mnote:\x1b[0m odd\n"


def test_none_is_told_nothing(capsys: pytest.CaptureFixture[str], cell: Cell) -> None:
    with told(None) as progress:
        progress.warn("odd")
    assert (capsys.readouterr(), cell.outputs) == (("", ""), [])


def test_a_listener_hears_notes_and_a_progress_all() -> None:
    heard: list[object] = []
    with told(SimpleNamespace(warn=heard.append)) as progress:  # type: ignore[arg-type]
        progress.start(4, 1)
        progress.advance(2)
        progress.warn("odd")
    assert heard == ["odd"]

    class Counting(Quiet):
        def advance(self, evaluations: int) -> None:
            heard.append(evaluations)

    with told(Counting()) as progress:
        progress.advance(3)
    assert heard == ["odd", 3]


def test_what_listens_to_nothing_is_refused() -> None:
    expected = 'progress: expected "auto", None, .*; found int'
    with pytest.raises(UsageError, match=expected), told(7):  # type: ignore[arg-type]
        pass
