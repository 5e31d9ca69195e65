"""What an early exit found is what the store holds of it."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from exit_runs import COUNT, broken, record, submit

from ensemble.early_exit.plan import ENDS
from ensemble.predictions.store import load_partition

pytestmark = pytest.mark.usefixtures("alike")


def test_labels_and_evaluations_are_those_of_the_key(sharp: list[Path], many: Path) -> None:
    early = submit(sharp, many, "early", early_exit="lossless")
    partition = load_partition(Path(".ensemble"), record(early)["key"])
    assert partition is not None
    ends = partition.read(ENDS).probs
    assert early.evaluations is not None
    assert early.evaluations.tolist() == ends[:, 0].tolist()
    assert pq.read_table("early/predictions.parquet")["n_evals"].to_pylist() == ends[:, 0].tolist()


def test_images_without_a_label_come_in_the_order_of_their_ids(
    sharp: list[Path], many: Path
) -> None:
    broken(many, range(9, 12))
    early = submit(sharp, many, "early", early_exit="lossless", fill="cat")
    assert early.evaluations is not None
    assert len(early.evaluations) == COUNT - 3
    rows = Path("early/quarantine.csv").read_text().splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["img9", "img10", "img11"]
