"""The images of a run: found and hashed, and what is odd about them told."""

from collections.abc import Mapping

from ensemble.files import csv_tables
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import scan
from ensemble.progress import Progress
from ensemble.recipe.resolve import Inputs
from ensemble.runtime.devices import available_threads


def find_images(
    inputs: Inputs, threads: int, progress: Progress
) -> tuple[list[Hashed], Mapping[str, int]]:
    """Find and hash the images; return them in the order of their ids, and what was skipped.

    Raises:
        UsageError: no images, or ids that are not unique.
    """
    found = scan(inputs.images, inputs.id_from)
    for reason, count in found.skipped.items():
        progress.warn(f"skipped {count} of the files: {reason}")
    odd = csv_tables.formula_like([source.id for source in found.images])
    if odd:
        progress.warn(f"{len(odd)} ids start with = + - or @, such as {odd[0]!r}: a spreadsheet "
                      f"would run them as formulas")  # fmt: skip
    return hash_sources(found.images, threads or available_threads()), found.skipped
