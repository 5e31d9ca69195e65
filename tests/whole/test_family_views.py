"""Views by family, from each door to what a run leaves."""

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
