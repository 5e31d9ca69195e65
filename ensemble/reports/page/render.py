"""A page as one file of HTML: no script, no request, all text escaped by the templates."""

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from ensemble.reports.page.blocks import Page, shown_name

_TEMPLATES: Final = ("ensemble.reports.page", "templates")


def render(page: Page) -> bytes:
    """Return the page as UTF-8; the same page gives the same bytes."""
    environment = Environment(
        loader=PackageLoader(*_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["name"] = shown_name
    return environment.get_template("page.html").render(page=page).encode("utf-8")
