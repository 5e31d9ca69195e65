"""The card: what a member says of itself, checked field by field.

A card is JSON under the key `ensemble.card` of an ONNX file's metadata, or beside a foreign file
as `<file>.card.json`. It is untrusted text: capped in size, checked against this module, never
evaluated.
"""

import json
import re
import reprlib
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, cast, get_args

from ensemble.errors import MemberError
from ensemble.files.paths import is_file_name
from ensemble.records import (
    MAX_CHANNELS,
    MAX_SIDE,
    TASKS,
    Activation,
    Batch,
    ChannelOrder,
    Fit,
    Interpolation,
    Layout,
    Preprocess,
    Size,
    Task,
)

METADATA_KEY: Final = "ensemble.card"
SCHEMA: Final = 1
MAX_FOLD: Final = 1_000_000
_LARGEST: Final = sys.float_info.max
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
MAX_CARD_BYTES: Final = 8 * 1024 * 1024

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Head:
    """One output of a member: its ONNX output, what it means, and the names of its columns.

    `activation` is what turns the output into probabilities: "exp" where it holds their logarithms
    (a net that ends in LogSoftmax), "none" where it already holds them, and for a regression,
    whose `classes` name the values.
    """

    name: str
    output: str
    task: Task
    activation: Activation
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A member's description of itself. `fold` is None for a member that saw every row.

    `batch` is "alone" where a prediction depends on the rest of its batch, so that each image is
    scored by itself; `layout` tells where the input has its channels.
    """

    name: str
    family: str
    fold: int | None
    arch: str
    preprocess: Preprocess
    heads: tuple[Head, ...]
    dynamic_size: bool = False
    source: Mapping[str, str | float] = field(default_factory=dict)
    batch: Batch = "any"
    layout: Layout = "nchw"

    def head(self, name: str | None = None) -> Head:
        """Return the head of that name; without one, the only head.

        Raises:
            MemberError: no head has the name, or several heads and none was named.
        """
        if name is None and len(self.heads) == 1:
            return self.heads[0]
        for head in self.heads:
            if head.name == name:
                return head
        names = ", ".join(h.name for h in self.heads)
        asked = "has several heads" if name is None else f"has no head {name!r}"
        raise MemberError(f"member {self.name} {asked}; its heads: {names}. Name one with --head")


def to_json(card: Card) -> str:
    """Write the card as JSON, in the order of the schema."""
    pre = card.preprocess
    preprocess = {"height": pre.size.height, "width": pre.size.width} | {
        k: v for k, v in pre.record().items() if k != "size"
    }
    fields = {k: v for k, v in asdict(card).items() if k not in ("batch", "layout")}
    record = {"schema": SCHEMA} | fields | {"preprocess": preprocess} | declared(card)
    return json.dumps(record, ensure_ascii=False, indent=1)


def declared(card: Card) -> dict[str, str]:
    """Return `batch` and `layout` where they are not the usual ones: cards do without those."""
    return ({"batch": card.batch} if card.batch != "any" else {}) | (
        {"layout": card.layout} if card.layout != "nchw" else {}
    )


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
    return _Reader(where).card(record)


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
    reader, heads = _Reader(where), cast(list[Json], record)
    return tuple(reader.head(head, f"heads[{i}]") for i, head in enumerate(heads))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads fields of one card; every complaint names the file and the field."""

    where: str

    def card(self, record: Json) -> Card:
        fields = self._object(record, "card")
        self._only(fields, "", _CARD_FIELDS)
        if fields.get("schema") != SCHEMA:
            raise self._bad("schema", f"{SCHEMA}", fields.get("schema"))
        heads = self._list(fields, "heads")
        fold = fields.get("fold")
        if not (fold is None or (_is_int(fold) and 0 <= cast(int, fold) <= MAX_FOLD)):
            raise self._bad("fold", f"a whole number from 0 to {MAX_FOLD}, or null", fold)
        card = Card(
            name=self._file_name(fields, "name"),
            family=self._text(fields, "family"),
            fold=cast(int | None, fold),
            arch=self._text(fields, "arch"),
            preprocess=self._preprocess(self._object(fields.get("preprocess"), "preprocess")),
            heads=tuple(self.head(h, f"heads[{i}]") for i, h in enumerate(heads)),
            dynamic_size=self._flag(fields, "dynamic_size"),
            source=self._source(fields.get("source", {})),
            batch=cast(Batch, self._option(fields, "batch", get_args(Batch))),
            layout=cast(Layout, self._option(fields, "layout", get_args(Layout))),
        )
        names = [h.name for h in card.heads]
        if not names or len(set(names)) < len(names):
            raise self._bad("heads", "one head or more, with different names", names)
        if "id" in names:
            raise self._bad("heads", "other names than id, the column of the images", names)
        return card

    def _preprocess(self, fields: dict[str, Json]) -> Preprocess:
        self._only(fields, "preprocess.", _PREPROCESS_FIELDS)
        mean, std = self._numbers(fields, "mean"), self._numbers(fields, "std")
        if not 1 <= len(mean) <= MAX_CHANNELS or len(std) != len(mean):
            expected = f"1 to {MAX_CHANNELS} values, one a channel, and as many in std"
            raise self._bad("preprocess.mean", expected, list(mean))
        order = self._option(fields, _ORDER, get_args(ChannelOrder))
        if order == "bgr" and len(mean) != 3:
            raise self._bad(f"preprocess.{_ORDER}", "bgr for 3 channels only", len(mean))
        if min(std) <= 0:
            raise self._bad("preprocess.std", "values above 0", list(std))
        if min(mean) < 0 or max(mean) > 1:
            raise self._bad(
                "preprocess.mean",
                "values from 0 to 1, as pixels are (divide by 255, or say --input-range 255)",
                list(mean),
            )
        crop_pct = self._number(fields, "crop_pct")
        if not 0.05 <= crop_pct <= 20:
            raise self._bad("preprocess.crop_pct", "a number from 0.05 to 20", crop_pct)
        return Preprocess(
            size=Size(self._side(fields, "height"), self._side(fields, "width")),
            fit=cast(Fit, self._choice(fields, "fit", get_args(Fit))),
            crop_pct=crop_pct,
            interpolation=cast(
                Interpolation, self._choice(fields, "interpolation", get_args(Interpolation))
            ),
            mean=mean,
            std=std,
            channel_order=cast(ChannelOrder, order),
        )

    def head(self, record: Json, at: str) -> Head:
        fields = self._object(record, at)
        self._only(fields, at + ".", _HEAD_FIELDS)
        classes = self._list(fields, "classes")
        if not classes or not all(_is_name(c) for c in classes):
            raise self._bad(f"{at}.classes", "a list of names without control characters", classes)
        names = cast(list[str], classes)
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise self._bad(f"{at}.classes", "names that differ", twice)
        task = cast(Task, self._choice(fields, "task", get_args(Task)))
        if len(names) < TASKS[task].least:
            raise self._bad(
                f"{at}.classes", "two or more (one output is multilabel, or a regression)", names
            )
        activation = cast(Activation, self._choice(fields, "activation", get_args(Activation)))
        if activation not in TASKS[task].activations:
            raise self._bad(f"{at}.activation", f"one that suits {task}", activation)
        output = self._text(fields, "output")
        return Head(self._text(fields, "name"), output, task, activation, tuple(names))

    def _source(self, record: Json) -> dict[str, str | float]:
        fields = self._object(record, "source")
        for name, value in fields.items():
            if not isinstance(value, str | int | float):
                raise self._bad(f"source.{name}", "text or a number", value)
        return cast(dict[str, str | float], fields)

    def _object(self, value: Json, name: str) -> dict[str, Json]:
        if not isinstance(value, dict):
            raise self._bad(name, "an object", value)
        return value

    def _only(self, fields: dict[str, Json], at: str, known: tuple[str, ...]) -> None:
        for name in fields:
            if name not in known:
                raise self._bad(f"{at}{name}", f"no such field (known: {', '.join(known)})", name)

    def _list(self, fields: dict[str, Json], name: str) -> list[Json]:
        value = fields.get(name)
        if not isinstance(value, list):
            raise self._bad(name, "a list", value)
        return value

    def _text(self, fields: dict[str, Json], name: str) -> str:
        value = fields.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= 500 or not value.isprintable():
            raise self._bad(name, "printable text of 1 to 500 characters", value)
        return value

    def _file_name(self, fields: dict[str, Json], name: str) -> str:
        value = self._text(fields, name)
        if not is_file_name(value):
            expected = 'what a file may be called: no / \\ : * ? " < > |, no leading dot, not long'
            raise self._bad(name, expected, value)
        return value

    def _flag(self, fields: dict[str, Json], name: str) -> bool:
        value = fields.get(name, False)
        if not isinstance(value, bool):
            raise self._bad(name, "true or false", value)
        return value

    def _number(self, fields: dict[str, Json], name: str) -> float:
        return self._as_number(fields.get(name), name)

    def _numbers(self, fields: dict[str, Json], name: str) -> tuple[float, ...]:
        return tuple(self._as_number(v, f"preprocess.{name}") for v in self._list(fields, name))

    def _as_number(self, value: Json, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._bad(name, "a number", value)
        if not abs(value) <= _LARGEST:
            raise self._bad(name, "a finite number", value)
        return float(value)

    def _side(self, fields: dict[str, Json], name: str) -> int:
        value = fields.get(name)
        if not _is_int(value) or not 1 <= cast(int, value) <= MAX_SIDE:
            raise self._bad(f"preprocess.{name}", f"whole pixels from 1 to {MAX_SIDE}", value)
        return cast(int, value)

    def _choice(self, fields: dict[str, Json], name: str, choices: tuple[str, ...]) -> str:
        value = fields.get(name)
        if value not in choices:
            raise self._bad(name, f"one of {', '.join(choices)}", value)
        return value

    def _option(self, fields: dict[str, Json], name: str, choices: tuple[str, ...]) -> str:
        """Read a choice that may be left out: then it is the first."""
        return self._choice(fields, name, choices) if name in fields else choices[0]

    def _bad(self, name: str, expected: str, found: object) -> MemberError:
        shown = _SHORT.repr(found)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        return MemberError(
            f"{self.where}: card field {name!r}: expected {expected}, found {shown}. Mend the "
            f"flag, export the member again, or write the card beside it anew"
        )


_CARD_FIELDS: Final = (
    "schema", "name", "family", "fold", "arch", "preprocess", "heads", "dynamic_size", "source",
    "batch", "layout",
)  # fmt: skip
_ORDER: Final = "channel_order"
_PREPROCESS_FIELDS: Final = (
    "height", "width", "fit", "crop_pct", "interpolation", "mean", "std", _ORDER,
)  # fmt: skip
_HEAD_FIELDS: Final = ("name", "output", "task", "activation", "classes")
ACTIVATIONS: Final = {task: rules.activations[0] for task, rules in TASKS.items()}
"""What a head's outputs need, unless they are probabilities already."""


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and bool(value) and not _CONTROL.search(value)


def _is_int(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
