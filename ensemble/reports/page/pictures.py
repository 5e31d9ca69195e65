"""Pictures put into a page that names its images: each made once, the first galleries first."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ensemble.reports.page.blocks import Block, Gallery, Group, Page, Section, Shown
from ensemble.reports.page.thumbnails import Images, Thumbnail, thumbnails


def with_pictures(page: Page, images: Images, threads: int) -> Page:
    """Return the page with the picture of each image that it names, or why there is none."""
    names = [shown.id for section in page.sections for shown in _named(section)]
    made = thumbnails(images, names, threads)
    return replace(page, sections=tuple(_filled(section, made) for section in page.sections))


def _named(section: Section) -> Iterator[Shown]:
    for block in section.blocks:
        galleries = block.galleries if isinstance(block, Group) else (block,)
        for gallery in galleries:
            yield from gallery.images if isinstance(gallery, Gallery) else ()
    for inner in section.inner:
        yield from _named(inner)


def _filled(section: Section, made: Mapping[str, Thumbnail]) -> Section:
    blocks = tuple(_block(block, made) for block in section.blocks)
    inner = tuple(_filled(each, made) for each in section.inner)
    return replace(section, blocks=blocks, inner=inner)


def _block(block: Block, made: Mapping[str, Thumbnail]) -> Block:
    if isinstance(block, Group):
        return Group(tuple(_gallery(each, made) for each in block.galleries))
    return _gallery(block, made) if isinstance(block, Gallery) else block


def _gallery(gallery: Gallery, made: Mapping[str, Thumbnail]) -> Gallery:
    return replace(gallery, images=tuple(_shown(each, made[each.id]) for each in gallery.images))


def _shown(shown: Shown, made: Thumbnail) -> Shown:
    return replace(
        shown,
        uri=made.uri,
        lacking=made.lacking,
        width=made.width,
        height=made.height,
        small=made.small,
    )
