"""A submission stands in the order of the sample, however its lines came."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import Row, render

from ensemble.errors import ContractError
from ensemble.files.spool import spooled
from ensemble.submission import lines
from ensemble.submission.cells import Row as Cells
from ensemble.submission.lines import lines_of
from ensemble.submission.reading import read_sample
from ensemble.submission.sample import Copied, Sample, plain_sample

CLASSES = ("cat", "dog")


def written(
    sample: Sample, ids: list[str], cells: Mapping[str, Cells], lost: list[str], size: int
) -> bytes:
    """What is written of ids that come so many at a time, the lost ones filled with 0."""
    with spooled(Path("s.csv")) as sink:
        with lines_of(sample, ids, lost, ["0"] * len(sample.columns), sink) as out:
            for start in range(0, len(ids), size):
                out.add([cells[name] for name in ids[start : start + size]])
            out.finish()
        return sink.piece(0, sink.tell())


@settings(deadline=None)
@given(
    asked=st.permutations("abcdefg"), came=st.permutations("abcdefg"),
    lost=st.sets(st.sampled_from("abcdefg")), size=st.integers(1, 8), pieces=st.integers(1, 8),
)  # fmt: skip
def test_lines_stand_in_the_order_of_the_sample(
    asked: list[str], came: list[str], lost: set[str], size: int, pieces: int
) -> None:
    sample = plain_sample(asked, CLASSES, "labels", "auto")
    ids = [name for name in came if name not in lost]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_PIECES", pieces)
        found = written(sample, ids, {name: [f"of {name}"] for name in ids}, sorted(lost), size)
    wanted = [f"{name},{'0' if name in lost else f'of {name}'}\n" for name in asked]
    assert found.decode() == "id,label\n" + "".join(wanted)


@pytest.mark.parametrize("came", ["abc", "cab"])
def test_copied_columns_and_ids_of_their_own_stand_with_their_row(came: str) -> None:
    sample = replace(
        plain_sample(tuple("abc"), CLASSES, "labels", "auto"),
        id_place=1,
        written={"b": "b,png"},
        copied=(Copied(2, "site", ("x", "y", "z")),),
    )
    found = written(sample, list(came), {name: [name.upper()] for name in came}, [], 2)
    assert found.decode().splitlines()[1:] == ["A,a,x", 'B,"b,png",y', "C,c,z"]


@pytest.mark.parametrize("came", ["abc", "cab"])
@pytest.mark.parametrize("odd", [False, True])
def test_numbers_that_are_one_text_stand_in_their_columns(came: str, odd: bool) -> None:
    sample = plain_sample(("a", 'b,"', "c"), CLASSES, "probs", "auto")
    if odd:
        sample = replace(sample, id_place=1, copied=(Copied(0, "site", ("x,", "y", "z")),))
    texts = {"a": "0.5,0.25", 'b,"': "1,0", "c": "2,3"}
    ids = [{"b": 'b,"'}.get(name, name) for name in came]
    found = written(sample, ids, texts, [], 2).decode().splitlines()[1:]
    plain = ["a,0.5,0.25", '"b,""",1,0', "c,2,3"]
    assert found == (['"x,",0.5,a,0.25', 'y,1,"b,""",0', "z,2,c,3"] if odd else plain)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_melted_sample_is_written_by_image_and_name(tmp_path: Path, size: int) -> None:
    (tmp_path / "s.csv").write_text("id,value\nb_dog,0\na_cat,0\na_dog,0\nb_cat,0\n")
    sample = read_sample(tmp_path / "s.csv", CLASSES, known=("a", "b"))
    rows = {"a": Row("cat", [0.75, 0.25]), "b": Row("dog", [0.5, 0.5])}
    assert render(sample, rows, CLASSES, size).decode() == (
        "id,value\nb_dog,0.5\na_cat,0.75\na_dog,0.25\nb_cat,0.5\n"
    )


@pytest.mark.parametrize(("ids", "lost"), [("a", ""), ("abc", "c"), ("ab", "b")])
def test_ids_too_few_or_too_many_are_refused(ids: str, lost: str) -> None:
    sample = plain_sample(tuple("ab"), CLASSES, "labels", "auto")
    with pytest.raises(ContractError, match="2 ids are asked for"):
        written(sample, list(ids), {name: ["cat"] for name in ids}, list(lost), 1)
