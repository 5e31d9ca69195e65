"""Each training image is predicted by the members that did not see it, or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from blends import ROWS, SPLIT, TRUTH, memory, recipe, write_train
from toys import ensemble

from ensemble.errors import UsageError
from ensemble.pipeline.oof import predict_oof
from ensemble.predictions.table import Oof


@pytest.fixture(autouse=True)
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty images, and train.csv, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_train()


def test_each_row_is_predicted_by_the_member_that_did_not_see_it() -> None:
    members = [memory(f, fold, blind=b) for f, b in (("ant", 1), ("bee", 2)) for fold in range(3)]
    found = predict_oof(recipe(members), Path("train.csv"))
    assert found.ids == tuple(f"img{row}" for row in range(ROWS))
    assert found.quarantined == ()
    np.testing.assert_array_equal(found.folds, SPLIT)
    np.testing.assert_array_equal(found.families["ant"].argmax(1), (TRUTH + 1) % 3)
    np.testing.assert_array_equal(found.families["bee"].argmax(1), (TRUTH + 2) % 3)


def test_a_row_without_a_prediction_is_left_out_and_told() -> None:
    Path("train/img7.png").write_bytes(b"")
    found = predict_oof(recipe([memory("ant", f) for f in range(3)]), Path("train.csv"))
    assert [q.id for q in found.quarantined] == ["img7"]
    assert "img7" not in found.ids
    assert len(found.families["ant"]) == ROWS - 1
    assert ensemble("oof", "--members", "folds", "--images", "train", "--folds", "train.csv") == 3
    assert "img7" in Path("oof.quarantine.csv").read_text()


def test_a_family_without_a_fold_is_refused() -> None:
    with pytest.raises(UsageError, match=r"family ant has no member of fold 2.*'img\d+'"):
        predict_oof(recipe([memory("ant", 0), memory("ant", 1)]), Path("train.csv"))


def test_a_member_of_a_fold_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="member of fold 3; the folds are 0, 1, 2"):
        predict_oof(recipe([memory("ant", f) for f in range(4)]), Path("train.csv"))


def test_a_member_without_a_fold_is_refused() -> None:
    path = memory("ant", 0)
    model = onnx.load(path)
    prop = model.metadata_props[0]
    prop.value = prop.value.replace('"fold": 0', '"fold": null')
    onnx.save(model, path)
    with pytest.raises(UsageError, match="no fold in its card"):
        predict_oof(recipe([path]), Path("train.csv"))


def test_no_member_can_be_dropped_out_of_fold() -> None:
    asked = replace(recipe([memory("ant", f) for f in range(3)]), on_nan="drop-member")
    with pytest.raises(UsageError, match="on_nan 'drop-member': out of fold each row has one"):
        predict_oof(asked, Path("train.csv"))


def test_folds_without_an_image_are_refused() -> None:
    Path("train/img3.png").unlink()
    with pytest.raises(UsageError, match="1 ids have no image: img3"):
        predict_oof(recipe([memory("ant", f) for f in range(3)]), Path("train.csv"))


def test_folds_whose_ids_carry_a_folder_are_joined_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = predict_oof(recipe([memory("ant", f) for f in range(3)]), Path("train.csv"))
    rows = [f"train/img{row}.png,{SPLIT[row]}" for row in reversed(range(ROWS))]
    Path("paths.csv").write_text("\n".join(["id,fold", *rows]))
    assert ensemble("oof", "--members", "folds", "--images", "train", "--folds", "paths.csv") == 0
    found = Oof.load("oof.parquet")
    assert found.ids == expected.ids
    np.testing.assert_array_equal(found.folds, SPLIT)
    np.testing.assert_allclose(found.families["ant"], expected.families["ant"], atol=1e-7)
    assert "'train/img59.png' for 'img59'" in " ".join(capsys.readouterr().err.split())


def test_folds_of_two_images_of_one_name_are_not_joined_by_it() -> None:
    rows = [f"d{n}/img{row}.png,{SPLIT[row]}" for row in range(ROWS) for n in range(2)]
    Path("paths.csv").write_text("\n".join(["id,fold", *rows]))
    with pytest.raises(UsageError, match="120 ids have no image: d0/img0.png, "):
        predict_oof(recipe([memory("ant", f) for f in range(3)]), Path("paths.csv"))
