"""What families and members say of tasks: folds averaged, values cut, thresholds parted."""

import numpy as np
import pytest

from ensemble.errors import ContractError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions
from ensemble.predictions.task_columns import family_columns, member_columns
from ensemble.records import MemberId, Ordinal

AGE = LabelTask("age", ("<30", "30-59", ">=60"), (30.0, 60.0), 4.0)
MAP = LabelMap(tuple("012"), (AGE,), tuple((name,) for name in AGE.classes))


def folds(*values: float) -> Predictions:
    """Predictions of a value by the folds of one family, for one image."""
    names = [f"years-f{fold}" for fold in range(len(values))]
    sources = tuple(
        RecordedMember(MemberId(name, "years", fold, name), None) for fold, name in enumerate(names)
    )
    columns = {name: np.array([[value]]) for name, value in zip(names, values, strict=True)}
    return Predictions(("a",), ("age",), columns, task="regression", output="age", sources=sources)


def test_the_folds_of_a_family_are_averaged_in_years_before_they_are_cut() -> None:
    (years,) = family_columns([folds(25.0, 65.0)], MAP, {})
    assert years.values is not None
    assert years.values.tolist() == [45.0]
    assert years.probs[0].argmax() == 1
    assert years.probs[0, 1] > 0.999  # the mean of their classes would be .447 .106 .447


def test_each_member_votes_by_its_own_value() -> None:
    voters = member_columns([folds(25.0, 65.0)], MAP)
    assert [each.probs[0].argmax() for each in voters] == [0, 2]


def test_a_spread_of_the_column_goes_before_the_tasks() -> None:
    (told,) = family_columns([folds(57.9)], MAP, {"years": 0.5})
    (plain,) = family_columns([folds(57.9)], MAP, {})
    assert plain.probs[0] == pytest.approx([0, 0.7002, 0.2998], abs=1e-4)
    assert told.probs[0] == pytest.approx([0, 1, 0], abs=1e-4)


def ranks(ordinal: Ordinal, thresholds: list[float]) -> Predictions:
    return Predictions(
        ("a",), (">=60", "30-59"), {"ranks": np.array([thresholds])}, task="multilabel",
        output="age", ordinal=ordinal,
    )  # fmt: skip


def test_thresholds_become_the_classes_that_they_part() -> None:
    (found,) = family_columns([ranks("conditional", [0.25, 0.8])], MAP, {})
    assert found.probs[0] == pytest.approx([0.2, 0.6, 0.2])


def test_cumulative_thresholds_that_rise_are_refused_with_the_image() -> None:
    risen = ranks("cumulative", [0.9, 0.3])
    with pytest.raises(ContractError, match=r"ranks, id 'a': the thresholds of age.*0\.3, 0\.9"):
        family_columns([risen], MAP, {})


def test_each_members_thresholds_are_read_before_the_folds_are_averaged() -> None:
    sources = tuple(RecordedMember(MemberId(n, "ranks", f, n), None) for f, n in enumerate("xy"))
    folds = {"x": np.array([[0.5, 1.0]]), "y": np.array([[1.0, 0.5]])}
    given = Predictions(
        ("a",), (">=60", "30-59"), folds, task="multilabel", output="age", sources=sources,
        ordinal="conditional",
    )  # fmt: skip
    (found,) = family_columns([given], MAP, {})
    assert found.probs[0] == pytest.approx([0.25, 0.25, 0.5])  # of the mean: .25 .1875 .5625
