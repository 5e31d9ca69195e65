"""run.json: what a run says of itself, and of the predictions that it was made of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ensemble.predictions.parsed import list_of, mapping_of, number_of, or_none, text_of, texts_of
from ensemble.records import MemberId

RUN: Final = "run.json"
SCHEMA: Final = 1

DAMAGED: Final = (OSError, ValueError, KeyError, TypeError, AttributeError)
"""What `read_record` raises for a file that is missing, or no record of a run."""


@dataclass(frozen=True, slots=True)
class RecordedMember:
    """A member as run.json has it: `key` is that of its predictions in the store, if it has any."""

    member: MemberId
    key: str | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run recorded.

    `settings` are those of its recipe, by name. `facts` are what was found out on the way, such as
    the provider, the seconds and the hash of the image set. `early_exit` is what is said of one;
    None where every image got every evaluation. The hashes are None where they are not known yet.
    """

    settings: Mapping[str, object]
    head: str
    classes: tuple[str, ...]
    members: tuple[RecordedMember, ...]
    counts: Mapping[str, int]
    versions: Mapping[str, str]
    facts: Mapping[str, object]
    recipe_sha256: str | None = None
    submission_sha256: str | None = None
    schema: int = SCHEMA

    @property
    def early_exit(self) -> Mapping[str, object] | None:
        """What is said of an early exit.

        Raises:
            TypeError: it is no object, in a record that was not read from a file.
        """
        return or_none(mapping_of, self.facts.get("early_exit"))

    @property
    def keys(self) -> list[str]:
        """The keys of the store that the run refers to, each once."""
        return _keys(self.members, self.early_exit)


def to_json(record: RunRecord) -> dict[str, object]:
    """Return a record as run.json has it."""
    return {
        "schema": record.schema,
        "recipe": dict(record.settings),
        "head": record.head,
        "classes": list(record.classes),
        "members": [{**asdict(each.member), "key": each.key} for each in record.members],
        "counts": dict(record.counts),
        "versions": dict(record.versions),
        **record.facts,
        "recipe_sha256": record.recipe_sha256,
        "submission_sha256": record.submission_sha256,
    }


def read_record(folder: Path) -> RunRecord:
    """Read the run.json of a folder.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON.
        KeyError: it lacks what every run records.
        TypeError: something in it is of another kind; or AttributeError. See `DAMAGED`.
    """
    told = _read(folder)
    or_none(mapping_of, told.get("early_exit"))
    return RunRecord(
        schema=number_of(told.pop("schema")),
        settings=mapping_of(told.pop("recipe")),
        head=str(told.pop("head")),
        classes=texts_of(told.pop("classes")),
        members=tuple(map(_member, list_of(told.pop("members")))),
        counts={k: number_of(n) for k, n in mapping_of(told.pop("counts", {})).items()},
        versions={k: text_of(v) for k, v in mapping_of(told.pop("versions", {})).items()},
        recipe_sha256=or_none(text_of, told.pop("recipe_sha256", None)),
        submission_sha256=or_none(text_of, told.pop("submission_sha256", None)),
        facts=told,
    )


def read_keys(folder: Path) -> list[str]:
    """Return the keys of the store that a run refers to, whatever else its run.json says.

    Raises:
        OSError: it cannot be read; or what else is in `DAMAGED`.
    """
    told = _read(folder)
    return _keys([_member(each) for each in list_of(told["members"])], told.get("early_exit"))


def _read(folder: Path) -> dict[str, object]:
    return dict(mapping_of(json.loads((folder / RUN).read_bytes())))


def _keys(members: Sequence[RecordedMember], exits: object) -> list[str]:
    told = mapping_of(exits or {})
    keys = [each.key for each in members if each.key]
    keys += map(str, mapping_of(told.get("stored", {})).values())
    keys += [str(told[name]) for name in ("key", "calibration") if told.get(name)]
    return list(dict.fromkeys(keys))


def _member(told: object) -> RecordedMember:
    found = mapping_of(told)
    name, family, sha256 = (text_of(found.get(key, "")) for key in ("name", "family", "sha256"))
    who = MemberId(name, family, or_none(number_of, found.get("fold")), sha256)
    return RecordedMember(who, or_none(text_of, found["key"]))
