"""The id and the label may stand in any column of every table, by flag, recipe file and Python.

The table is as PetFinder's: the id is last, and a column before it names every row too.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from blends import ROWS, SPLIT, TRUTH, memory
from toys import CLASSES, ensemble

import ensemble as package
from ensemble.files.csv_tables import column_of

COLUMNS = ("--id-col", "photo", "--label-col", "breed")
IDS = [f"img{row}" for row in range(ROWS)]


@pytest.fixture(autouse=True)
def _tables(train: None) -> None:
    """pets.csv, and said.csv with labels of which every fifth is wrong."""
    number = np.random.default_rng(0).permutation(ROWS)
    rows = {"row": number, "fold": SPLIT, "breed": np.array(CLASSES)[TRUTH], "photo": IDS}
    pd.DataFrame(rows).to_csv("pets.csv", index=False)
    said = np.where(np.arange(ROWS) % 5 == 0, (TRUTH + 1) % 3, TRUTH)
    rows = {"breed": np.array(CLASSES)[said], "photo": IDS}
    pd.DataFrame(rows).to_csv("said.csv", index=False)


def oof_of(*flags: str | Path) -> package.Oof:
    assert ensemble("oof", "--members", "folds", "--images", "train", *flags) == 0
    return package.Oof.load("oof.parquet")


def test_folds_are_made_by_the_columns_that_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("folds", "pets.csv", *COLUMNS, "--k", "3", "--out", "made.csv") == 0
    assert list(column_of(Path("made.csv"), "fold")) == IDS
    assert ensemble("folds", "pets.csv", "--label-col", "breed", "--out", "other.csv") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "it has row, fold, breed, photo. Say by --id-col which is the id" in told


def test_folds_of_a_table_are_those_of_its_ids() -> None:
    for fold in range(3):
        memory("ant", fold)
    found = oof_of("--folds", "pets.csv", "--id-col", "photo")
    np.testing.assert_array_equal(found.folds, SPLIT)
    known = oof_of("--folds", "pets.csv")  # the images tell the column
    np.testing.assert_array_equal(known.folds, SPLIT)


def test_weights_are_tuned_by_the_columns_that_are_said() -> None:
    for fold in range(3):
        memory("ant", fold, noise=0.5)
    oof_of("--folds", "pets.csv")
    assert ensemble("tune-weights", "--oof", "oof.parquet", "--labels", "pets.csv", *COLUMNS,
                    "--metric", "accuracy") == 0  # fmt: skip
    score = json.loads(Path("weights.json").read_text())["evidence"]["singles"]["ant"]
    found = package.Oof.load("oof.parquet")
    assert score == (found.families["ant"].argmax(1) == TRUTH).mean()
    in_python = package.tune_weights(found, "pets.csv", metric="accuracy", id_col="photo",
                                     label_col="breed")  # fmt: skip
    assert in_python.evidence["singles"]["ant"] == score


def test_a_submission_is_scored_and_compared_by_the_columns_that_are_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ensemble("score", "said.csv", "pets.csv", *COLUMNS, "--json") == 0
    assert json.loads(capsys.readouterr().out)["scores"]["accuracy"]["score"] == 0.8
    pd.read_csv("pets.csv")[["breed", "photo"]].to_csv("truth.csv", index=False)
    assert ensemble("diff", "said.csv", "truth.csv", "--id-col", "photo", "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"] == IDS[::5]


def test_a_sample_has_its_id_where_it_is_said() -> None:
    member = memory("ant", 0)
    rows = [f"{CLASSES[0]},{name}" for name in reversed(IDS)]
    Path("sample.csv").write_text("\n".join(["breed,photo", *rows]))
    assert ensemble("run", "--members", member, "--images", "train", "--sample", "sample.csv",
                    "--id-col", "photo", "--out", "out") == 0  # fmt: skip
    expected = np.where(SPLIT == 0, (TRUTH + 1) % 3, TRUTH)[::-1]
    lines = Path("out/submission.csv").read_text().split()
    assert lines[0] == "breed,photo"
    assert lines[1:] == [f"{CLASSES[c]},{i}" for c, i in zip(expected, IDS[::-1], strict=True)]


def test_images_are_listed_by_the_column_that_is_said() -> None:
    member = memory("ant", 0)
    rows = [f"{row},img{row}.png" for row in (7, 3)]
    Path("train/list.csv").write_text("\n".join(["row,photo", *rows]))
    assert ensemble("run", "--members", member, "--images", "train/list.csv", "--id-col", "photo",
                    "--out", "out") == 0  # fmt: skip
    found = list(column_of(Path("out/submission.csv"), "label"))
    assert found == ["img3.png", "img7.png"]


def test_the_recipe_file_says_it_once_for_every_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("ensemble.toml").write_text('id_col = "photo"\nlabel_col = "breed"\n')
    assert ensemble("folds", "pets.csv", "--k", "3", "--out", "made.csv") == 0
    assert list(column_of(Path("made.csv"), "fold")) == IDS
    capsys.readouterr()
    assert ensemble("score", "said.csv", "pets.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == ROWS
