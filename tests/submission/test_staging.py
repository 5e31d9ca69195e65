"""A vote is made slice by slice: the same bytes whatever a slice's length, in bounded memory."""

import io
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import CLASSES

from ensemble.files import spool
from ensemble.predictions.slices import row_slices
from ensemble.predictions.table import Predictions
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Quarantined, Task, Voting
from ensemble.submission import rows
from ensemble.submission.rows import ExitLabels, VoteInput
from ensemble.submission.sample import plain_sample
from ensemble.submission.staging import Staged, order_of, staged
from ensemble.voting.vote import Ballot

LOST = Quarantined("lost", "lost.png", "decode", "ImageError", "cut short", "", 0)


def asked(
    count: int, output: str, task: Task = "classification", seed: int = 0, **more: object
) -> tuple[Recipe, VoteInput]:
    """Predictions of two families, and of one that is lost; the sample turns their order round."""
    rng, ids = np.random.default_rng(seed), tuple(f"img{n}" for n in range(count))
    families = {name: rng.dirichlet(np.ones(3), count) for name in ("ant", "bee")}
    found = Predictions(ids, CLASSES, families, task=task, quarantined=(LOST,))
    sample = plain_sample((*ids[::-1], "lost"), CLASSES, output, "auto")
    recipe = resolve(Settings((), (), device="cpu", fill=more.pop("fill", None), **more))
    return recipe, VoteInput(found, sample, {})


def made(recipe: Recipe, voted: VoteInput, size: int) -> tuple[bytes | None, pa.Table, Staged]:
    """The submission, the predictions, and what else is known of a vote in slices of a length."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "rows_of_slice", lambda columns: size)
        with staged(recipe, Path(), voted, keep=True) as found:
            csv = found.csv and found.csv.piece(0, found.csv.tell())
            table = found.predictions.piece(0, found.predictions.tell())
    return csv, pq.ParquetFile(io.BytesIO(table)).read(), found


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 70), size=st.integers(1, 71), seed=st.integers(0, 1 << 20),
    output=st.sampled_from(["labels", "probs"]),
    voting=st.sampled_from(["soft", "hard", "geometric"]),
)  # fmt: skip
def test_slices_of_any_length_give_the_same_bytes(
    count: int, size: int, seed: int, output: str, voting: Voting
) -> None:
    fill = "dog" if output == "labels" else 0
    given_ = asked(count, output, seed=seed, voting=voting, fill=fill)
    csv, table, found = made(*given_, size)
    whole_csv, whole_table, whole = made(*given_, count)
    assert csv is not None
    assert (csv, csv.count(b"\n")) == (whole_csv, count + 2)
    assert table.equals(whole_table)
    assert (found.ids, found.kept.labels) == (whole.ids, whole.kept.labels)
    np.testing.assert_allclose(found.kept.probs, whole.kept.probs, rtol=1e-15)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_labels_and_values_are_the_same_bytes_too(task: Task, size: int) -> None:
    given_ = asked(7, "probs", task, fill=0)
    csv, table, _ = made(*given_, size)
    assert (csv, table.equals(made(*given_, 7)[1])) == (made(*given_, 7)[0], True)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_labels_that_were_decided_are_the_same_bytes_too(size: int) -> None:
    recipe, voted = asked(7, "labels", fill="eel")
    decided = ExitLabels(np.arange(7)[:, None] % 3, np.arange(7))
    csv, table, _ = made(recipe, replace(voted, decided=decided), size)
    assert csv is not None
    assert csv.decode().splitlines()[1:3] == ["img6,cat", "img5,eel"]
    assert table.column("n_evals").to_pylist() == list(range(7))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_how_far_constraints_were_off_is_told_of_all_rows(size: int) -> None:
    recipe, voted = asked(7, "probs", "regression", fill=0, constraints=("eel = cat + dog",))
    found, whole = (made(recipe, voted, n)[2].residuals["eel = cat + dog"] for n in (size, 7))
    assert found.largest == whole.largest
    assert found.mean == pytest.approx(whole.mean, rel=1e-12)


def test_what_is_kept_stands_in_the_order_of_the_sample() -> None:
    recipe, voted = asked(5, "probs", fill=0)
    _, _, found = made(recipe, voted, 2)
    assert found.kept is not None
    assert found.ids == ("img4", "img3", "img2", "img1", "img0")
    assert order_of(voted).tolist() == [4, 3, 2, 1, 0]
    np.testing.assert_array_equal(
        found.kept.families["bee"], voted.predictions.families["bee"][::-1]
    )
    np.testing.assert_allclose(found.kept.probs, np.mean(
        [probs[::-1] for probs in voted.predictions.families.values()], axis=0
    ))  # fmt: skip


def test_without_something_that_stands_in_there_is_no_submission() -> None:
    csv, table, _ = made(*asked(3, "labels"), 2)
    assert (csv, table.num_rows) == (None, 3)


def test_nothing_is_seen_of_a_vote_that_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_HELD", 1)
    recipe, voted = asked(3, "labels", fill="cat")
    with staged(recipe, tmp_path / "out", voted, keep=False) as found:
        assert found.kept is None
        assert list(tmp_path.iterdir()) == []


def peak(count: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """The most bytes that a vote of so many rows takes, whose numbers are made as they are read."""
    ids, classes = tuple(f"img{n}" for n in range(count)), tuple(f"c{n}" for n in range(18))
    families = tuple("abcdef")

    def read(size: int) -> Iterator[Sequence[Ballot]]:
        for at in row_slices(count, size):
            probs = np.full((at.stop - at.start, 18), 1 / 18)
            yield [Ballot(name, name, probs.copy()) for name in families]

    found = Predictions(ids, classes, {})
    voted = VoteInput(found, plain_sample(ids, classes, "probs", "auto"), {}, ballots=read)
    recipe = resolve(Settings((), (), device="cpu"))
    monkeypatch.setattr(spool, "_HELD", 1 << 12)
    monkeypatch.setattr(rows, "rows_of_slice", lambda columns: 256)
    tracemalloc.start()
    try:
        with staged(recipe, Path(), voted, keep=False) as made_:
            assert made_.csv is not None
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_as_the_numbers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    peak(256, monkeypatch)  # what is imported and made once
    few, many = peak(1024, monkeypatch), peak(8192, monkeypatch)
    a_row = 6 * 18 * 8  # what the families' float64 of a row take
    assert (many - few) / (8192 - 1024) < a_row / 4
