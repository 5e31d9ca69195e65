"""Tables as a notebook shows them."""

from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.html_table import html_table


class Cells(HTMLParser):
    """The texts of a table, by the tags that they stand in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.texts += [""] * (tag in ("caption", "th", "td"))

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=["C"]), min_size=1), min_size=3))
def test_every_text_is_escaped(texts: list[str]) -> None:
    caption, *cells = texts
    found = Cells(html_table(caption, cells, [cells]))
    assert set(found.tags) == {"table", "caption", "tr", "th", "td"}
    assert found.texts == [caption, *cells, *cells]


def test_long_tables_are_cut_and_say_so() -> None:
    text = html_table("t", ["n"], [[n] for n in range(10_000)], most=3)
    assert text.count("<td>") == 3
    assert text.endswith("<p>and 9997 rows more</p>")


def test_numbers_have_five_digits() -> None:
    assert "<td>0.33333</td><td>12345</td>" in html_table("t", ["a", "b"], [[1 / 3, 12345]])
