"""The images of a run: found and hashed, and what is odd about them told."""

from collections.abc import Mapping

from ensemble.files import csv_tables
from ensemble.images.crop_table import with_boxes
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import scan
from ensemble.progress import Progress
from ensemble.recipe.resolve import Inputs
from ensemble.runtime.devices import available_threads


def find_images(
    inputs: Inputs, threads: int, progress: Progress
) -> tuple[list[Hashed], Mapping[str, int]]:
    """Find and hash the images; return them in the order of their ids, and what was skipped.

    Where there are crops each image has its box.

    Raises:
        UsageError: no images, ids that are not unique, or crops that do not fit the images.
    """
    found = scan(inputs.images, inputs.id_from, inputs.id_col, inputs.image_col)
    for reason, count in found.skipped.items():
        progress.warn(f"skipped {count} of the files: {reason}")
    odd = csv_tables.formula_like([source.id for source in found.images])
    if odd:
        progress.warn(f"{len(odd)} ids start with = + - or @, such as {odd[0]!r}: a spreadsheet "
                      f"would run them as formulas")  # fmt: skip
    images = hash_sources(found.images, threads or available_threads())
    if inputs.crops is None:
        return images, found.skipped
    threads = threads or available_threads()
    return with_boxes(images, inputs.crops, inputs.decode, threads, inputs.id_col), found.skipped
