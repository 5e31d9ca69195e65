"""Labels go with predictions."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.pipeline.report_order import ReportOrder
from ensemble.reports.scorecard import Labels


def test_labels_of_what_has_no_predictions_are_refused() -> None:
    ReportOrder(Path("a.html")).without_labels("w.json")
    with pytest.raises(UsageError, match=r"w\.json holds none"):
        ReportOrder(Path("a.html"), Labels(Path("l.csv"))).without_labels("w.json")
