"""The OOF Parquet and the quarantine beside it."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tables import CLASSES, IDS, oof, probs

import ensemble as public
from ensemble.errors import UsageError
from ensemble.predictions.formats import read
from ensemble.predictions.oof_file import METADATA, write, write_quarantine
from ensemble.predictions.table import Oof
from ensemble.records import Quarantined

LOST = Quarantined("z", "z.png", "decode", "truncated", "ends early", "0" * 64, 7)


def test_what_is_saved_in_python_is_loaded_as_it_was(tmp_path: Path) -> None:
    made = replace(oof(folds=np.arange(4)), quarantined=(LOST,))
    made.save(tmp_path / "oof.parquet")
    again, told = public.Oof.load(tmp_path / "oof.parquet"), read(tmp_path / "oof.parquet")
    for found in (again, told):
        assert (found.ids, found.classes, found.quarantined) == (IDS, CLASSES, (LOST,))
        assert found.folds is not None
        assert found.folds.tolist() == [0, 1, 2, 3]
        for name, kept in made.families.items():
            np.testing.assert_allclose(found.families[name], kept, atol=1e-7)


def test_the_quarantine_lies_beside_and_goes_with_its_images(tmp_path: Path) -> None:
    beside = tmp_path / "oof.quarantine.csv"
    replace(oof(), quarantined=(LOST,)).save(tmp_path / "oof.parquet")
    assert "z.png" in beside.read_text()
    oof().save(str(tmp_path / "oof.parquet"))
    assert not beside.exists()


def test_a_head_of_thresholds_is_read_back_as_one(tmp_path: Path) -> None:
    made = replace(oof(), ordinal="conditional", task="multilabel")
    made.save(tmp_path / "oof.parquet")
    for found in (Oof.load(tmp_path / "oof.parquet"), read(tmp_path / "oof.parquet")):
        assert found.ordinal == "conditional"


def test_a_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "oof.parquet"
    oof().save(path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[METADATA.encode()])
    later = {METADATA: json.dumps({**about, "schema": 2})}
    pq.write_table(table.replace_schema_metadata(later), path)
    with pytest.raises(UsageError, match="oof.parquet: it is of schema 2"):
        Oof.load(path)


@pytest.mark.parametrize("kind", ["gone", "damaged"])
def test_what_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    if kind == "damaged":
        (tmp_path / "oof.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="oof.parquet: cannot read the predictions"):
        Oof.load(tmp_path / "oof.parquet")


def test_a_parquet_of_elsewhere_is_no_oof(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a"], "cat": [0.5], "dog": [0.5]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="not what `Oof.save` or `ensemble oof` wrote"):
        Oof.load(tmp_path / "x.parquet")


def test_an_oof_prints_in_a_line(tmp_path: Path) -> None:
    ids = tuple(map(str, range(10_000)))
    table = Oof(ids, ("cat", "dog"), {"ant": np.full((10_000, 2), 0.5)}, quarantined=(LOST,))
    assert repr(table) == (
        "<Oof of 10000 rows, 2 classes (classification): families ant, 1 quarantined>"
    )


def test_the_quarantine_is_a_row_an_image(tmp_path: Path) -> None:
    write_quarantine(tmp_path / "q.csv", [LOST, replace(LOST, id="=1", message="\udce9")])
    with (tmp_path / "q.csv").open(newline="", encoding="utf-8") as stream:
        header, first, second = csv.reader(stream)
    assert header == ["id", "path", "stage", "error_class", "message", "sha256", "bytes"]
    assert first == ["z", "z.png", "decode", "truncated", LOST.message, LOST.sha256, "7"]
    assert (second[0], second[4]) == ("=1", "\\udce9")


def test_an_empty_quarantine_is_its_header(tmp_path: Path) -> None:
    write_quarantine(tmp_path / "q.csv", [])
    assert (tmp_path / "q.csv").read_text().count("\n") == 1


@pytest.mark.parametrize("name", ["id", "fold"])
def test_a_family_called_as_a_column_of_the_file_is_refused(name: str, tmp_path: Path) -> None:
    table = Oof(IDS, CLASSES, {name: probs()})
    with pytest.raises(UsageError, match=f"a family is called '{name}', as the column"):
        write(tmp_path / "oof.parquet", table)
    assert not (tmp_path / "oof.parquet").exists()


def test_the_name_of_another_head_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "oof.parquet"
    given = Oof(("a",), ("x", "y"), {"net": np.array([[0.5, 0.5]])}, output="mask")
    given.save(path)
    assert Oof.load(path).output == "mask"
    replace(given, output="label").save(path)
    assert b"head" not in pq.read_schema(path).metadata[METADATA.encode()]
    assert Oof.load(path).output == "label"
