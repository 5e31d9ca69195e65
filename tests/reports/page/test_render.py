"""A page as HTML: whole, escaped, without script or request, fit for keyboards and readers."""

import itertools
import re

from pages import CLASSES, Read, answer_of, card_of, given

from ensemble.reports.page.blocks import Cell, Gallery, Note, Page, Section, Shown, Table
from ensemble.reports.page.layout import page_of
from ensemble.reports.page.looked import Looked
from ensemble.reports.page.render import render

ODD = "<img src=x onerror=alert(1)>\"'&\u202e"
PROBS = given(60)
CARD = card_of([CLASSES[n % 3] for n in range(60)], PROBS)
WHOLE = page_of(Looked("run", "of", (answer_of(PROBS, CARD),)))


def hostile() -> Page:
    table = Table(ODD, (ODD, "n"), ((Cell(ODD), Cell(ODD, exact="1", href="#x", said=ODD)),))
    images = (Shown(ODD, (Cell(ODD),)), Shown("b", (), lacking=ODD))
    gallery = Gallery(ODD, images, "x", 3, ODD, "#s")
    return Page(ODD, ODD, (), (Section("s", ODD, ODD, (table, gallery, Note(ODD, warns=True))),))


def test_the_same_page_gives_the_same_bytes() -> None:
    assert render(WHOLE) == render(WHOLE)


def test_odd_names_are_text_and_nothing_else() -> None:
    read = Read(render(hostile()))
    assert "script" not in read.tags
    assert "img" not in read.tags  # there is no picture, and the names make none
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    assert read.text.count("<img src=x onerror=alert(1)>") > 5


def test_nothing_is_fetched_and_no_script_runs() -> None:
    text = render(WHOLE).decode()
    assert "<script" not in text
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", text)
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_every_link_leads_to_one_place() -> None:
    read = Read(render(WHOLE))
    assert len(set(read.ids)) == len(read.ids)
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)


def test_tables_have_captions_and_cells_have_their_headings() -> None:
    read = Read(render(WHOLE))
    assert read.tags.count("table") == read.tags.count("caption") > 3
    scopes = [value for tag, name, value in read.attributes if (tag, name) == ("th", "scope")]
    assert len(scopes) == read.tags.count("th")
    assert set(scopes) == {"row", "col"}


def test_headings_go_down_one_step_at_a_time_and_landmarks_are_there() -> None:
    read = Read(render(WHOLE))
    levels = [int(tag[1]) for tag in read.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= set(read.tags)
    assert ("html", "lang", "en") in read.attributes
    assert read.links[0] == "#main"


def test_drawings_say_what_they_show() -> None:
    read = Read(render(WHOLE))
    labels = [value for tag, name, value in read.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == read.tags.count("svg") > 0
    assert all(labels)
