"""The images of a run: found and hashed, and what is odd about them told."""

from collections.abc import Mapping
from pathlib import Path

from ensemble.errors import StoreError, UsageError
from ensemble.files import csv_tables
from ensemble.images.crop_table import with_boxes
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.scan_index import open_index
from ensemble.images.sources import Scan, is_cut_short, scan
from ensemble.progress import Progress
from ensemble.recipe.resolve import Inputs
from ensemble.runtime.devices import available_threads


def find_images(
    inputs: Inputs, threads: int, progress: Progress, store: Path | None = None
) -> tuple[list[Hashed], Mapping[str, int]]:
    """Find and hash the images; return them in the order of their ids, and what was skipped.

    Where there are crops each image has its box. With a store what is as it was at an earlier scan
    is not read, unless inputs are to be verified.

    Raises:
        UsageError: no images, ids that are not unique, or crops that do not fit the images.
    """
    found = scan(inputs.images, inputs.id_from, inputs.id_col, inputs.image_col)
    for reason, count in found.skipped.items():
        cut = is_cut_short(reason)
        progress.warn(
            f"not predicted: {reason}" if cut else f"skipped {count} of the files: {reason}"
        )
    odd = csv_tables.formula_like([source.id for source in found.images])
    if odd:
        progress.warn(f"{len(odd)} ids start with = + - or @, such as {odd[0]!r}: a spreadsheet "
                      f"would run them as formulas")  # fmt: skip
    threads = threads or available_threads()
    images = _hashed(found, inputs, threads, progress, store)
    if inputs.crops is None:
        return images, found.skipped
    return with_boxes(images, inputs.crops, inputs.decode, threads, inputs.id_col), found.skipped


def check_whole(skipped: Mapping[str, int]) -> None:
    """Check that no archive of the images is cut short: for where no sample says what is missing.

    Raises:
        UsageError: one is; names it.
    """
    for reason in skipped:
        if is_cut_short(reason):
            raise UsageError(
                f"{reason}. Copy the archive again; or give --sample, whose ids say whether all "
                f"is there"
            )


def _hashed(
    found: Scan, inputs: Inputs, threads: int, progress: Progress, store: Path | None
) -> list[Hashed]:
    """Hash what was found, but for what the index of the scan knows, and keep the index."""
    if store is None:
        return hash_sources(found.images, threads)
    index = open_index(store, inputs.images, progress, trusted=not inputs.verify)
    images = hash_sources(found.images, threads, index)
    try:
        if index is not None:
            index.save()
    except StoreError as error:
        progress.warn(f"the next run will hash every image again: {error}")
    return images
