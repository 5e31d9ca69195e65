"""run.json: what was written is read back, with every key of the store that it refers to."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ensemble.predictions.run_record import (
    DAMAGED,
    RUN,
    RecordedMember,
    RunRecord,
    read_keys,
    read_record,
    to_json,
)
from ensemble.records import MemberId

MEMBERS = (
    RecordedMember(MemberId("ant-f0", "ant", 0, "aa"), "key-of-ant"),
    RecordedMember(MemberId("bee", "bee", None, ""), None),
)
RECORD = RunRecord(
    settings={"tta": "hflip", "weights": None},
    head="label",
    classes=("cat", "dog"),
    members=MEMBERS,
    counts={"images": 3},
    versions={"ensemble": "1"},
    facts={"seconds": 0.1, "provider": "CPUExecutionProvider"},
    recipe_sha256="ab",
)
EXITS = {"key": "labels", "calibration": "sample", "stored": {"cow": "key-of-cow"}}


def write(folder: Path, told: object) -> Path:
    (folder / RUN).write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize(
    "record",
    [RECORD, replace(RECORD, submission_sha256="cd", schema=2), replace(RECORD, facts={}),
     replace(RECORD, facts={"early_exit": EXITS}), replace(RECORD, members=(), classes=())],
)  # fmt: skip
def test_what_is_written_is_read_back(tmp_path: Path, record: RunRecord) -> None:
    assert read_record(write(tmp_path, to_json(record))) == record


def test_facts_stand_beside_the_rest_by_their_own_names() -> None:
    told = to_json(RECORD)
    assert told["provider"] == "CPUExecutionProvider"
    assert "facts" not in told


@pytest.mark.parametrize(
    ("exits", "expected"),
    [
        (None, ["key-of-ant"]),
        (EXITS, ["key-of-ant", "key-of-cow", "labels", "sample"]),
        ({"key": "labels", "calibration": None}, ["key-of-ant", "labels"]),
        ({"key": "labels", "stored": {"ant-f0": "key-of-ant"}}, ["key-of-ant", "labels"]),
    ],
)
def test_every_key_is_named_once_by_the_record_and_by_its_file(
    tmp_path: Path, exits: dict[str, Any] | None, expected: list[str]
) -> None:
    record = replace(RECORD, facts={"early_exit": exits})
    assert record.keys == expected
    assert read_keys(write(tmp_path, to_json(record))) == expected


def test_keys_are_read_whatever_else_is_damaged(tmp_path: Path) -> None:
    told = {"members": to_json(RECORD)["members"], "recipe": 7}
    assert read_keys(write(tmp_path, told)) == ["key-of-ant"]


@pytest.mark.parametrize("name", ["schema", "recipe", "head", "classes", "members"])
def test_a_record_that_lacks_what_every_run_has_is_damaged(tmp_path: Path, name: str) -> None:
    told = to_json(RECORD)
    del told[name]
    with pytest.raises(KeyError, match=name):
        read_record(write(tmp_path, told))


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.update(recipe=None),
        lambda told: told.update(recipe=7),
        lambda told: told.update(classes=3),
        lambda told: told.update(members=None),
        lambda told: told.update(members=["ant"]),
        lambda told: told["members"][0].pop("key"),
        lambda told: told.update(schema="1"),
        lambda told: told.update(counts={"images": "3"}),
        lambda told: told.update(versions=["1"]),
        lambda told: told.update(recipe_sha256=7),
        lambda told: told.update(early_exit=7),
    ],
)
def test_a_field_of_another_kind_is_damage_that_is_known(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    told = to_json(RECORD)
    change(told)
    with pytest.raises(DAMAGED):
        read_record(write(tmp_path, told))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"7", b"null", b"\xff\xfe"])
@pytest.mark.parametrize("read", [read_record, read_keys])
def test_a_file_that_is_no_record_is_damage_that_is_known(
    tmp_path: Path, read: Callable[[Path], object], content: bytes
) -> None:
    (tmp_path / RUN).write_bytes(content)
    with pytest.raises(DAMAGED):
        read(tmp_path)


def test_a_folder_without_a_record_is_damage_that_is_known(tmp_path: Path) -> None:
    with pytest.raises(DAMAGED):
        read_record(tmp_path)
