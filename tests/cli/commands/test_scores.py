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


def test_two_submissions_are_compared_by_id(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.csv").write_text("id,label\n1,cat\n2,dog\n")
    Path("b.csv").write_text("id,label\n2,cat\n1,cat\n")
    assert ensemble("diff", "a.csv", "b.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["moves"] == [{"from": "dog", "to": "cat", "rows": 1}]
    assert ensemble("diff", "a.csv", "b.csv") == 0
    assert "1 of 2 rows have another label (50.00%)" in capsys.readouterr().out


def test_a_submission_without_labels_is_not_scored(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("score", "a.csv") == 2
    assert "LABELS is missing" in capsys.readouterr().err
