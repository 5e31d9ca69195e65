"""Where a setting is from: what was typed wins, and a wrong value is told by its origin."""

import json
from pathlib import Path

import click
import pytest
from toys import ensemble

from ensemble.cli.origins import is_typed, typed_flags

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_each_setting_is_shown_with_its_origin(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ensemble.toml").write_text('tta = "hflip"\nvoting = "hard"\n')
    monkeypatch.setenv("ENSEMBLE_MERGE", "max")
    assert ensemble("run", "--voting", "soft", "--show-config", "--json") == 0
    shown = {s["setting"]: (s["value"], s["origin"]) for s in json.loads(capsys.readouterr().out)}
    assert shown["voting"] == ("soft", "--voting")
    assert shown["merge"] == ("max", "ENSEMBLE_MERGE")
    assert shown["tta"] == ("hflip", "ensemble.toml")
    assert shown["images"] == (["images"], "default")


def test_a_secret_in_an_address_is_not_shown(capsys: Captured) -> None:
    uri = "mlflow=http://me:secret@host"
    assert ensemble("run", "--track", uri, "--show-config", "--json") == 0
    shown = {s["setting"]: s["value"] for s in json.loads(capsys.readouterr().out)}
    assert shown["track"] == ["mlflow=http://…@host"]


@pytest.mark.parametrize(
    ("text", "variable", "named"),
    [("shard_size = 'x'", {}, "'shard_size' of ensemble.toml"),
     ("images = 7", {}, "'images' of ensemble.toml"),
     ("", {"ENSEMBLE_SHARD_SIZE": "x"}, "ENSEMBLE_SHARD_SIZE")],
)  # fmt: skip
def test_a_value_that_is_wrong_is_told_by_where_it_is_from(
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    variable: dict[str, str],
    named: str,
) -> None:
    Path("ensemble.toml").write_text(text)
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    assert ensemble("run") == 2
    assert f"Invalid value for {named}: " in capsys.readouterr().err


@click.command()
@click.argument("place", default="here")
@click.option("--some-name", envvar="SOME_NAME")
@click.option("--other", default=1)
def asked(place: str, some_name: str | None, other: int) -> None:
    """Tell which of its settings were typed."""
    click.echo([is_typed("place"), is_typed("some_name"), is_typed("other")])
    click.echo(typed_flags(["place", "some_name", "other"]))


@pytest.mark.parametrize(
    ("args", "typed", "flags"),
    [
        ([], [False, False, False], []),
        (["--some-name", "x"], [False, True, False], ["--some-name"]),
        (["there", "--other", "1"], [True, False, True], ["PLACE", "--other"]),
    ],
)
def test_what_was_typed_is_told_from_what_was_not(
    args: list[str], typed: list[bool], flags: list[str], capsys: Captured
) -> None:
    asked.main(args, standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [str(typed), str(flags)]


def test_what_the_environment_says_was_not_typed(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_NAME", "x")
    asked.main([], standalone_mode=False)
    assert capsys.readouterr().out.splitlines() == [str([False] * 3), "[]"]
