"""`ensemble pack`: what a person sees, and what is refused."""

from pathlib import Path

import pytest
from toys import ensemble


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, members: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_goes_in_and_comes_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("pack", "--members", "folds", "--tta", "hflip", "--triton", "repo") == 0
    told = capsys.readouterr()
    assert told.out == "model.onnx\n"
    lines = told.err.splitlines()
    assert lines[0].startswith("images uint8 (N, 8, 8, 3): RGB, 0 to 255; resized so that")
    assert lines[1:3] == ["probabilities float32 (N, 3)", "label int64 (N)"]
    assert lines[3].startswith("4 members; on noise at most ")
    assert lines[-2:] == ["model.json", "repo/model"]


def test_the_recipe_file_says_how_members_vote(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ensemble.toml").write_text(
        'members = "folds"\ntta = "flip"\nimages = "test"\n[weights]\nant = 1\nbee = 0\n'
    )
    assert ensemble("pack") == 0
    assert "bee-f0, bee-f1: weighs nothing in this vote" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--out", "model.pt"), 2, "expected a file that ends in .onnx"),
        (("--weights", "ant=1"), 2, "no weight for bee"),
        (("--voting", "rank"), 2, "needs a weights.json that holds them"),
        (("--members", "nothing.onnx"), 4, "nothing.onnx: cannot read the member"),
    ],
)
def test_what_cannot_be_packed_is_refused(
    flags: tuple[str, ...], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("pack", "--members", "folds", *flags) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("model.onnx").exists()


def test_a_second_pack_needs_force(capsys: pytest.CaptureFixture[str]) -> None:
    command = ("pack", "--members", "folds", "--triton", "repo")
    assert ensemble(*command) == 0
    assert ensemble(*command) == 2
    assert "there already; say --force" in capsys.readouterr().err
    assert ensemble(*command, "--force") == 0
