"""What would make the answer wrong is refused before tuning; what makes it weak is told."""

from pathlib import Path

import numpy as np
import pytest
from blends import ROWS, TRUTH, tuned_on
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.predictions.formats import read
from ensemble.progress import Quiet
from ensemble.tuning.tune import tune_weights
from ensemble.tuning.weigh import TuneOrder

pytestmark = pytest.mark.usefixtures("train")


def test_groups_across_folds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"groups lie in several folds: .*folds 0, 1, 2"):
        tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, group="label"))
    assert tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, group="patient")).evidence["n"] == ROWS


def test_a_fold_with_every_row_of_a_class_is_refused() -> None:
    Path("folds.csv").write_text(
        "\n".join(["id,fold", *(f"img{r},{int(TRUTH[r] == 0)}" for r in range(ROWS))])
    )
    with pytest.raises(UsageError, match="fold 0 holds every row of dog, eel"):
        tune_weights(tuned_on({"ant": 2.0}, folds=Path("folds.csv")))


def test_one_fold_is_no_evidence_and_is_refused() -> None:
    rows = [f"img{r},0" for r in range(ROWS)]
    Path("folds.csv").write_text("\n".join(["id,fold", *rows]))
    with pytest.raises(UsageError, match=r"fold 0 holds every row"):
        tune_weights(tuned_on({"ant": 2.0}, folds=Path("folds.csv")))


def test_near_copies_and_lone_families_are_told() -> None:
    told: list[str] = []

    class Listener(Quiet):
        def warn(self, message: str) -> None:
            told.append(message)

    order = tuned_on({"ant": 2.0})
    tune_weights(order, Listener())
    copy = [*order.files, ("bee", Path("bee.npz"))]
    table = read(Path("ant.parquet"))
    np.savez("bee.npz", ids=np.array(table.ids), probs=table.families["ant"], classes=CLASSES)
    tune_weights(TuneOrder(copy, order.labels, "log_loss"), Listener())
    assert any("one family" in line for line in told)
    assert any("ant and bee are near copies" in line for line in told)
