"""Views by family, from each door to what a run leaves."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from toys import ensemble

import ensemble as package
from ensemble.errors import UsageError

TTA = "ant=flip,bee=none"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(members: list[Path], images: Path, *flags: str) -> int:
    return ensemble("run", "--members", *members, "--images", images, "--output", "probs", *flags)


def probabilities(out: str) -> tuple[list[str], np.ndarray]:
    rows = [line.split(",") for line in Path(out, "submission.csv").read_text().split()][1:]
    return [row[0] for row in rows], np.array([row[1:] for row in rows], float)


def test_each_family_is_scored_under_its_own_views(members: list[Path], images: Path) -> None:
    assert run(members, images, "--tta", TTA, "--out", "both") == 0
    assert run(members[:2], images, "--tta", "flip", "--out", "ant", "--store", "a") == 0
    assert run(members[2:], images, "--tta", "none", "--out", "bee", "--store", "b") == 0
    ids, both = probabilities("both")
    assert (ids, ids) == (probabilities("ant")[0], probabilities("bee")[0])
    expected = (probabilities("ant")[1] + probabilities("bee")[1]) / 2
    np.testing.assert_allclose(both, expected, atol=2e-6)


def test_they_are_recorded_and_a_family_keeps_its_key(members: list[Path], images: Path) -> None:
    assert run(members, images, "--tta", TTA, "--out", "both") == 0
    assert run(members[:2], images, "--tta", "flip", "--out", "ant") == 0
    both, ant = (json.loads(Path(out, "run.json").read_text()) for out in ("both", "ant"))
    assert both["recipe"]["tta"] == TTA
    assert ant["evaluations"] == 0
    keys = {member["name"]: member["key"] for member in both["members"]}
    assert all(member["key"] == keys[member["name"]] for member in ant["members"])


def test_a_vote_finds_them_again_and_other_views_are_other_predictions(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(members, images, "--tta", TTA, "--out", "first") == 0
    told = ("--members", *members, "--images", images, "--output", "probs")
    assert ensemble("vote", *told, "--tta", TTA, "--out", "again") == 0
    assert ensemble("vote", "first", "--out", "third") == 0
    texts = {Path(out, "submission.csv").read_bytes() for out in ("first", "again", "third")}
    assert len(texts) == 1
    capsys.readouterr()
    assert ensemble("vote", *told, "--tta", "ant=none,bee=none", "--out", "other") == 2
    assert "lacks predictions of ant-f0, ant-f1 for" in capsys.readouterr().err


def test_an_early_exit_keeps_every_label_and_can_be_verified(
    members: list[Path], images: Path
) -> None:
    given = ("--members", *members, "--images", images, "--tta", TTA)
    assert ensemble("run", *given, "--out", "full", "--store", "a") == 0
    assert ensemble("run", *given, "--out", "soon", "--early-exit", "lossless") == 0
    full, soon = (Path(out, "submission.csv").read_bytes() for out in ("full", "soon"))
    assert full == soon
    record = json.loads(Path("soon/run.json").read_text())["early_exit"]
    assert record["stages"] == 2 * 4 + 2 * 1
    assert ensemble("verify-exit", "soon") == 0


def test_a_recipe_names_them_in_a_table_and_the_dry_run_shows_them(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("ensemble.toml").write_text('[tta]\nant = "multiscale(1,0.5)"\nbee = "hflip"\n')
    small = ("--members", members[2], "--images", images, "--tta", "bee=hflip", "--dry-run")
    assert ensemble("run", *small) == 0
    assert "bee-f0, --tta hflip: 12 evaluations" in capsys.readouterr().out
    assert ensemble("run", "--members", *members, "--show-config") == 0
    assert "ant=multiscale(1,0.5),bee=hflip" in capsys.readouterr().out


def test_out_of_fold_predictions_take_them(members: list[Path], images: Path) -> None:
    names = sorted(path.stem for path in images.iterdir())
    rows = "".join(f"{name},{number % 2}\n" for number, name in enumerate(names))
    Path("folds.csv").write_text("id,fold\n" + rows)
    given = {"images": images, "folds": "folds.csv", "progress": None}
    both = package.predict_oof(members, tta={"ant": "flip", "bee": "none"}, **given)  # type: ignore[arg-type]
    ant = package.predict_oof(members[:2], tta="flip", store="a", **given)  # type: ignore[arg-type]
    bee = package.predict_oof(members[2:], store="b", **given)  # type: ignore[arg-type]
    np.testing.assert_array_equal(both.families["ant"], ant.families["ant"])
    np.testing.assert_array_equal(both.families["bee"], bee.families["bee"])


def test_python_takes_a_mapping(members: list[Path], images: Path) -> None:
    first = package.run(members, images, tta=TTA, out="text", progress=None)
    again = package.run(members, images, tta={"ant": "flip", "bee": "none"}, out="text",
                        progress=None)  # fmt: skip
    assert first.ids == again.ids
    with pytest.raises(UsageError, match="names views of ant and none of bee"):
        package.run(members, images, tta={"ant": "flip"}, out="lacking", progress=None)


def tuned(members: list[Path], images: Path, tta: str) -> str:
    """Weights tuned on out-of-fold predictions under some views."""
    names = sorted(path.stem for path in images.iterdir())
    rows = [f"{name},{number % 2},{['cat', 'dog', 'eel'][number % 3]}\n"
            for number, name in enumerate(names)]  # fmt: skip
    Path("train.csv").write_text("id,fold,label\n" + "".join(rows))
    oof = ("--members", *members, "--images", images, "--folds", "train.csv", "--store", "oof")
    assert ensemble("oof", *oof, "--tta", tta, "--out", "oof.parquet") == 0
    assert ensemble("tune-weights", "--oof", "oof.parquet", "--labels", "train.csv") == 0
    return "weights.json"


def in_ledger(run: str) -> str:
    """The out-of-fold score that the ledger has of a run."""
    with Path("ledger.csv").open() as lines:
        return next(row["oof"] for row in csv.DictReader(lines) if row["run"] == run)


def test_weights_know_the_views_that_they_were_tuned_under(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tuned(members, images, "ant=hflip,bee=none")
    told = {"ant": "mean of plain, hflip", "bee": "plain"}
    assert json.loads(Path(weights).read_text())["views"] == told
    assert package.Oof.load("oof.parquet").views == package.Weights.load(weights).views == told
    given = ("--weights", weights)
    assert run(members, images, "--tta", "ant=hflip,bee=none", *given, "--out", "same") == 0
    assert "under the views" not in capsys.readouterr().err
    assert run(members, images, "--tta", "hflip", *given, "--out", "other") == 0
    note = "tuned on bee under the views plain; here they are mean of plain, hflip"
    assert note in " ".join(capsys.readouterr().err.split())
    assert (in_ledger("same") != "", in_ledger("other")) == (True, "")


def test_a_merge_of_several_views_counts_and_of_one_view_does_not(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tuned(members, images, "ant=hflip,bee=none")
    given = ("--tta", "ant=hflip,bee=none", "--weights", weights, "--merge", "max")
    assert run(members, images, *given, "--out", "max") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "tuned on ant under the views mean of plain, hflip; here they are max of" in said
    assert "tuned on bee" not in said


def test_a_vote_with_weights_of_other_views_says_so(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tuned(members, images, "vflip")
    assert run(members, images, "--out", "plain") == 0
    capsys.readouterr()
    assert ensemble("vote", "plain", "--weights", weights, "--out", "voted") == 0
    assert "under the views mean of plain, vflip" in " ".join(capsys.readouterr().err.split())
    assert in_ledger("voted") == ""
    files = ("--predictions", "oof.parquet", "--weights", weights, "--out", "files")
    assert ensemble("vote", *files) == 0
    assert "under the views" not in capsys.readouterr().err


def test_weights_that_do_not_tell_their_views_are_taken_as_they_are(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = Path(tuned(members, images, "vflip"))
    record = json.loads(weights.read_text())
    del record["views"]
    weights.write_text(json.dumps(record))
    capsys.readouterr()
    assert run(members, images, "--weights", str(weights), "--out", "old") == 0
    assert "under the views" not in capsys.readouterr().err
    assert in_ledger("old") != ""


def test_an_early_exit_with_weights_of_other_views_says_so(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tuned(members, images, "vflip")
    given = ("--members", *members, "--images", images, "--tta", "hflip", "--weights", weights)
    assert ensemble("run", *given, "--evals-per-image", "3", "--out", "soon") == 0
    assert "under the views mean of plain, vflip" in " ".join(capsys.readouterr().err.split())
    assert in_ledger("soon") == ""
