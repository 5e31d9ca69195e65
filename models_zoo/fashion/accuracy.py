"""Print how many labels of a submission are right, and where it lies.

python models_zoo/fashion/accuracy.py submissions/demo/submission.csv
"""

import csv
import sys
from pathlib import Path

LABELS = Path(__file__).parent / "labels.csv"


def read_labels(path: Path) -> dict[str, str]:
    """Return the label of each id."""
    with path.open(encoding="utf-8", newline="") as stream:
        return {row["id"]: row["label"] for row in csv.DictReader(stream)}


def main() -> None:
    """Compare by id; every image must have its row."""
    found, truth = read_labels(Path(sys.argv[1])), read_labels(LABELS)
    if found.keys() != truth.keys():
        raise SystemExit(f"{sys.argv[1]} and {LABELS} name different ids")
    right = sum(found[i] == truth[i] for i in truth)
    share = right / len(truth)
    print(f"accuracy {share:.3f}: {right} of {len(truth)} test images. It lies in {sys.argv[1]}")


if __name__ == "__main__":
    main()
