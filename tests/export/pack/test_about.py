"""What a packed file says of itself."""

import json
from pathlib import Path

import onnx
from packs import packed, toys_of

from ensemble.members.card_json import PACKED_KEY
from ensemble.members.member import open_member
from ensemble.voting.weights import Weights


def test_the_file_and_the_record_beside_it_say_the_same(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path), tta="hflip")
    (entry,) = onnx.load(found.path).metadata_props
    assert entry.key == PACKED_KEY
    assert json.loads(entry.value) == json.loads(found.path.with_suffix(".json").read_text())


def test_classes_members_views_and_weights_are_told(tmp_path: Path) -> None:
    members = toys_of(tmp_path)
    found = packed(tmp_path, members, tta="hflip", weights=Weights({"bee": 2.0, "ant": 1.0}))
    told = json.loads(found.path.with_suffix(".json").read_text())
    assert told["classes"] == ["cat", "dog", "eel"]
    assert [each["name"] for each in told["members"]] == ["ant-f0", "ant-f1", "bee-f0", "bee-f1"]
    assert told["members"][0]["sha256"] == open_member(members[0]).sha256
    assert told["members"][0]["views"] == ["plain", "hflip"]
    assert list(told["weights"]["weights"]) == ["ant", "bee"]
    assert told["outputs"] == [
        {"name": "probabilities", "type": "float32", "shape": ["N", 3]},
        {"name": "label", "type": "int64", "shape": ["N"]},
    ]
    assert told["data"] is None


def test_members_alike_have_no_weights(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path), voting="hard")
    assert found.record["weights"] is None
    assert found.record["voting"] == "hard"
