"""`ensemble crops` prints what was chosen, and its exit code tells of images without a box."""

from pathlib import Path

import pytest
from detectors import picture, save_detector
from toys import ensemble

from ensemble.records import Size

SIZE = Size(64, 96)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_detector(tmp_path / "detector")
    (tmp_path / "images").mkdir()
    picture(SIZE, red=(12, 20, 42, 50, 255)).save("images/a.png")
    picture(SIZE, red=(0, 0, 30, 30, 250), green=(36, 20, 66, 50, 250)).save("images/b.png")
    picture(SIZE).save("images/c.png")


def test_the_counts_of_the_rules_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("crops", "--members", "detector", "--device", "cpu") == 0
    told = capsys.readouterr()
    assert "3 boxes: 2 sure, 0 centred, 1 fallback" in told.err
    assert "1 images had several boxes to choose from" in told.err
    assert "crops.png" in told.err
    assert Path("crops.png").read_bytes().startswith(b"\x89PNG")
    assert told.out == "crops.csv\n"


def test_flags_of_the_rule_decide(capsys: pytest.CaptureFixture[str]) -> None:
    code = ensemble("crops", "--members", "detector", "--device", "cpu", "--sure", "1.0",
                    "--fallback", "whole", "--out", "c.csv")  # fmt: skip
    assert code == 0
    assert "c,0.00,0.00,96.00,64.00,0.0000,fallback,0,96,64" in Path("c.csv").read_text()
    assert "1 sure, 1 centred, 1 fallback" in capsys.readouterr().err


def test_an_image_without_a_box_is_told_and_ends_with_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("images/d.png").write_bytes(b"no image")
    assert ensemble("crops", "--members", "detector", "--device", "cpu") == 3
    assert "1 images have no box and no row; see crops.quarantine.csv" in capsys.readouterr().err


def test_another_kind_of_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("crops", "--members", "detector", "--out", "crops.png") == 2
    assert "expected a name that ends in .csv" in capsys.readouterr().err


def test_a_rule_out_of_range_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("crops", "--members", "detector", "--sure", "0") == 2
    assert "sure 0.0: expected a number above 0" in capsys.readouterr().err
