"""The file of views kept apart: written, read back, and merged for whoever reads the families."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ensemble.errors import UsageError
from ensemble.predictions.formats import read, read_parts
from ensemble.predictions.kept_views import Costs, KeptViews
from ensemble.predictions.views_file import METADATA, read_views, save
from ensemble.records import Quarantined

LOST = Quarantined("z", "z.png", "decode", "truncated", "ends early", "0" * 64, 7)


def kept() -> KeptViews:
    """Two families, of two views and one, over four rows in two folds."""
    rng = np.random.default_rng(0)
    probs = rng.dirichlet([1, 1, 1], (3, 4)).astype(np.float32)
    return KeptViews(
        ids=("a", "b", "c", "d"),
        classes=("cat", "dog", "eel"),
        columns={"ant": {"plain": probs[0], "hflip": probs[1]}, "bee": {"plain": probs[2]}},
        folds=np.array([0, 1, 0, 1]),
        members={"ant": {0: "a0", 1: "a1"}, "bee": {0: "b0", 1: "b1"}},
        costs=Costs(0.1, 0.002, {"ant": {"plain": 0.01, "hflip": 0.02}, "bee": {"plain": 0.03}}),
    )


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    made = replace(kept(), quarantined=(LOST,))
    save(tmp_path / "views.parquet", [made])
    (found,) = read_views(tmp_path / "views.parquet")
    assert found.folds.tolist() == [0, 1, 0, 1]
    for family, views in made.columns.items():
        for view, probs in views.items():
            np.testing.assert_array_equal(found.columns[family][view], probs)
    plain = {"columns": {}, "folds": made.folds}
    assert replace(found, **plain) == replace(made, **plain)  # type: ignore[arg-type]
    assert "z.png" in (tmp_path / "views.quarantine.csv").read_text()


def test_whoever_reads_families_gets_their_views_merged(tmp_path: Path) -> None:
    made = kept()
    save(tmp_path / "views.parquet", [made])
    found = read(tmp_path / "views.parquet")
    ant = made.columns["ant"]
    np.testing.assert_allclose(found.families["ant"], (ant["plain"] + ant["hflip"]) / 2, atol=1e-7)
    np.testing.assert_allclose(found.families["bee"], made.columns["bee"]["plain"], atol=1e-7)
    assert found.views == {"ant": "mean of plain, hflip", "bee": "plain"}
    assert found.members == {"ant": ("a0", "a1"), "bee": ("b0", "b1")}


def test_views_come_in_the_order_of_the_policy(tmp_path: Path) -> None:
    save(tmp_path / "views.parquet", [kept()])
    (found,) = read_views(tmp_path / "views.parquet")
    assert list(found.columns["ant"]) == ["plain", "hflip"]


def test_another_file_is_refused_and_the_command_named(tmp_path: Path) -> None:
    kept().merged().save(tmp_path / "oof.parquet")
    with pytest.raises(UsageError, match="not kept apart; make it with `ensemble oof --keep-views"):
        read_views(tmp_path / "oof.parquet")


@pytest.mark.parametrize("lacking", ["parts", "merge", "costs", "quarantined"])
def test_a_damaged_file_is_refused(tmp_path: Path, lacking: str) -> None:
    save(tmp_path / "views.parquet", [kept()])
    table = pq.ParquetFile(tmp_path / "views.parquet").read()
    about = json.loads(table.schema.metadata[METADATA.encode()])
    about[lacking] = 7
    pq.write_table(table.replace_schema_metadata({METADATA: json.dumps(about)}),
                   tmp_path / "views.parquet")  # fmt: skip
    with pytest.raises(UsageError, match=r"views\.parquet: cannot read the predictions"):
        read_views(tmp_path / "views.parquet")


def of_two_heads() -> list[KeptViews]:
    return [
        replace(kept(), output="kind"),
        replace(kept(), output="score", ordinal="conditional", classes=("1", "2", "3")),
    ]


def test_heads_are_read_back_each_with_its_own_columns(tmp_path: Path) -> None:
    made = of_two_heads()
    save(tmp_path / "views.parquet", made)
    found = read_views(tmp_path / "views.parquet")
    assert [(part.output, part.classes, part.ordinal) for part in found] == [
        (part.output, part.classes, part.ordinal) for part in made
    ]
    for part, same in zip(found, made, strict=True):
        np.testing.assert_array_equal(part.columns["ant"]["hflip"], same.columns["ant"]["hflip"])


def test_heads_are_a_part_each_for_whoever_reads_families(tmp_path: Path) -> None:
    save(tmp_path / "views.parquet", of_two_heads())
    assert [part.output for part in read_parts(tmp_path / "views.parquet")] == ["kind", "score"]
    with pytest.raises(UsageError, match="give --label-map too"):
        read(tmp_path / "views.parquet")
