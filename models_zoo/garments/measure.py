"""Measure the garments zoo on 10 000 test scenes, and print the tables of its README.

    python models_zoo/garments/measure.py

The members predict by `ensemble.run`, the folds of a family averaged; what is made of their heads
is made here, by NumPy alone. Scenes and predictions are kept in work/.
"""

import argparse
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from data import DATA, JOINT, KINDS, ORIENTATIONS, SIZES, TEST, read_garments, scenes, write_scenes
from families import BINS, FAMILIES, FOLDS, member_of

import ensemble

HERE = Path(__file__).parent
CUTS = [least for least, _ in SIZES.values()][1:]
TASKS = {"kind": 3, "orientation": 2, "size": 3, "joint": len(JOINT)}
DRAWS = 1000

Found = Mapping[str, np.ndarray]
"""What a family, or a blend, says of each task: probabilities float64 (N, C)."""


def predict(name: str) -> dict[str, np.ndarray]:
    """Return what a family gives by head, float64 (N, C), over the test scenes in their order."""
    members = [member_of(name, fold) for fold in range(FOLDS)]
    given = {}
    for head in FAMILIES[name].heads:
        result = ensemble.run(
            members,
            "work/test/images",
            head=head.name,
            out="work/measured",
            store="work/store",
            force=True,
        )
        given[head.name] = result.probs
    return given


def tasks_of(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a family's heads say of the tasks: joint labels are summed, sizes cut."""
    if "label" in given:
        cube = given["label"].reshape(-1, len(KINDS), len(ORIENTATIONS), len(SIZES))
        parts = {
            "kind": cube.sum((2, 3)),
            "orientation": cube.sum((1, 3)),
            "size": cube.sum((1, 2)),
        }
        return parts | {"joint": given["label"]}
    found = dict(given)
    if "size" in given:
        found["size"] = _sizes(given["size"])
    return found | ({"joint": product(found)} if len(found) == 3 else {})


def _sizes(given: np.ndarray) -> np.ndarray:
    """Turn classes of sizes, or one value, into the three sizes."""
    one_hot = np.eye(len(SIZES))
    if given.shape[1] == 1:  # a value at a cut belongs above it
        return one_hot[np.digitize(given[:, 0], CUTS)]
    return given @ one_hot[np.digitize(BINS, CUTS)]


def product(found: Found) -> np.ndarray:
    """Return joint probabilities (N, 18): the product of those of the tasks."""
    joint = np.einsum("nk,no,ns->nkos", found["kind"], found["orientation"], found["size"])
    return joint.reshape(len(joint), -1)


def mean_of_tasks(families: list[Found]) -> dict[str, np.ndarray]:
    """Return the mean of each task over the families that know it, and their product."""
    found = {
        task: np.mean([family[task] for family in families if task in family], axis=0)
        for task in ("kind", "orientation", "size")
    }
    return found | {"joint": product(found)}


def accuracy(confusion: np.ndarray) -> float:
    """Return the share of right labels, from a confusion matrix (C, C), truth by prediction."""
    return float(np.trace(confusion) / confusion.sum())


def macro_f1(confusion: np.ndarray) -> float:
    """Return the mean of the classes' F1, from a confusion matrix (C, C)."""
    right = np.diag(confusion)
    return float(np.mean(2 * right / (confusion.sum(0) + confusion.sum(1))))


def cell(metric: Callable[[np.ndarray], float], truth: np.ndarray, probs: np.ndarray) -> str:
    """Return a score in percent with its 95 % bootstrap interval over the scenes."""
    classes = probs.shape[1]
    pairs = np.bincount(truth * classes + probs.argmax(1), minlength=classes**2)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(truth), pairs / len(truth), DRAWS)  # scenes of a pair are alike
    scores = [metric(each.reshape(classes, classes)) for each in drawn]
    low, high = np.percentile(scores, (2.5, 97.5)) * 100
    return f"{100 * metric(pairs.reshape(classes, classes)):.1f} ({low:.1f} to {high:.1f})"


def truths(labels: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the true class of each task, int64 (N,)."""
    joint = labels["label"].to_numpy()
    return {"kind": joint // 6, "orientation": joint // 3 % 2, "size": joint % 3, "joint": joint}


def main() -> None:
    """Print a table a metric: a row a family or a blend, a column a task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    data = parser.parse_args().data.resolve()
    with contextlib.chdir(HERE):
        if not Path("work/test/boxes.csv").exists():
            drawn = list(scenes(*read_garments(data, "test"), "test", TEST))
            write_scenes(Path("work/test"), "test", drawn)
        truth = truths(pd.read_csv("work/test/labels.csv"))
        rows: dict[str, Found] = {f"`{name}`": tasks_of(predict(name)) for name in FAMILIES}
    joint, *others = rows.values()
    rows["product of the tasks' means, without `joint`"] = mean_of_tasks(others)
    rows["product of the tasks' means, `joint` among them"] = mean_of_tasks([joint, *others])
    for metric in (accuracy, macro_f1):
        print(f"\n{metric.__name__}\n\n| | {' | '.join(TASKS)} |\n{'|---' * (len(TASKS) + 1)}|")
        for name, found in rows.items():
            cells = [cell(metric, truth[t], found[t]) if t in found else "" for t in TASKS]
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
