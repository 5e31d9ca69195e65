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


def test_inspect_and_run_note_families_that_look_like_single_folds(
    members: list[Path], images: Path, make_member: MakeMember, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = make_member("cow-f0")
    note = "families of one member beside ant of 2, bee of 2: cow"
    assert ensemble("inspect", *members, odd) == 0
    assert note in " ".join(capsys.readouterr().err.split())
    assert ensemble("run", "--members", *members, odd, "--images", images, "--out", "out") == 0
    assert note in " ".join(capsys.readouterr().err.split())


def test_a_card_of_a_name_without_a_family_asks_for_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    card = toy_card("net-f3")
    path = save_member(tmp_path, card, toy_model(card)).rename(tmp_path / "fold3.onnx")
    sizes = ("--height", "8", "--width", "8", "--mean", "0,0,0", "--std", "1,1,1")
    assert ensemble("inspect", path, "--write-card", "--classes", "a,b", *sizes) == 2
    assert "its name tells no family; give --family" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["width", "=3", "2x=3"])
def test_an_argument_without_a_name_is_a_usage_error(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ("--classes", "a,b", "--arch", "x", "--out", "m", "--arg", text)
    assert ensemble("export", "a.pt", *told) == 2
    assert f"--arg {text!r}: expected NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [("width=16", ("width", 16)), ("flag=true", ("flag", True)), ("pool=avg", ("pool", "avg")),
     ("depths=[2, 2]", ("depths", [2, 2])), ("path=a=b", ("path", "a=b")), ("x=", ("x", ""))],
)  # fmt: skip
def test_an_argument_is_json_or_text(text: str, expected: tuple[str, object]) -> None:
    from ensemble.cli.commands.members import _argument

    assert _argument(text) == expected
