"""`ensemble oof` and `ensemble tune-weights`."""

import json
import sys
from pathlib import Path

import pytest
from blends import FOLDS, memory, tuned_on
from PIL import Image
from plans import Captured, plan, tree
from toys import ensemble

pytestmark = pytest.mark.usefixtures("train")


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
    assert ensemble(*args, "--dry-run") == 0
    assert "nothing was written" in capsys.readouterr().err
    assert tree() == before


def test_from_fold_members_to_a_weighted_submission(capsys: pytest.CaptureFixture[str]) -> None:
    for family, blind, noise in (("ant", 0, 0.3), ("bee", 0, 2.0), ("cow", 1, 0.5)):
        for fold in range(FOLDS):
            memory(family, fold, blind=blind, noise=noise)
    flags = ["--members", "folds", "--images", "train", "--device", "cpu"]
    assert ensemble("oof", *flags, "--folds", "train.csv") == 0
    order = ["--oof", "oof.parquet", "--labels", "train.csv", "--metric", "accuracy"]
    assert ensemble("tune-weights", *order, "--pool", "log-linear") == 0
    assert "gain of choosing so" in capsys.readouterr().out
    written = json.loads(Path("weights.json").read_text())
    assert set(written["weights"]) == {"ant", "bee", "cow"}
    assert written["evidence"]["verdict"] == "gain"
    with Image.open("weights.png") as picture:
        assert min(picture.size) > 300
        assert picture.convert("L").getextrema()[0] < 100
    assert ensemble("run", *flags, "--weights", "weights.json", "--out", "out") == 0
    assert json.loads(Path("out/run.json").read_text())["recipe"]["weights"]["pool"] == "log-linear"


def test_without_matplotlib_there_are_weights_and_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned_on({"ant": 2.0, "bee": 1.0})
    monkeypatch.setitem(sys.modules, "ensemble.reports.figures", None)
    files = ["--oof", "ant.parquet", "bee.parquet"]
    assert ensemble("tune-weights", *files, "--labels", "train.csv") == 0
    assert "no picture" in capsys.readouterr().err
    assert Path("weights.json").exists()
    assert not Path("weights.png").exists()


def test_two_files_of_weights_have_pictures_of_their_own() -> None:
    tuned_on({"ant": 2.0, "bee": 1.0})
    flags = ("tune-weights", "--oof", "ant.parquet", "bee.parquet", "--labels", "train.csv")
    for metric in ("accuracy", "log_loss"):
        assert ensemble(*flags, "--metric", metric, "--out", f"{metric}.json") == 0
    assert {p.name for p in Path().glob("*.png")} == {"accuracy.png", "log_loss.png"}


@pytest.mark.parametrize(
    ("out", "said"), [("train.csv/w.json", "--out train.csv cannot be"), ("w.png", "name it .json")]
)
def test_weights_that_cannot_be_written_are_refused_before_anything_is_read(
    out: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("tune-weights", "--oof", "none.parquet", "--labels", "none.csv")
    assert ensemble(*flags, "--out", out) == 2
    assert said in capsys.readouterr().err


def test_a_later_run_without_bad_images_leaves_no_quarantine() -> None:
    for fold in range(FOLDS):
        memory("ant", fold)
    flags = ("oof", "--members", "folds", "--images", "train", "--folds", "train.csv")
    whole = Path("train/img7.png").read_bytes()
    Path("train/img7.png").write_bytes(b"")
    assert ensemble(*flags) == 3
    Path("train/img7.png").write_bytes(whole)
    assert ensemble(*flags) == 0
    assert not Path("oof.quarantine.csv").exists()


@pytest.mark.parametrize(("write", "shares"), [("mean", [0.5, 0.5]), ("best", [0.0, 1.0])])
def test_the_blend_that_is_asked_for_is_written(
    write: str, shares: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    tuned_on({"ant": 0.2, "bee": 3.0})
    flags = ("tune-weights", "--oof", "ant.parquet", "bee.parquet", "--labels", "train.csv")
    assert ensemble(*flags, "--metric", "accuracy", "--write", write) == 0
    written = json.loads(Path("weights.json").read_text())
    assert list(written["weights"].values()) == shares
    assert written["evidence"]["written"] == write
    assert f"(written: {write})" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [("ant.parquet", "bee.parquet", "--pool", "linear"),
                                   ("ant.parquet",)])  # fmt: skip
def test_a_best_single_family_that_does_not_compete_cannot_be_written(
    flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    tuned_on({"ant": 0.2, "bee": 3.0})
    order = ("--labels", "train.csv", "--metric", "accuracy", "--write", "best")
    assert ensemble("tune-weights", "--oof", *flags, *order) == 2
    assert "--write best: no best single family competes" in capsys.readouterr().err
    assert not Path("weights.json").exists()
