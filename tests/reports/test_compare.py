"""Two submissions are compared by id and column name."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import write_predictions
from toys import ensemble

from ensemble.errors import UsageError
from ensemble.predictions.run_record import RunRecord, to_json
from ensemble.reports.compare import Difference, compare


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("id,label\n1,cat\n2,dog\n3,cat\n4,eel\n")
    Path("b.csv").write_text("id,label\n4,eel\n3,dog\n2,dog\n1,dog\n")
    Path("p.csv").write_text("id,cat,dog\n1,0.9,0.1\n2,0.4,0.6\n")
    Path("q.csv").write_text("id,dog,cat\n2,0.4,0.6\n1,0.15,0.85\n")


def test_labels_that_changed_are_listed_and_counted() -> None:
    found = compare(Path("a.csv"), Path("b.csv"))
    assert (found.rows, found.changed, found.largest) == (4, ("1", "3"), None)
    assert found.moves == {("cat", "dog"): 2}


def test_probabilities_are_compared_by_column_name() -> None:
    found = compare(Path("p.csv"), Path("q.csv"))
    assert found.changed == ("2",)
    assert found.moves == {("dog", "cat"): 1}
    assert found.largest == pytest.approx(0.2)


def test_a_tie_goes_to_one_column_however_the_columns_stand() -> None:
    Path("t.csv").write_text("id,cat,dog\n1,0.5,0.5\n")
    Path("u.csv").write_text("id,dog,cat\n1,0.5,0.5\n")
    assert compare(Path("t.csv"), Path("u.csv")).changed == ()


@pytest.mark.parametrize("cell", ["nan", "-inf"])
def test_numbers_that_are_not_finite_are_refused(cell: str) -> None:
    Path("n.csv").write_text(f"id,cat,dog\n1,0.9,0.1\n2,0.4,{cell}\n")
    with pytest.raises(UsageError, match="n.csv: probabilities are finite; those of 2 are not"):
        compare(Path("p.csv"), Path("n.csv"))


def test_the_folder_of_a_run_stands_for_its_submission() -> None:
    for run, file in (("one", "a.csv"), ("two", "b.csv")):
        Path(run).mkdir()
        Path(run, "submission.csv").write_bytes(Path(file).read_bytes())
    assert compare(Path("one"), Path("two")) == compare(Path("a.csv"), Path("b.csv"))


def test_a_submission_does_not_differ_from_itself() -> None:
    found = compare(Path("p.csv"), Path("p.csv"))
    assert (found.changed, found.largest) == ((), 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n1,cat\n", "other ids: 2, 3, 4"),
        ("id,target\n1,cat\n", "other columns"),
        ("id,label\n1,cat\n1,cat\n", "id '1' stands in line 2 too"),
        ("id,label\n", "expected an id column"),
    ],
)
def test_submissions_that_do_not_fit_are_refused(text: str, message: str) -> None:
    Path("bad.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        compare(Path("a.csv"), Path("bad.csv"))


def test_the_command_shows_the_moves(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("diff", "a.csv", "b.csv") == 0
    said = capsys.readouterr().out
    assert "2 of 4 rows" in said
    assert "cat" in said
    assert ensemble("diff", "a.csv", "b.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out)["changed"] == ["1", "3"]


@pytest.mark.parametrize("cell", ["nan", "inf", "much"])
def test_probabilities_that_are_no_finite_numbers_are_refused(cell: str) -> None:
    Path("odd.csv").write_text(f"id,cat,dog\n1,{cell},0.1\n2,0.4,0.6\n")
    with pytest.raises(UsageError, match=r"odd\.csv: probabilities are"):
        compare(Path("p.csv"), Path("odd.csv"))


def both(first: str, second: str) -> Difference:
    Path("x.csv").write_text(first)
    Path("y.csv").write_text(second)
    return compare(Path("x.csv"), Path("y.csv"))


def test_moves_come_with_the_most_frequent_first_and_then_by_name() -> None:
    found = both("id,l\n1,c\n2,a\n3,b\n4,a\n5,c\n", "id,l\n1,a\n2,b\n3,a\n4,b\n5,c\n")
    assert list(found.moves.items()) == [(("a", "b"), 2), (("b", "a"), 1), (("c", "a"), 1)]


def test_what_moved_one_way_moves_back_the_other() -> None:
    forth, back = (compare(*map(Path, pair)) for pair in (("a.csv", "b.csv"), ("b.csv", "a.csv")))
    assert {(b, a): n for (a, b), n in forth.moves.items()} == back.moves
    assert sorted(forth.changed) == sorted(back.changed)


@pytest.mark.parametrize("ids", [("007", "7"), ("NA", "null"), ("1e5", "100000")])
def test_ids_are_text_and_never_numbers(ids: tuple[str, str]) -> None:
    one, other = ids
    with pytest.raises(UsageError, match=f"name other ids: {min(ids)}, {max(ids)}"):
        both(f"id,l\n{one},a\n", f"id,l\n{other},a\n")


def test_labels_are_text_and_never_numbers() -> None:
    assert both("id,l\n1,01\n", "id,l\n1,1\n").moves == {("01", "1"): 1}


def test_numbers_that_are_written_otherwise_do_not_differ() -> None:
    found = both("id,a,b\n1,0.50,0.5\n", "id,a,b\n1,5e-1,.5\n")
    assert (found.changed, found.largest) == ((), 0.0)


def test_probabilities_may_differ_without_a_label_that_changes() -> None:
    found = both("id,a,b\n1,0.9,0.1\n2,0.2,0.8\n", "id,a,b\n1,0.6,0.4\n2,0.1,0.9\n")
    assert found.changed == ()
    assert found.largest == pytest.approx(0.3)


@given(
    labels=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1),
)
def test_as_many_changed_as_moved(labels: list[tuple[str, str]]) -> None:
    texts = ["".join(["id,l\n", *(f"{n},{pair[side]}\n" for n, pair in enumerate(labels))])
             for side in (0, 1)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("x.csv", "y.csv")]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        found = compare(*paths)
    assert len(found.changed) == sum(found.moves.values()) == sum(a != b for a, b in labels)
    assert found.rows == len(labels)


def test_the_columns_that_differ_are_named_on_both_sides() -> None:
    with pytest.raises(UsageError, match="have other columns: a, b and a, c"):
        both("id,a,b\n1,1,0\n", "id,a,c\n1,1,0\n")


def test_the_largest_difference_is_one_down_as_well_as_one_up() -> None:
    found = both("id,a,b\n1,0.2,0.1\n2,0.5,0.4\n", "id,a,b\n1,0.9,0.1\n2,0.3,0.4\n")
    assert found.largest == pytest.approx(0.7)


# ---- other forms


def test_values_of_one_column_differ_by_numbers_and_move_no_label() -> None:
    found = both("id,age\n1,30.5\n2,7.0\n3,1\n", "id,age\n3,1.25\n2,7\n1,30.50\n")
    assert (found.changed, found.moves, found.largest) == (("3",), {}, 0.25)
    assert repr(found) == "<Difference: 1 of 3 rows have another value>"


def test_melted_rows_are_joined_by_image_and_target() -> None:
    one = "image,target,value\na,x,0.5\na,y,0.25\nb,x,0\nb,y,1\n"
    other = "target,image,value\ny,a,0.5\nx,a,0.5\nx,b,0\ny,b,1\n"
    Path("x.csv").write_text(one)
    Path("y.csv").write_text(other)
    found = compare(Path("x.csv"), Path("y.csv"), "image")
    assert (found.rows, found.changed, found.largest) == (4, ("a y",), 0.25)


def test_tasks_move_by_their_names() -> None:
    found = both("id,mask,age\n1,wear,<30\n2,none,<30\n", "id,age,mask\n2,60+,wear\n1,<30,wear\n")
    assert (found.changed, found.largest) == (("2",), None)
    assert found.moves == {("age <30", "age 60+"): 1, ("mask none", "mask wear"): 1}


def test_folds_beside_probabilities_are_not_compared(tmp_path: Path) -> None:
    """The fold, the largest number of each row, would be every label."""
    texts = ("id,fold,cat,dog\na,3,0.6,0.4\nb,4,0.5,0.5\n", "id,cat,dog\na,0.3,0.7\nb,0.5,0.5\n")
    for name, text in zip("xy", texts, strict=True):
        (tmp_path / f"{name}.csv").write_text(text)
    found = compare(tmp_path / "x.csv", tmp_path / "y.csv")
    assert (found.changed, found.moves) == (("a",), {("cat", "dog"): 1})
    assert found.largest == pytest.approx(0.3)
    assert found.notes == (f"{tmp_path / 'x.csv'}: the columns fold are no class, and left out",)


def a_run(name: str, text: str, ids: list[str]) -> Path:
    """The folder of a run that has no more in it than tells of its submission."""
    record = RunRecord({}, "label", ("cat", "dog"), (), {}, {}, {})
    Path(name).mkdir()
    Path(name, "run.json").write_text(json.dumps(to_json(record)))
    probs, told = np.full((len(ids), 2), 0.5), {"task": "classification"}
    write_predictions(Path(name, "predictions.parquet"), ids, [], {"probs": probs}, told)
    Path(name, "submission.csv").write_text(text)
    return Path(name)


def test_the_ids_of_a_run_tell_their_column_in_both_submissions() -> None:
    one = a_run("one", "label,image\ncat,1.png\ncat,2.png\n", ["1", "2"])
    Path("other.csv").write_text("label,image\ncat,2.png\ndog,1.png\n")
    assert compare(one, Path("other.csv")).changed == ("1.png",)


def test_the_said_id_is_that_of_the_submissions_that_have_it() -> None:
    Path("x.csv").write_text("label,image\ncat,1\ncat,2\n")
    Path("y.csv").write_text("id,label\n1,cat\n2,dog\n")
    assert compare(Path("x.csv"), Path("y.csv"), "image").changed == ("2",)
    with pytest.raises(UsageError, match="no column 'name', as --id-col says: x.csv has label, im"):
        compare(Path("x.csv"), Path("y.csv"), "name")


def test_labels_that_are_taken_for_ids_are_refused_with_the_flag() -> None:
    with pytest.raises(UsageError, match="id 'cat' stands in line 2 too: .*--id-col"):
        both("label,image\ncat,1\ncat,2\n", "label,image\ncat,1\ncat,2\n")
