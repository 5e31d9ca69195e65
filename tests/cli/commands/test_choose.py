"""`ensemble choose`: what a person sees, and what is refused."""

import json
from pathlib import Path

import pytest
from toys import ensemble
from views_apart import apart, labels

from ensemble.predictions.views_file import save

VIEWS = {"plain": 1.2, "hflip": 1.2, "vflip": -1.5}
COMMAND = ("choose", "--oof", "views.parquet", "--labels", "labels.csv", "--metric", "accuracy")


@pytest.fixture(autouse=True)
def views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """views.parquet and labels.csv, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    save(Path("views.parquet"), [apart({"ant": VIEWS})])
    labels()


def test_the_frontier_and_what_hurts_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble(*COMMAND, "--seconds", "1h", "--images", "100") == 0
    told = capsys.readouterr()
    assert "ant vflip hurts: loss +" in told.out
    assert "chosen" in told.out
    assert "s for 100 images" in told.out
    assert told.err.splitlines()[-2:] == ["frontier.png", "policy.json"]


def test_json_is_the_policy_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble(*COMMAND, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path("policy.json").read_text())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--evals", "0"), "below the cheapest choice, ant plain by one fold"),
        (("--budget", "0ms"), "below the cheapest choice"),
        (("--budget", "5ms", "--evals", "3"), "give one of them"),
        (("--oof", "labels.csv"), "cannot read the predictions"),
    ],
)
def test_what_cannot_be_chosen_is_refused(
    flags: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(*COMMAND, *flags) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not Path("policy.json").exists()
