"""`ensemble folds`."""

import json
from pathlib import Path

import pytest
from toys import ensemble, save_images

from ensemble.files.csv_tables import column_of


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f"img{n},{'cat' if n % 2 else 'dog'},p{n // 2}" for n in range(1, 13)]
    Path("train.csv").write_text("\n".join(["id,label,patient", *rows]))
    return Path("train.csv")


def test_the_command_writes_folds(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("folds", labels, "--k", "3", "--out", "folds.csv") == 0
    assert set(column_of(Path("folds.csv"), "fold").values()) == {"0", "1", "2"}
    assert list(column_of(Path("folds.csv"), "fold")) == list(column_of(labels, "label"))
    assert "folds.csv" in capsys.readouterr().out


def test_the_command_checks_folds_that_are_there(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    (images / "img2.png").write_bytes((images / "img1.png").read_bytes())
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    check = ["folds", labels, "--check", "mine.csv", "--images", images, "--group", "patient"]
    assert ensemble(*check) == 2
    said = capsys.readouterr()
    assert "img1, img2" in said.err
    assert "p1" in said.err
    assert ensemble("folds", labels, "--check", "mine.csv") == 0


def test_the_whole_report_is_printed_as_json(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    for n in range(2, 13):
        (images / f"img{n}.png").write_bytes((images / "img1.png").read_bytes() + b"x" * n)
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    check = ["folds", labels, "--check", "mine.csv", "--images", images, "--json"]
    assert ensemble(*check) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert (report["folds"], report["twins"]) == ([0, 1], [])
    assert len(report["near"]) == 6 * 6
    assert "and 31 more (all: --json)" in said.err
