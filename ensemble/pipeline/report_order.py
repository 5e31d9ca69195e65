"""What a report is asked for beside what it is of."""

from dataclasses import dataclass
from pathlib import Path

from ensemble.errors import UsageError
from ensemble.label_map import LabelMap
from ensemble.records import IdFrom, Task
from ensemble.reports.scorecard import Labels

NO_LABELS = "there are no scores, no confusion and no calibration: --labels gives the truth"


@dataclass(frozen=True, slots=True)
class ReportOrder:
    """How a page is made.

    `labels` are the truth, None where it is not known. `images` are where pictures come from; empty
    takes what a run says. `id_from`, `image_col`: as for a run; None takes what the run says.
    `label_map` and `task` are those of what does not say it. `most` is the most images of a cell.
    """

    out: Path
    labels: Labels | None = None
    label_map: LabelMap | None = None
    task: Task | None = None
    images: tuple[str, ...] = ()
    id_from: IdFrom | None = None
    id_column: str | None = None
    image_col: str | None = None
    most: int = 8

    def without_labels(self, what: str) -> None:
        """Check that nobody gave labels for what has no predictions.

        Raises:
            UsageError: labels were given.
        """
        if self.labels is not None:
            raise UsageError(f"--labels go with predictions; {what} holds none: leave them out")
