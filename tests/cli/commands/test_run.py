"""`ensemble run` and `ensemble vote`: their exit codes, what they print, and a dry run."""

import json
from pathlib import Path

import pytest
from plans import Captured, plan, tree
from toys import CLASSES, ensemble

from ensemble.api.vote import vote
from ensemble.errors import UsageError


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


def test_a_dry_run_says_the_form_of_the_submission(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (f"{i.stem}_{c},0\n" for i in images.iterdir() for c in CLASSES)
    Path("s.csv").write_text("ID,Label\n" + "".join(rows))
    args = ("run", "--members", *members, "--images", images, "--sample", "s.csv")
    assert ensemble(*args, "--dry-run") == 0
    assert "of the form melted: columns ID, Label" in capsys.readouterr().out
    assert ensemble(*args, "--out", "out") == 0
    written = Path("out/submission.csv").read_text().splitlines()
    assert len(written) == 1 + 12 * len(CLASSES)
    values = [float(line.split(",")[1]) for line in written[1:]]
    sums = [sum(values[row : row + 3]) for row in range(0, len(values), 3)]
    assert sums == pytest.approx([1.0] * 12)


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


def test_a_run_without_members_says_how_to_name_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("run") == 2
    assert "no member given; name files" in capsys.readouterr().err


def test_a_member_given_twice_exits_2(members: list[Path], images: Path) -> None:
    assert ensemble("run", "--members", members[0], members[0], "--images", images) == 2


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


def test_the_environment_gives_way_to_what_the_earlier_run_has_decided(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ensemble("run", "--members", *members, "--images", images, "--out", "out") == 0
    monkeypatch.setenv("ENSEMBLE_MEMBERS", str(members[0]))
    monkeypatch.setenv("ENSEMBLE_VOTING", "hard")
    assert ensemble("vote", "out", "--out", "again") == 0
    assert json.loads(Path("again/run.json").read_text())["recipe"]["voting"] == "soft"


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


def test_a_checkpoint_is_no_member(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a-f0.ckpt").write_bytes(b"PK")
    assert ensemble("run", "--members", "a-f0.ckpt") == 4
    assert "`ensemble export`" in capsys.readouterr().err


def test_predictions_beside_members_or_a_run_are_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ensemble("vote", "out", "--predictions", "ant.csv") == 2
    assert "RUN: --predictions has decided it already" in capsys.readouterr().err
    assert ensemble("vote", "--members", "folds", "--predictions", "ant.csv") == 2
    with pytest.raises(UsageError, match="one of them"):
        vote()


@pytest.mark.parametrize("flag", [("--head", "x"), ("--tta", "flip")])
def test_what_predictions_have_decided_is_refused(flag: tuple[str, str]) -> None:
    assert ensemble("vote", "--predictions", "ant.csv", *flag) == 2


def test_what_goes_with_predictions_is_refused_without(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ensemble("vote", "out", "--classes", "cat,dog") == 2
    assert "--classes goes with --predictions" in capsys.readouterr().err
