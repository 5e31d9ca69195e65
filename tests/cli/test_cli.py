"""The command line: its options, its exit codes, and what goes where."""

import json
import os
from pathlib import Path
from typing import NoReturn

import pytest
from processes import start
from toys import MakeMember, ensemble, save_member, toy_card, toy_model

from ensemble.cli.options import spread_lists
from ensemble.pipeline import quantize
from ensemble.pipeline import run as pipeline
from ensemble.pipeline.quantize import QuantizeOrder
from ensemble.records import DecodePolicy


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


def test_a_run_without_members_says_how_to_name_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("run") == 2
    assert "no member given; name files" in capsys.readouterr().err


def test_a_member_given_twice_exits_2(members: list[Path], images: Path) -> None:
    assert ensemble("run", "--members", members[0], members[0], "--images", images) == 2


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


def test_quarantined_images_exit_3(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "img3.png").write_bytes(b"")
    args = ("run", "--members", *members, "--images", images, "--out", "out")
    assert ensemble(*args) == 3
    assert not Path("out/submission.csv").exists()
    assert "--fill" in capsys.readouterr().err
    assert ensemble(*args, "--fill", "cat") == 3
    assert Path("out/submission.csv").exists()


def test_a_member_that_is_broken_exits_4_before_images_are_read(members: list[Path]) -> None:
    members[0].write_bytes(b"<html>")
    assert ensemble("run", "--members", *members, "--images", "no-such-folder") == 4


def test_cuda_without_a_gpu_exits_4(members: list[Path], images: Path) -> None:
    from ensemble.runtime.devices import why_no_cuda

    if not why_no_cuda():
        pytest.skip("CUDA starts here")
    args = ("run", "--members", *members, "--images", images, "--device", "cuda")
    assert ensemble(*args) == 4


def test_ids_that_differ_exit_5(members: list[Path], images: Path) -> None:
    Path("s.csv").write_text("id,label\nimg1,cat\n")
    args = ("run", "--members", *members, "--images", images, "--sample", "s.csv")
    assert ensemble(*args) == 5


