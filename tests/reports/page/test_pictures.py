"""Pictures are put where a page names their images."""

from pathlib import Path

from pictures import picture

from ensemble.images.sources import Source
from ensemble.records import DecodePolicy
from ensemble.reports.page.blocks import Gallery, Group, Page, Section, Shown
from ensemble.reports.page.pictures import with_pictures
from ensemble.reports.page.thumbnails import Images


def test_every_named_image_gets_its_picture_or_the_reason_that_there_is_none(
    tmp_path: Path,
) -> None:
    picture().save(tmp_path / "a.png")
    given = Images({"a": Source("a", tmp_path / "a.png")}, DecodePolicy(), {}, "none were given")
    one, two = Gallery("one", (Shown("a", ()),)), Gallery("two", (Shown("b", ()),))
    inner = Section("y", "y", "", (Group((two,)),))
    page = with_pictures(Page("t", "", (), (Section("x", "x", "", (one,), (inner,)),)), given, 1)
    (section,) = page.sections
    (shown,) = section.blocks[0].images  # type: ignore[union-attr]
    assert shown.uri.startswith("data:image/jpeg")
    (group,) = section.inner[0].blocks
    (lacking,) = group.galleries[0].images  # type: ignore[union-attr]
    assert (lacking.uri, lacking.lacking) == ("", "none were given")
