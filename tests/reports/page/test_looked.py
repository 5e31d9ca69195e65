"""What a page is made of needs no more than a title."""

from ensemble.reports.page.layout import page_of
from ensemble.reports.page.looked import Looked


def test_nothing_looked_at_is_a_page_without_sections() -> None:
    page = page_of(Looked("empty", "nothing"))
    assert (page.title, page.sections, page.facts) == ("empty", (), ())
