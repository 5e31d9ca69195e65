"""Seconds of weights for several tasks that make one label.

    python benchmarks/blends/tune_tasks.py [--rows 20000] [--metric log_loss]

Eight families over three tasks (3 x 2 x 3 classes, 18 labels that depend on one another): two of
the label, two a task. Printed are the seconds of the weights alone, and of the whole tune with its
nested report in five folds. All in one process, one after the other.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.evaluation.metrics import metric_of
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import join_tasks
from ensemble.progress import Quiet
from ensemble.tuning.joint import joint_rivals
from ensemble.tuning.weigh import TuneOrder
from ensemble.tuning.weigh_tasks import weigh_tasks
from ensemble.voting.lift import lifted

TASKS = (
    LabelTask("kind", ("bag", "shoe", "top")),
    LabelTask("turn", ("down", "up")),
    LabelTask("age", ("<30", "30-59", ">=60"), (30.0, 60.0)),
)
FOLDS = 5


def label_map() -> LabelMap:
    """Return the map of every combination."""
    rows = [(k, t, a) for k in TASKS[0].classes for t in TASKS[1].classes for a in TASKS[2].classes]
    return LabelMap(tuple(map(str, range(len(rows)))), TASKS, tuple(rows))


def knows(
    truth: NDArray[np.int64], classes: int, how: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return probabilities that know so much of the truth."""
    scores = how * np.eye(classes)[truth] + rng.normal(0, 1, (len(truth), classes))
    shares = np.exp(scores)
    return np.asarray(shares / shares.sum(1, keepdims=True))


def main() -> None:
    """Print the two durations."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--metric", default="log_loss")
    args = parser.parse_args()
    rng, joint = np.random.default_rng(0), label_map()
    y = rng.choice(18, args.rows, p=rng.dirichlet(np.ones(18) * 2))
    truths = [("label", joint.labels, y)]
    places = np.array(joint.places)[y]
    truths += [(task.name, task.classes, places[:, t]) for t, task in enumerate(TASKS)]
    ids, folds = tuple(map(str, range(args.rows))), np.arange(args.rows) % FOLDS
    parts = [
        Predictions(
            ids,
            tuple(classes),
            {f"{name}{n}": knows(truth, len(classes), 1.0 + n, rng) for n in range(2)},
            folds,
            output=name,
        )
        for name, classes, truth in truths
    ]
    tasks, metric = join_tasks(parts, joint), metric_of(args.metric, "classification")
    columns = tasks.columns()
    stack = lifted(columns, joint)
    rivals = joint_rivals(columns, joint, metric)
    begun = time.perf_counter()
    rivals.fit(stack, y, rivals.ways[-1])
    fitted = time.perf_counter()
    weigh_tasks(tasks, y, TuneOrder((), Path(), args.metric), None, Quiet())
    done = time.perf_counter()
    print(f"{len(columns)} families, {args.rows} rows, 18 labels; {args.metric}\n")
    print(f"| weights | {fitted - begun:.2f} s |\n|---|---|")
    print(f"| the whole tune, nested report included | {done - fitted:.2f} s |")


if __name__ == "__main__":
    main()
