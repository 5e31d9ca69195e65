"""What a person sees: progress, summaries, and numbers in words."""

import json
from pathlib import Path

import pytest
from toys import ensemble

from ensemble.cli.terminal import describe_size, open_console, say_config, say_plan


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "no time"), (0.03, "under a second"), (90, "about 90 s"), (600, "about 10 min"),
     (9000, "about 2.5 h")],
)  # fmt: skip
def test_the_time_of_a_plan_is_in_words(capsys: Captured, seconds: float, text: str) -> None:
    member = {"member": "ant", "tta": "none", "evaluations": 1, "evaluations_stored": 0,
              "shards": 1, "shards_stored": 0, "seconds": seconds, "provider": "cpu",
              "bytes": 1}  # fmt: skip
    plan = {
        "members": [member],
        "free": 2,
        "out": "out",
        "form": "label",
        "columns": ("id", "label"),
        "workers": ("cuda:0", "cuda:1"),
    }
    say_plan(plan, as_json=False)
    said = capsys.readouterr().out
    assert f"; {text} on cpu" in said
    assert "2 workers would score: cuda:0, cuda:1\n" in said


def test_stdout_carries_the_path_alone(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble("run", "--members", *members, "--images", images, "--out", "out")
    assert capsys.readouterr().out == "out/submission.csv\n"


def test_json_prints_the_record(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ensemble("run", "--members", *members, "--images", images, "--out", "out", "--json")
    assert json.loads(capsys.readouterr().out)["counts"]["predicted"] == 12


def test_a_run_says_when_everything_was_in_the_store(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("one", "two"):
        assert ensemble("run", "--members", *members, "--images", images, "--out", out) == 0
    first, second = (part for part in capsys.readouterr().err.splitlines() if "predicted" in part)
    assert "from the store" not in first
    assert "from the store" in second


def test_images_of_which_none_can_be_read_were_not_in_the_store(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad").mkdir()
    Path("bad/one.png").write_bytes(b"no image")
    run = ("run", "--members", *members, "--images", "bad", "--fill", "cat", "--out", "out")
    assert ensemble(*run, "--early-exit", "lossless") == 3
    assert "from the store" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2.5e9, "2.5 GB"),
                        (3e12, "3 TB")],
)  # fmt: skip
def test_bytes_are_told_in_the_unit_that_fits(count: float, text: str) -> None:
    assert describe_size(count) == text


def test_a_setting_is_shown_in_one_line_with_its_origin(capsys: Captured) -> None:
    say_config([{"setting": "fill", "value": "é", "origin": "--fill"}], as_json=False)
    assert capsys.readouterr().out.split() == ["fill", '"é"', "--fill"]


def test_names_in_brackets_are_printed_as_they_are(capsys: Captured) -> None:
    open_console().print("[bold]cat[/bold]")
    assert capsys.readouterr().out == "[bold]cat[/bold]\n"


def test_a_wide_table_is_whole_in_a_pipe(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.table import Table

    monkeypatch.delenv("COLUMNS", raising=False)
    names = [f"metric number {number}" for number in range(12)]
    table = Table(*names)
    table.add_row(*names)
    open_console().print(table)
    header = capsys.readouterr().out.splitlines()[1]
    assert all(name in header for name in names)
