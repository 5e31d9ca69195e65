"""`ensemble score` and `ensemble diff`."""

import json
from pathlib import Path

import pytest
from toys import ensemble


def test_many_small_classes_have_scores_but_no_interval(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"r{n}", f"c{n // 2}") for n in range(60)]
    text = "\n".join(["id,label", *(",".join(row) for row in rows)])
    Path("few.csv").write_text(text)
    assert ensemble("score", "few.csv", "few.csv", "--json") == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert scores["f1_macro"] == {"score": 1.0, "ci95": None}
    assert scores["accuracy"]["ci95"] == [1.0, 1.0]
    assert ensemble("score", "few.csv", "few.csv", "--png", "few.png") == 0
    assert "too few rows of a class" in capsys.readouterr().out
