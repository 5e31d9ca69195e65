"""The OOF Parquet of several heads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ensemble.errors import UsageError
from ensemble.predictions import formats, task_file
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.table import Predictions
from ensemble.records import Quarantined

IDS = ("007", "NA")
MASKS = Predictions(
    IDS, ("off", "on"), {"net": np.array([[0.25, 0.75], [0.5, 0.5]])}, np.array([0, 1]),
    {"net": ("a", "b")}, output="mask", views={"net": "flip, mean"},
)  # fmt: skip
AGES = Predictions(
    IDS, ("age",), {"net": np.array([[31.5], [-2.0]]), "more": np.array([[1.0], [2.0]])},
    np.array([0, 1]), {"net": ("a", "b")}, task="regression", output="age",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oof.parquet"


def test_parts_are_read_as_they_were_written(path: Path) -> None:
    task_file.save(path, [MASKS, AGES], ())
    mask, age = formats.read_parts(path)
    for found, given in ((mask, MASKS), (age, AGES)):
        assert (found.ids, found.classes, found.task, found.output) == (
            given.ids, given.classes, given.task, given.output,
        )  # fmt: skip
        assert found.folds is not None
        assert found.folds.tolist() == [0, 1]
        assert found.members == given.members
        assert found.views == given.views
        for name, probs in given.families.items():
            assert found.families[name].tolist() == probs.tolist()


def test_columns_are_called_family_and_head(path: Path) -> None:
    task_file.save(path, [MASKS, AGES], ())
    assert pq.read_table(path).column_names == ["id", "fold", "net/mask", "net/age", "more/age"]


def test_the_quarantine_lies_beside_and_goes_with_the_next(path: Path) -> None:
    lost = Quarantined("x", "x.png", "decode", "ImageError", "torn", "", 0)
    task_file.save(path, [MASKS], [lost])
    assert formats.read_parts(path)[0].quarantined == (lost,)
    beside = path.with_suffix(".quarantine.csv")
    assert "x.png" in beside.read_text()
    task_file.save(path, [MASKS], ())
    assert not beside.exists()


def test_it_is_no_file_of_one_head(path: Path) -> None:
    task_file.save(path, [MASKS, AGES], ())
    with pytest.raises(UsageError, match="heads of several tasks: give --label-map"):
        formats.read(path)
    with pytest.raises(UsageError, match="several heads; leave out the name 'net'"):
        formats.read_parts(path, "net")


def test_another_file_is_one_part(path: Path) -> None:
    MASKS.save(path)
    (found,) = formats.read_parts(path)
    assert found.families["net"].tolist() == MASKS.families["net"].tolist()


def test_two_columns_of_one_name_are_refused(path: Path) -> None:
    twin = replace(MASKS, output="b/mask", families={"a": MASKS.families["net"]})
    with pytest.raises(UsageError, match="two columns would be called 'a/b/mask'"):
        task_file.save(path, [twin, replace(MASKS, families={"a/b": MASKS.families["net"]})], ())


@pytest.mark.parametrize("cut", [10, 200, 2000])
def test_a_damaged_file_is_refused(path: Path, cut: int) -> None:
    task_file.save(path, [MASKS, AGES], ())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UsageError, match="cannot read the predictions"):
        formats.read_parts(path)


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        (ForeignHints(task="multilabel"), "head mask: its predictions are classification, not"),
        (ForeignHints(classes=("x", "y")), "head mask: it names the classes off, on itself"),
    ],
)
def test_hints_that_every_head_contradicts_are_refused(
    path: Path, hints: ForeignHints, said: str
) -> None:
    task_file.save(path, [MASKS, AGES], ())
    with pytest.raises(UsageError, match=said):
        formats.read_parts(path, None, hints)


@pytest.mark.parametrize("hints", [ForeignHints(task="regression"), ForeignHints(classes=("age",))])
def test_hints_that_are_true_of_one_head_are_taken(path: Path, hints: ForeignHints) -> None:
    task_file.save(path, [MASKS, AGES], ())
    assert len(formats.read_parts(path, None, hints)) == 2


def test_a_file_of_another_schema_is_refused(path: Path) -> None:
    task_file.save(path, [MASKS, AGES], ())
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[task_file.METADATA.encode()])
    later = {task_file.METADATA: json.dumps({**about, "schema": 2})}
    pq.write_table(table.replace_schema_metadata(later), path)
    with pytest.raises(UsageError, match="it is of schema 2, and this version reads 1"):
        formats.read_parts(path)
