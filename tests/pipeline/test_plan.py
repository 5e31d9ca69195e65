"""What a run would do, and what decides it: --dry-run, --show-config, the environment."""

import json
from pathlib import Path

import pytest
from toys import ensemble

from ensemble.cli.terminal import say_plan

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tree() -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in Path().rglob("*")}


def plan(capsys: Captured, *args: str | Path) -> dict[str, object]:
    capsys.readouterr()
    assert ensemble(*args, "--dry-run", "--json") == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_dry_run_writes_nothing(members: list[Path], images: Path) -> None:
    before = tree()
    assert ensemble("run", "--members", *members, "--images", images, "--dry-run") == 0
    assert tree() == before


def test_a_dry_run_plans_what_the_run_then_does(
    members: list[Path], images: Path, capsys: Captured
) -> None:
    args = ("run", "--members", *members, "--images", images, "--out", "out", "--shard-size", "5")
    planned = plan(capsys, *args)["members"]
    assert isinstance(planned, list)
    assert {(m["shards"], m["shards_stored"], m["evaluations"]) for m in planned} == {(3, 0, 12)}
    assert ensemble(*args) == 0
    done = plan(capsys, *args)["members"]
    assert isinstance(done, list)
    assert {(m["shards_stored"], m["evaluations"], m["bytes"]) for m in done} == {(3, 0, 0)}
    assert {m["key"] for m in done} == {p.name for p in Path(".ensemble/predictions").iterdir()}
    assert {m["key"] for m in planned} == {m["key"] for m in done}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "no time"), (0.03, "under a second"), (90, "about 90 s"), (600, "about 10 min"),
     (9000, "about 2.5 h")],
)  # fmt: skip
def test_the_time_of_a_plan_is_in_words(capsys: Captured, seconds: float, text: str) -> None:
    member = {"member": "ant", "evaluations": 1, "evaluations_stored": 0, "shards": 1,
              "shards_stored": 0, "seconds": seconds, "provider": "cpu", "bytes": 1}  # fmt: skip
    say_plan({"members": [member], "free": 2, "out": "out"}, as_json=False)
    assert f"; {text} on cpu" in capsys.readouterr().out


def test_a_dry_run_of_oof_writes_nothing(
    members: list[Path], images: Path, capsys: Captured
) -> None:
    rows = "".join(f"img{n},{n % 2}\n" for n in range(1, 13))
    Path("folds.csv").write_text("id,fold\n" + rows)
    before = tree()
    args = ("oof", "--members", *members, "--images", images, "--folds", "folds.csv")
    planned = plan(capsys, *args)["members"]
    assert isinstance(planned, list)
    assert [m["evaluations"] for m in planned] == [6] * 4
    assert tree() == before


@pytest.mark.parametrize(
    ("more", "code"),
    [(("--sample", "s.csv"), 5), (("--out", "images"), 2), (("--tta", "nope"), 2),
     (("--out", "s.csv/x"), 2), (("--store", "s.csv/x"), 2)],
)  # fmt: skip
def test_a_dry_run_fails_as_the_run_would(
    members: list[Path], images: Path, more: tuple[str, ...], code: int
) -> None:
    Path("s.csv").write_text("id,label\nimg1,cat\n")
    args = ("run", "--members", *members, "--images", images, *more)
    assert ensemble(*args, "--dry-run") == code


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


def test_an_unknown_variable_exits_2_and_suggests(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENSEMBLE_STOR", "x")
    assert ensemble("store", "list") == 2
    assert "did you mean 'ENSEMBLE_STORE'" in capsys.readouterr().err


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


@pytest.mark.parametrize("flag", ["--time-budget", "--evals-per-image"])
def test_a_budget_of_the_recipe_can_be_switched_off(
    members: list[Path], images: Path, flag: str
) -> None:
    Path("ensemble.toml").write_text(f'{flag.removeprefix("--").replace("-", "_")} = "5h"\n')
    if flag == "--evals-per-image":
        Path("ensemble.toml").write_text("evals_per_image = 1.5\n")
    assert ensemble("run", "--members", str(members[0]), "--images", str(images), flag, "off",
                    "--out", "out") == 0  # fmt: skip
    assert "early_exit" not in json.loads(Path("out/run.json").read_text())


@pytest.mark.parametrize("text", ["0.5", "many", "inf", "nan"])
def test_a_budget_of_no_evaluation_is_refused(text: str, capsys: Captured) -> None:
    assert ensemble("run", "--evals-per-image", text, "--dry-run") == 2
    assert "neither off nor a number from 1 on" in capsys.readouterr().err


def test_a_number_that_is_none_is_told_in_words(capsys: Captured) -> None:
    assert ensemble("run", "--calibration", "5%") == 2
    assert "'5%' is not a valid whole number" in capsys.readouterr().err
