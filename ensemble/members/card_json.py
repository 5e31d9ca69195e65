"""The card as JSON: written, and read with every field checked.

It lies under the key `ensemble.card` of an ONNX file's metadata, or beside a foreign file as
`<file>.card.json`. It is untrusted text: capped in size, checked against this module, never
evaluated.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, get_args

from ensemble.boxes import MAX_MARGIN, Crop
from ensemble.errors import MemberError
from ensemble.files.fields import Choice, Fault, Fields, fields_of, shown
from ensemble.files.paths import is_file_name
from ensemble.members.card import Card, Head, declared
from ensemble.members.head_json import read_head
from ensemble.records import (
    MAX_CHANNELS,
    MAX_SIDE,
    Batch,
    ChannelOrder,
    Fit,
    Interpolation,
    Layout,
    Preprocess,
    Size,
)

METADATA_KEY: Final = "ensemble.card"
PACKED_KEY: Final = "ensemble.pack"
"""Where a file of `ensemble pack` holds its record: it is no member."""
SCHEMA: Final = 1
MAX_FOLD: Final = 1_000_000
MAX_CARD_BYTES: Final = 8 * 1024 * 1024

_CARD_FIELDS: Final = (
    "schema", "name", "family", "fold", "arch", "preprocess", "heads", "dynamic_size", "source",
    "batch", "layout",
)  # fmt: skip
_PREPROCESS_FIELDS: Final = (
    "height", "width", "fit", "crop_pct", "interpolation", "mean", "std", "channel_order", "crop",
)  # fmt: skip


def to_json(card: Card) -> str:
    """Write the card as JSON, in the order of the schema."""
    pre = card.preprocess
    preprocess = {"height": pre.size.height, "width": pre.size.width} | {
        k: v for k, v in pre.record().items() if k != "size"
    }
    fields = {k: v for k, v in asdict(card).items() if k not in ("batch", "layout")}
    told = {"preprocess": preprocess, "heads": [head.record() for head in card.heads]}
    record = {"schema": SCHEMA} | fields | told | declared(card)
    return json.dumps(record, ensure_ascii=False, indent=1)


def from_json(text: str | bytes, where: str) -> Card:
    """Read a card and check every field; `where` names the file in messages.

    Raises:
        MemberError: the text is too long, is not JSON, or breaks the schema.
    """
    if len(text) > MAX_CARD_BYTES:
        raise MemberError(f"{where}: the card has {len(text)} bytes, over {MAX_CARD_BYTES}")
    try:
        record = json.loads(text)
        json.dumps(record, ensure_ascii=False).encode()  # surrogates could not be written again
    except (ValueError, RecursionError) as error:
        raise MemberError(f"{where}: the card is not JSON: {error}") from error
    return _card(fields_of(record, "card", _fault(where)))


def make_card(record: Mapping[str, object], where: str) -> Card:
    """Make a card of plain fields, checked as if it were read; `where` names it in messages.

    Raises:
        MemberError: a field breaks the schema.
    """
    return from_json(json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False), where)


def read_heads(record: object, where: str) -> tuple[Head, ...]:
    """Read a list of heads and check every field; `where` names it in messages.

    Raises:
        MemberError: a field breaks the schema.
    """
    return tuple(map(read_head, Fields({"heads": record}, _fault(where)).each("heads")))


def _card(fields: Fields) -> Card:
    fields.only(_CARD_FIELDS)
    if fields.record.get("schema") != SCHEMA:
        raise fields.bad("schema", f"{SCHEMA}", fields.record.get("schema"))
    card = Card(
        name=_file_name(fields),
        family=fields.text("family"),
        fold=_fold(fields),
        arch=fields.text("arch"),
        preprocess=_preprocess(fields.inner("preprocess")),
        heads=tuple(map(read_head, fields.each("heads"))),
        dynamic_size="dynamic_size" in fields.record and fields.flag("dynamic_size"),
        source=_source(fields.inner("source")) if "source" in fields.record else {},
        batch=_option(fields, "batch", get_args(Batch)),
        layout=_option(fields, "layout", get_args(Layout)),
    )
    _check_heads(fields, card)
    return card


def _check_heads(fields: Fields, card: Card) -> None:
    names = [head.name for head in card.heads]
    if not names or len(set(names)) < len(names):
        raise fields.bad("heads", "one head or more, with different names", names)
    if "id" in names:
        raise fields.bad("heads", "other names than id, the column of the images", names)
    if len(names) > 1 and card.finds_boxes:
        raise fields.bad("heads", "a head of boxes alone: a detector is a member of its own", names)


def _file_name(fields: Fields) -> str:
    name = fields.text("name")
    if not is_file_name(name):
        expected = 'what a file may be called: no / \\ : * ? " < > |, no leading dot, not long'
        raise fields.bad("name", expected, name)
    return name


def _fold(fields: Fields) -> int | None:
    if fields.record.get("fold") is None:
        return None
    return fields.whole("fold", f"a whole number from 0 to {MAX_FOLD}, or null", 0, MAX_FOLD)


def _preprocess(fields: Fields) -> Preprocess:
    fields.only(_PREPROCESS_FIELDS)
    mean, std = _normalisation(fields)
    order: ChannelOrder = _option(fields, "channel_order", get_args(ChannelOrder))
    if order == "bgr" and len(mean) != 3:
        raise fields.bad("channel_order", "bgr for 3 channels only", len(mean))
    crop_pct = fields.number("crop_pct")
    if not 0.05 <= crop_pct <= 20:
        raise fields.bad("crop_pct", "a number from 0.05 to 20", crop_pct)
    pixels = f"whole pixels from 1 to {MAX_SIDE}"
    return Preprocess(
        size=Size(*(fields.whole(side, pixels, 1, MAX_SIDE) for side in ("height", "width"))),
        fit=fields.choice("fit", get_args(Fit)),
        crop_pct=crop_pct,
        interpolation=fields.choice("interpolation", get_args(Interpolation)),
        mean=mean,
        std=std,
        channel_order=order,
        crop=_crop(fields.inner("crop")) if "crop" in fields.record else None,
    )


def _crop(fields: Fields) -> Crop:
    fields.only(("margin", "square"))
    margin = fields.number("margin")
    if not 0 <= margin <= MAX_MARGIN:
        raise fields.bad("margin", f"a number from 0 to {MAX_MARGIN}", margin)
    return Crop(margin, fields.flag("square"))


def _normalisation(fields: Fields) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read the means and the deviations of the channels, for pixels from 0 to 1."""
    mean, std = fields.numbers("mean"), fields.numbers("std")
    if not 1 <= len(mean) <= MAX_CHANNELS or len(std) != len(mean):
        expected = f"1 to {MAX_CHANNELS} values, one a channel, and as many in std"
        raise fields.bad("mean", expected, list(mean))
    if min(std) <= 0:
        raise fields.bad("std", "values above 0", list(std))
    if min(mean) < 0 or max(mean) > 1:
        expected = "values from 0 to 1, as pixels are (divide by 255, or say --input-range 255)"
        raise fields.bad("mean", expected, list(mean))
    return mean, std


def _option(fields: Fields, name: str, choices: tuple[Choice, ...]) -> Choice:
    """Read a choice that may be left out: then it is the first."""
    return fields.choice(name, choices) if name in fields.record else choices[0]


def _source(fields: Fields) -> dict[str, str | float]:
    found = {k: v for k, v in fields.record.items() if isinstance(v, str | int | float)}
    for name in fields.record.keys() - found.keys():
        raise fields.bad(name, "text or a number", fields.record[name])
    return found


def _fault(where: str) -> Fault:
    """Return what makes the error of a field of the card in a file."""
    return lambda name, expected, found: MemberError(
        f"{where}: card field {name!r}: expected {expected}, found {shown(found)}. Mend the "
        f"flag, export the member again, or write the card beside it anew"
    )