def test_a_sample_and_an_output_that_conflict_exit_2(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.csv").write_text("id,label\n" + "".join(f"img{n},cat\n" for n in range(1, 13)))
    args = ("run", "--members", *members, "--images", images, "--sample", "s.csv")
    assert ensemble(*args, "--output", "probs") == 2
    assert "the sample s.csv asks for labels" in capsys.readouterr().err
    assert not Path("submissions").exists()


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


def test_vote_reads_the_store_by_members_images_and_views(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = ("--members", *members, "--images", images, "--tta", "hflip", "--device", "cpu")
    assert ensemble("vote", *same, "--out", "none") == 2
    assert ensemble("run", *same, "--out", "one") == 0
    assert "from the store" not in capsys.readouterr().err
    assert ensemble("vote", *same, "--out", "two") == 0
    assert "all of them from the store" in capsys.readouterr().err
    assert Path("one/submission.csv").read_bytes() == Path("two/submission.csv").read_bytes()


def test_inspect_shows_cards_as_json(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("inspect", *members, "--json") == 0
    cards = json.loads(capsys.readouterr().out)
    assert [c["family"] for c in cards.values()] == ["ant", "ant", "bee", "bee"]


def test_inspect_shows_a_table_and_says_that_they_can_vote(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("inspect", *members) == 0
    shown = capsys.readouterr()
    assert "bee-f1" in shown.out
    assert "can vote together" in shown.err


def test_inspect_exits_4_where_members_cannot_vote(
    members: list[Path], make_member: MakeMember
) -> None:
    odd = make_member("cow-f0", classes=("x", "y"))
    assert ensemble("inspect", *members, odd) == 4


def test_inspect_writes_a_card_for_a_foreign_member(images: Path) -> None:
    card = toy_card("net-f3")
    path = save_member(Path("folds"), card, toy_model(card))
    model = path.read_bytes()
    import onnx

    foreign = onnx.load_from_string(model)
    del foreign.metadata_props[:]
    onnx.save(foreign, path)
    described = {
        "--classes": "cat,dog,eel", "--height": "8", "--width": "8",
        "--mean": "0.5,0.5,0.5", "--std": "0.25,0.25,0.25", "--output-name": "logits",
    }  # fmt: skip
    flags = [text for pair in described.items() for text in pair]
    assert ensemble("inspect", path, "--write-card", *flags) == 0
    written = json.loads(Path("folds/net-f3.onnx.card.json").read_text())
    assert (written["family"], written["fold"]) == ("net", 3)
    assert ensemble("run", "--members", path, "--images", images, "--out", "out") == 0


@pytest.mark.parametrize("debug", [False, True])
def test_an_unforeseen_fault_exits_1_and_shows_its_traceback_on_request(
    debug: bool,
    images: Path,
    members: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(pipeline, "run", fail)
    flags = ["--debug"] if debug else []
    assert ensemble(*flags, "run", "--members", *members, "--images", images) == 1
    said = capsys.readouterr().err
    assert "nobody thought of this" in said
    assert ("Traceback" in said) == debug


def test_quantize_reads_images_as_a_run_would(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = []

    def note(order: QuantizeOrder, *_: object) -> list[object]:
        orders.append(order)
        return []

    monkeypatch.setattr(quantize, "quantize_members", note)
    Path("ensemble.toml").write_text('exif = "ignore"\nid_from = "name"\ntta = "flip"\n')
    assert ensemble("quantize", "a.onnx", "--images", "i", "--alpha", "white", "--out", "o") == 0
    assert orders[0].decode == DecodePolicy(exif="ignore", alpha="white")
    assert orders[0].id_from == "name"


def test_the_environment_gives_way_to_what_the_earlier_run_has_decided(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ensemble("run", "--members", *members, "--images", images, "--out", "out") == 0
    monkeypatch.setenv("ENSEMBLE_MEMBERS", str(members[0]))
    monkeypatch.setenv("ENSEMBLE_VOTING", "hard")
    assert ensemble("vote", "out", "--out", "again") == 0
    assert json.loads(Path("again/run.json").read_text())["recipe"]["voting"] == "soft"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("folds l.csv --check f.csv --k 3 --seed 1", "--k, --seed: --check makes no folds"),
        ("folds l.csv --check f.csv --out o.csv", "--out: --check makes no folds"),
        ("inspect a.onnx --family ant --output-name x", "--family, --output-name: only --write"),
        ("export a.pt --arch x --out o --head age --classes sex=a,b", "--head age: --classes "),
    ],
)
def test_flags_that_would_be_ignored_are_refused(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(*command.split()) == 2
    assert message in capsys.readouterr().err


def test_a_flag_that_the_earlier_run_has_decided_exits_2(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("run", "--members", *members, "--images", images, "--out", "out") == 0
    assert ensemble("vote", "out", "--tta", "hflip", "--out", "again") == 2
    assert "--tta: out has decided it already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--tta", "five_crop(nan,3)"],
        ["--tta", "multiscale(1e9)"],
        ["--members", "@list.txt"],
        ["--weights", "weights.json"],
    ],
)
def test_odd_input_exits_2_or_4_and_is_no_fault_of_ours(
    members: list[Path], images: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.txt").write_text("@list.txt")
    Path("weights.json").write_text('{"weights": {"ant": 1, "bee": 1}, "decision": [1]}')
    given = ["--members", *members] if "--members" not in flags else []
    assert ensemble("run", *given, "--images", images, *flags) in (2, 4)
    assert "fault of ensemble" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "code", "said"), [("torch", 2, "ensemble-vote[export]"), ("numpy", 1, "numpy")]
)
def test_a_package_that_is_not_there_is_told_with_its_extra(
    package: str,
    code: int,
    said: str,
    members: list[Path],
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(pipeline, "run", fail)
    assert ensemble("run", "--members", *members, "--images", images) == code
    assert said in capsys.readouterr().err


def test_an_empty_value_is_refused(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble("run", "--members", *members, "--images", images, "--weights", "") == 2
    assert "--weights is empty" in capsys.readouterr().err


def test_an_argument_that_is_not_utf8_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("oof", "--folds", "f.csv", "--out", os.fsdecode(b"\xff/oof.parquet")) == 2
    assert r"'\udcff/oof.parquet' is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "args", [["inspect", "folds", "--json"], ["inspect", "folds"], ["run", "--members", "folds"]],
    ids=["json", "table", "run"],
)  # fmt: skip
def test_a_pipe_that_nobody_reads_ends_a_command_with_1_and_no_fault(
    members: list[Path], images: Path, args: list[str]
) -> None:
    with start(images.parent, *args) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 1
    assert "rror" not in said


def test_debug_may_stand_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("run", "--members", "none.onnx", "--debug") == 4
    assert "Traceback" in capsys.readouterr().err


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
    ("name", "text", "message"),
    [
        ("missing.txt", None, "no such file"),
        ("classes.csv", "0,cat\n1,dog\n", "a class a line"),
        ("classes.json", '{"0": "cat"}', "a class a line"),
    ],
)
def test_a_file_that_lists_no_classes_is_refused(
    name: str, text: str | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        Path(name).write_text(text)
    assert ensemble("export", "a-f0.pt", "--arch", "resnet18", "--classes", name, "--out", "o") == 2
    assert message in capsys.readouterr().err


def test_a_checkpoint_is_no_member(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a-f0.ckpt").write_bytes(b"PK")
    assert ensemble("run", "--members", "a-f0.ckpt") == 4
    assert "`ensemble export`" in capsys.readouterr().err


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
