"""Where the pictures of a report come from: the images by id, and the box of each."""

from collections.abc import Mapping
from pathlib import Path

from ensemble.boxes import Box
from ensemble.errors import UsageError
from ensemble.images.crop_table import read_crops
from ensemble.images.reading import hash_sources
from ensemble.images.sources import scan
from ensemble.inference.fingerprint import image_set_of
from ensemble.pipeline.report_order import ReportOrder
from ensemble.predictions.parsed import record_of, texts_of
from ensemble.predictions.run_record import RunRecord
from ensemble.recipe.settings import DECODE, IN_MEMORY
from ensemble.records import DecodePolicy, IdFrom, check_choice
from ensemble.reports.page.looked import Looked
from ensemble.reports.page.thumbnails import Images
from ensemble.runtime.devices import available_threads


def found_images(looked: Looked, order: ReportOrder) -> Images:
    """Find the images that are named, or those of the run; why there are none, where it is so.

    Raises:
        UsageError: images that are named, and are not there.
    """
    settings = looked.record.settings if looked.record else {}
    policy = _decode_of(settings)
    boxes = {each.id: each.box for each in looked.boxes} or _boxes_of(looked.record)
    named = order.images or texts_of(settings.get("images", ()))
    if not (looked.answers or looked.boxes):
        return Images({}, policy, boxes)
    if not named:
        return Images({}, policy, boxes, "there are no pictures: --images says where images lie")
    try:
        found = scan(named, _id_from(order, settings), order.id_column or _text(settings, "id_col"),
                     order.image_col or _text(settings, "image_col"))  # fmt: skip
    except UsageError as error:
        if order.images:
            raise
        return Images({}, policy, boxes, f"there are no pictures, for the images of the run are "
                      f"not where they were: {error}; --images says where they lie")  # fmt: skip
    return Images({source.id: source for source in found.images}, policy, boxes)


def unlike_the_run(record: RunRecord | None, images: Images) -> str:
    """Say so where the images that were found are not, byte by byte, those of the run; else "".

    Of a run with crops nothing is said: its image set tells boxes too.
    """
    told = record.facts.get("image_set") if record else None
    if record is None or told is None or not images.sources or record.settings.get("crops"):
        return ""
    found = hash_sources(list(images.sources.values()), available_threads())
    if image_set_of(found).sha256 == told:
        return ""
    return (
        "the images that are found are not those of the run, byte by byte, or not all of them: "
        "pictures may show what was not predicted"
    )


def _id_from(order: ReportOrder, settings: Mapping[str, object]) -> IdFrom:
    told = order.id_from or settings.get("id_from", "stem")
    check_choice("id_from", told, IdFrom)
    return "name" if told == "name" else "path" if told == "path" else "stem"


def _decode_of(settings: Mapping[str, object]) -> DecodePolicy:
    """Return how a run decoded its images; of a record that lacks it the default."""
    told = {name: settings[name] for name in DECODE if name in settings}
    return record_of(DecodePolicy, told)


def _text(settings: Mapping[str, object], name: str) -> str | None:
    told = settings.get(name)
    return told if isinstance(told, str) else None


def _boxes_of(record: RunRecord | None) -> dict[str, Box]:
    """Return the boxes of a run's table of crops, if it is still there."""
    told = _text(record.settings, "crops") if record else None
    if told is None or told.startswith(IN_MEMORY) or not Path(told).is_file():
        return {}
    return {name: row.box for name, row in read_crops(Path(told)).items()}
