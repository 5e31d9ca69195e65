"""Options that commands share: where a value is from, and what it may be."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
from toys import ensemble, save_member, toy_card, toy_model

from ensemble.cli.options import named_files, spread_lists


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_shell_expanded_list_is_taken(members: list[Path], images: Path) -> None:
    assert ensemble("run", "--members", *members, "--images", images, "--out", "out") == 0
    assert json.loads(Path("out/run.json").read_text())["counts"]["predicted"] == 12


@pytest.mark.parametrize("given", ["folds", "folds/*.onnx", "@list.txt"])
def test_a_folder_a_glob_and_a_list_are_taken(
    members: list[Path], images: Path, given: str
) -> None:
    Path("list.txt").write_text("".join(f"{m}\n" for m in members))
    assert ensemble("run", "--members", given, "--images", images, "--out", "out") == 0
    assert len(json.loads(Path("out/run.json").read_text())["members"]) == 4


def test_lists_are_spread_before_click_reads_them() -> None:
    args = ["run", "--members", "a", "b", "--tta", "flip", "--images", "x"]
    spread = ["run", "--members", "a", "--members", "b", "--tta", "flip", "--images", "x"]
    assert spread_lists(args) == spread


@pytest.mark.parametrize("args", [["--members"], ["--members", "--tta", "flip"]])
def test_a_bare_list_option_is_refused(args: list[str]) -> None:
    assert ensemble("run", *args) == 2


@pytest.mark.parametrize(
    ("members", "message"),
    [("*.nope", "nothing there matches"), ("https://x/y.onnx", "URL"),
     ("x" * 300, "cannot look there: File name too long")],
)  # fmt: skip
def test_members_that_are_not_there_exit_2(
    members: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("run", "--members", members) == 2
    assert message in capsys.readouterr().err


def test_a_folder_of_members_that_cannot_be_listed_is_told(
    members: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(_: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", closed)  # root may list any folder
    assert ensemble("run", "--members", members[0].parent) == 2
    assert "cannot look there: Permission denied" in capsys.readouterr().err


def test_images_come_from_the_folder_images_by_default(members: list[Path], images: Path) -> None:
    assert images.name == "images"
    assert ensemble("run", "--members", *members, "--out", "out") == 0


def test_the_recipe_file_is_read_and_flags_win(members: list[Path], images: Path) -> None:
    Path("ensemble.toml").write_text(
        f'members = ["folds/*.onnx"]\nimages = "{images}"\ntta = "hflip"\nout = "out"\n'
        "[weights]\nant = 0.25\nbee = 0.75\n"
    )
    assert ensemble("run", "--voting", "hard") == 0
    recipe = json.loads(Path("out/run.json").read_text())["recipe"]
    assert (recipe["tta"], recipe["voting"]) == ("hflip", "hard")
    assert recipe["weights"]["weights"] == {"ant": 0.25, "bee": 0.75}


@pytest.mark.parametrize("door", ["flag", "file", "variable"])
def test_equations_come_by_flags_the_recipe_file_or_a_variable(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    card = toy_card("ant-f0", task="regression", activation="none")
    save_member(tmp_path / "folds", card, toy_model(card))
    flags = ("--constraint", "eel = cat + dog", "--constraint", "dog = 2 * cat")
    if door == "file":
        text = '[constraints]\neel = "cat + dog"\ndog = "2 * cat"\n'
        Path("ensemble.toml").write_text(text)
    if door == "variable":
        monkeypatch.setenv("ENSEMBLE_CONSTRAINTS", "eel = cat + dog;dog = 2 * cat")
    args = ("run", "--members", "folds", "--images", images, "--out", "out", "--device", "cpu")
    assert ensemble(*args, *(flags if door == "flag" else ())) == 0
    record = json.loads(Path("out/run.json").read_text())
    assert record["recipe"]["constraints"] == ["eel = cat + dog", "dog = 2 * cat"]
    assert record["constraints"].keys() == {"eel = cat + dog", "dog = 2 * cat"}


def test_the_environment_wins_over_the_recipe_file(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ensemble.toml").write_text('members = ["folds"]\ntta = "hflip"\nout = "out"\n')
    monkeypatch.setenv("ENSEMBLE_TTA", "vflip")
    assert ensemble("run", "--images", images) == 0
    assert json.loads(Path("out/run.json").read_text())["recipe"]["tta"] == "vflip"


def test_an_unknown_setting_exits_2_and_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ensemble.toml").write_text('member = ["folds"]\n')
    assert ensemble("run") == 2
    assert "did you mean 'members'" in capsys.readouterr().err


@pytest.mark.parametrize(("asked", "found"), [("3", {3}), ("auto", {32})])
def test_a_batch_size_is_a_number_or_auto_and_is_recorded(
    members: list[Path], images: Path, asked: str, found: set[int]
) -> None:
    folds = members[0].parent
    assert ensemble("run", "--members", folds, "--images", images, "--batch-size", asked,
                    "--out", "out") == 0  # fmt: skip
    record = json.loads(Path("out/run.json").read_text())
    assert set(record["batch_sizes"].values()) == found
    assert len(record["batch_sizes"]) == len(members)


@pytest.mark.parametrize("asked", ["0", "many", "-1", "1.5"])
def test_another_batch_size_is_a_usage_error(
    images: Path, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("run", "--images", images, "--batch-size", asked) == 2
    assert "neither auto nor a whole number" in capsys.readouterr().err


Captured = pytest.CaptureFixture[str]


def test_an_unknown_variable_exits_2_and_suggests(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENSEMBLE_STOR", "x")
    assert ensemble("store", "list") == 2
    assert "did you mean 'ENSEMBLE_STORE'" in capsys.readouterr().err


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


def test_a_file_may_have_a_name_before_it() -> None:
    assert named_files(["ant=a.csv", "b.csv"]) == [("ant", Path("a.csv")), (None, Path("b.csv"))]
