"""A part counts when it is as it was written; whatever else lies there never answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensemble import Submission
from ensemble.api import predict as api
from ensemble.errors import StoreError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def submit(members: list[Path], images: Path, out: str = "out", **more: Any) -> Submission:
    """Run on the CPU."""
    return api.run(members, images, out=out, device="cpu", **more)


def test_a_torn_shard_is_done_again_and_never_used(members: list[Path], images: Path) -> None:
    submit(members, images, "one", shard_size=5)
    torn = sorted(Path(".ensemble").rglob("part-00001.parquet"))[0]
    data = bytearray(torn.read_bytes())
    data[len(data) // 2] ^= 0xFF
    torn.write_bytes(bytes(data))
    again = submit(members, images, "two")
    assert again.record["evaluations"] == 5
    assert Path("one/submission.csv").read_bytes() == Path("two/submission.csv").read_bytes()


@pytest.mark.parametrize("change", ["null", "rows", "quarantined"])
def test_an_edited_part_is_computed_again(members: list[Path], images: Path, change: str) -> None:
    whole = submit(members, images, "one")
    mark = next(Path(".ensemble").rglob("part-*.json"))
    record = json.loads(mark.read_text())
    record |= {"rows": 7} if change == "rows" else {"quarantined": [1]}
    mark.write_text("null" if change == "null" else json.dumps(record))
    again = submit(members, images, "two")
    assert again.record["evaluations"] == 12
    np.testing.assert_array_equal(again.probs, whole.probs)


@pytest.mark.parametrize("edit", [{"shard_size": 5}, {"images": 11}])
def test_an_edited_key_never_answers(
    members: list[Path], images: Path, edit: dict[str, int]
) -> None:
    whole = submit(members, images, "one")
    key = next(Path(".ensemble").rglob("key.json"))
    key.write_text(json.dumps({**json.loads(key.read_text()), **edit}))
    try:
        again = submit(members, images, "two")
    except StoreError as error:
        assert "was edited" in str(error)
    else:
        assert again.record["evaluations"] == 12
        np.testing.assert_array_equal(again.probs, whole.probs)
