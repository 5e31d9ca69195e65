"""How values become classes, drawn."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.reports.spread_figure import draw_spread
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.weights import Weights

AGE = LabelTask("age", ("<30", "30-59", ">=60"), (30.0, 60.0))
MASK = LabelTask("mask", ("off", "on"))
TALL = LabelTask("tall", ("<2", ">=2"), (2.0,))


def drawn(column: str, *tasks: LabelTask) -> Axes:
    rows = tuple((tasks[0].classes[n], *(task.classes[0] for task in tasks[1:])) for n in (0, 1))
    joint = JointWeights(LabelMap(("0", "1"), tasks, rows), {column: 4.0})
    axes = Figure().subplots()
    draw_spread(axes, Weights({column: 1.0}, joint=joint), column)
    return axes


def test_each_class_is_a_curve_and_each_cut_a_line() -> None:
    axes = drawn("net/age", AGE, MASK)
    told = axes.get_legend()
    assert told is not None
    assert [text.get_text() for text in told.get_texts()] == list(AGE.classes)
    assert len(axes.lines) == 3 + 2
    assert axes.get_title() == "classes of age, by a spread of 4"


def test_the_curves_are_half_at_the_cuts_and_sum_to_one() -> None:
    lines = drawn("net/age", AGE, MASK).lines[:3]
    shares = np.array([line.get_ydata() for line in lines])
    assert shares.sum(0) == pytest.approx(1)
    values = np.asarray(lines[0].get_xdata(), float)
    near = int(np.abs(values - 30).argmin())
    assert shares[0, near] == pytest.approx(0.5, abs=0.05)


def test_a_family_of_one_task_is_of_the_one_that_is_cut() -> None:
    assert drawn("years", AGE, MASK).get_title().startswith("classes of age")
    assert drawn("years", AGE, TALL).get_title() == ""
