"""Values of a regression against their truth: a chart a target, and how far off rows are."""

from typing import Final

import numpy as np

from ensemble.evaluation.metrics import metric_of
from ensemble.reports.page.blocks import Block, Chart, Table, name_cell, score_cell, shown_name
from ensemble.reports.page.density import residual_chart, values_chart
from ensemble.reports.scorecard import Compared

TARGETS: Final = 6
"""The most targets that have charts."""


def value_blocks(compared: Compared) -> list[Block]:
    """Return the errors of each target, and charts of the first few."""
    truth, given = np.asarray(compared.truth, np.float64), compared.given
    rmse, mae = (metric_of(name, "regression") for name in ("rmse", "mae"))
    rows = tuple(
        (name_cell(name), *(score_cell(metric.score(truth[:, [c]], given[:, [c]]))
                            for metric in (rmse, mae)),
         score_cell(float((given[:, c] - truth[:, c]).mean())))
        for c, name in enumerate(compared.classes)
    )  # fmt: skip
    header = ("target", "rmse", "mae", "mean of predicted less truth")
    blocks: list[Block] = [Table("Each target", header, rows)]
    for column, name in enumerate(compared.classes[:TARGETS]):
        own, said = truth[:, column], given[:, column]
        what = shown_name(name)
        about = f"{what}: predicted against truth"
        blocks.append(Chart(values_chart(own, said, about), f"{about}. On the line it is right."))
        about = f"{what}: how far rows are off"
        blocks.append(Chart(residual_chart(said - own, about), f"{about}."))
    return blocks
