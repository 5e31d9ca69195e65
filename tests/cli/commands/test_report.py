"""`ensemble report`."""

import json
from pathlib import Path

import pytest
from pages import Read
from toys import ensemble


@pytest.fixture(autouse=True)
def files() -> None:
    rows = [f"i{n},{'ab'[n % 2]}" for n in range(40)]
    said = [f"i{n},{'ab'[n % 3 == 0]}" for n in range(40)]
    Path("labels.csv").write_text("\n".join(["id,label", *rows]))
    Path("own.csv").write_text("\n".join(["id,label", *said]))


def test_every_figure_is_that_of_the_score_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("report", "own.csv", "--labels", "labels.csv", "--out", "a.html") == 0
    assert capsys.readouterr().out == "a.html\n"
    assert ensemble("score", "own.csv", "labels.csv", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    numbers = Read(Path("a.html").read_bytes()).numbers
    scores = [each for line in told["scores"].values() for each in (line["score"], *line["ci95"])]
    classes = [each[key] for each in told["by_class"] for key in ("precision", "recall", "f1")]
    cells = [cell for row in told["confusion"] for cell in row]
    assert {*scores, *classes, *cells} <= numbers


def test_a_group_without_labels_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("report", "own.csv", "--group", "patient") == 2
    assert "give --labels too" in capsys.readouterr().err


def test_what_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("report", "nowhere") == 2
    assert "no such file" in capsys.readouterr().err
