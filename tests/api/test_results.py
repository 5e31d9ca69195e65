"""What only looks does in Python what the commands do."""

import json
from pathlib import Path

import pandas as pd
import pytest
from toys import ensemble

import ensemble as public
from ensemble.errors import UsageError
from ensemble.files.csv_tables import column_of


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of twelve rows, a submission that errs once, and one that never does, in a run."""
    monkeypatch.chdir(tmp_path)
    truth = ["cat", "dog"] * 6
    said = [*truth[:-1], "cat"]
    Path("run").mkdir()
    for path, labels in (("t.csv", truth), ("said.csv", said), ("run/submission.csv", truth)):
        rows = [f"{number},{label}" for number, label in enumerate(labels)]
        Path(path).write_text("\n".join(["id,label", *rows]))


def test_folds_are_those_of_the_command() -> None:
    report = public.split_folds("t.csv", "mine.csv", k=3, seed=7)
    assert ensemble("folds", "t.csv", "--k", "3", "--seed", "7", "--out", "folds.csv") == 0
    assert column_of(Path("mine.csv"), "fold") == column_of(Path("folds.csv"), "fold")
    assert public.split_folds("t.csv", check="mine.csv").counts.tolist() == report.counts.tolist()


def test_folds_that_are_checked_are_not_made() -> None:
    with pytest.raises(UsageError, match="check makes no folds"):
        public.split_folds("t.csv", check="mine.csv", k=3)


def test_scores_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    card = public.score_submission("said.csv", "t.csv")
    assert ensemble("score", "said.csv", "t.csv", "--json") == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert {line.metric: line.score for line in card.lines} == {
        metric: found["score"] for metric, found in scores.items()
    }


def test_a_task_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="task 'multi': expected one of classification"):
        public.score_submission("said.csv", "t.csv", task="multi")  # type: ignore[arg-type]


def test_a_run_and_a_file_are_compared() -> None:
    assert public.diff_submissions("run", "said.csv").moves == {("dog", "cat"): 1}


def test_scores_and_differences_are_of_frames_too() -> None:
    said, truth = pd.read_csv("said.csv"), pd.read_csv("t.csv")
    from_files = public.score_submission("said.csv", "t.csv")
    labels = truth.rename(columns={"label": "kind"}).set_index("id")["kind"]
    for given in (truth, truth.set_index("id"), labels, labels.to_dict()):
        assert public.score_submission(said, given).lines == from_files.lines
    assert public.diff_submissions(said, "t.csv").moves == {("cat", "dog"): 1}


def test_folds_of_frames_are_those_of_files() -> None:
    truth = pd.read_csv("t.csv")
    report = public.split_folds("t.csv", "one.csv", k=3)
    public.split_folds(truth, "two.csv", k=3)
    assert Path("one.csv").read_bytes() == Path("two.csv").read_bytes()
    checked = public.split_folds(truth, check=pd.read_csv("one.csv").set_index("id")["fold"])
    assert checked.counts.tolist() == report.counts.tolist()
