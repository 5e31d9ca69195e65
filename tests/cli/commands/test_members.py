"""`ensemble export` and `ensemble inspect`."""

import json
from pathlib import Path

import pytest
from toys import MakeMember, ensemble, save_member, toy_card, toy_model


def test_inspect_shows_cards_as_json(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("inspect", *members, "--json") == 0
    cards = json.loads(capsys.readouterr().out)
    assert [c["family"] for c in cards.values()] == ["ant", "ant", "bee", "bee"]


def test_inspect_shows_a_table_and_says_that_they_can_vote(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("inspect", *members) == 0
    shown = capsys.readouterr()
    assert "bee-f1" in shown.out
    assert "can vote together" in shown.err


def test_inspect_exits_4_where_members_cannot_vote(
    members: list[Path], make_member: MakeMember
) -> None:
    odd = make_member("cow-f0", classes=("x", "y"))
    assert ensemble("inspect", *members, odd) == 4


def test_inspect_writes_a_card_for_a_foreign_member(images: Path) -> None:
    card = toy_card("net-f3")
    path = save_member(Path("folds"), card, toy_model(card))
    model = path.read_bytes()
    import onnx

    foreign = onnx.load_from_string(model)
    del foreign.metadata_props[:]
    onnx.save(foreign, path)
    described = {
        "--classes": "cat,dog,eel", "--height": "8", "--width": "8",
        "--mean": "0.5,0.5,0.5", "--std": "0.25,0.25,0.25", "--output-name": "logits",
    }  # fmt: skip
    flags = [text for pair in described.items() for text in pair]
    assert ensemble("inspect", path, "--write-card", *flags) == 0
    written = json.loads(Path("folds/net-f3.onnx.card.json").read_text())
    assert (written["family"], written["fold"]) == ("net", 3)
    assert ensemble("run", "--members", path, "--images", images, "--out", "out") == 0
