"""Weights tuned in Python are those of the command; what is given is checked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from blends import TRUTH, memory, recipe, tuned_on
from toys import CLASSES

import ensemble as package
from ensemble.errors import UsageError
from ensemble.files.csv_tables import column_of
from ensemble.pipeline.oof import predict_oof
from ensemble.predictions.formats import read
from ensemble.predictions.join import join
from ensemble.predictions.oof_file import write
from ensemble.reports.figures import draw
from ensemble.tuning.tune import tune_weights
from ensemble.tuning.weigh import TuneOrder

pytestmark = pytest.mark.usefixtures("train")


def test_python_gives_what_the_command_gives() -> None:
    members = [
        memory(f, fold, noise=n) for f, n in (("ant", 0.3), ("bee", 2.0)) for fold in range(3)
    ]
    found = predict_oof(recipe(members), Path("train.csv"))
    assert package.predict_oof(members, "train", "train.csv", device="cpu").families.keys() == {
        "ant",
        "bee",
    }
    labels = pd.read_csv("train.csv", index_col="id")["label"]
    weights = package.tune_weights(found, labels, metric="log_loss")
    write(Path("oof.parquet"), found)
    order = TuneOrder([(None, Path("oof.parquet"))], Path("train.csv"), "log_loss")
    assert weights.families == pytest.approx(tune_weights(order).families, abs=1e-5)
    assert package.run(members, "train", weights=weights, out="out").path is not None


def test_weights_without_folds_are_drawn_too() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    found = [read(path) for _, path in order.files]
    labels = column_of(Path("train.csv"), "label")
    weights = package.tune_weights(replace(join(found), folds=None), labels, metric="log_loss")
    draw(weights, Path("apparent.png"))
    assert Path("apparent.png").stat().st_size > 5000


def test_labels_of_classes_are_no_frame_of_columns() -> None:
    table = read(tuned_on({"ant": 2.0}).files[0][1])
    hot = pd.DataFrame(np.eye(3, dtype=int)[TRUTH], list(table.ids), list(CLASSES))
    with pytest.raises(UsageError, match="labels: no column 'label'; it has id, "):
        package.tune_weights(table, hot, metric="log_loss")


@pytest.mark.parametrize(
    ("name", "value"), [("pool", "loglinear"), ("polish", "allways"), ("task", "multi-label")]
)
def test_a_way_to_tune_that_there_is_not_is_refused(name: str, value: str) -> None:
    frames = {"ant": pd.DataFrame([[0.4, 0.6], [0.6, 0.4]], ["a", "b"], ["cat", "dog"])}
    labels, more = {"a": "cat", "b": "dog"}, {name: value}
    with pytest.raises(UsageError, match=f"{name} '{value}': expected one of"):
        package.tune_weights(frames, labels, metric="log_loss", **more)  # type: ignore[arg-type]


def test_frames_of_families_are_joined_by_their_index() -> None:
    tuned_on({"ant": 2.0, "bee": 1.0})
    frames, folds = {}, pd.read_csv("train.csv", index_col="id")["fold"]
    for name in ("ant", "bee"):
        table = read(Path(f"{name}.parquet"))
        frame = pd.DataFrame(table.families[name], table.ids, list(CLASSES))
        frames[name] = frame if name == "ant" else frame.iloc[::-1]
    labels = pd.read_csv("train.csv", index_col="id")["label"]
    found = package.tune_weights(frames, labels, metric="log_loss", folds=folds)
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    assert found.families == pytest.approx(tune_weights(order).families, abs=1e-5)


def test_an_id_without_a_fold_is_refused_from_python_too() -> None:
    tuned_on({"ant": 2.0})
    table = read(Path("ant.parquet"))
    labels = column_of(Path("train.csv"), "label")
    with pytest.raises(UsageError, match="folds: no fold for img1"):
        package.tune_weights(table, labels, metric="log_loss", folds={"img0": 0})


@pytest.mark.parametrize("what", ["labels", "folds", "group"])
def test_ids_that_stand_twice_are_refused_from_python(what: str) -> None:
    table = read(tuned_on({"ant": 2.0}).files[0][1])
    frame = pd.read_csv("train.csv", index_col="id")
    given = {"labels": frame["label"], "folds": frame["fold"], "group": frame["patient"]}
    given[what] = pd.concat([given[what], given[what].iloc[:1]])
    with pytest.raises(UsageError, match=f"{what}: id 'img0' stands there twice"):
        package.tune_weights(table, metric="log_loss", **given)


def test_tables_are_paths_or_frames() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.0})
    files = [path for _, path in order.files]
    by_path = package.tune_weights(files, "train.csv", group="patient", folds="train.csv")
    frame = pd.read_csv("train.csv")
    by_frame = package.tune_weights(
        {path.stem: path for path in files}, frame, folds=frame, out="w.json",
        group=frame.rename(columns={"patient": "group"}),
    )  # fmt: skip
    by_id = package.tune_weights(
        files, frame.set_index("id")["label"], group=frame.set_index("id")["patient"]
    )
    assert by_path.families == by_frame.families == by_id.families
    assert package.Weights.load("w.json").families == by_path.families
    assert by_path.metric == "log_loss"
