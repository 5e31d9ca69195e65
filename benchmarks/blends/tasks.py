"""Several tasks, one label, on the garments zoo: the tuned pool beside what needs no weights.

    python models_zoo/garments/measure.py     # draws the 10 000 test scenes, and predicts them
    python benchmarks/blends/tasks.py

Weights are tuned on the out-of-fold predictions of the 6000 training scenes for each metric. All
are scored on the 10 000 test scenes: the family of the label; the product of the tasks' means
without it; both together as a run fuses them without weights; the same with the fitted spread of
the values in place of hard cuts, which is what the report compares with; and the tuned pool.
Printed are the scores of the label and of each task; what the pool gains on each, with its standard
error over the scenes; and whether the nested interval holds the gain.
"""

import argparse
import contextlib
from pathlib import Path

import numpy as np
import pandas as pd

import ensemble
from ensemble.evaluation.metrics import metric_of
from ensemble.files.label_maps import read_label_map
from ensemble.label_map import LabelMap
from ensemble.voting.lift import marginals
from ensemble.voting.weights import Write

ZOO = Path(__file__).parents[2] / "models_zoo" / "garments"
METRICS = ("log_loss", "accuracy", "f1_macro")
DRAWS = 400


def predicted(out: str, members: list[str], weights: ensemble.Weights | None) -> pd.DataFrame:
    """Return the probabilities of the labels, a row a scene by its id."""
    result = ensemble.run(
        members,
        "work/test/images",
        label_map="label_map.csv",
        weights=weights,
        out=f"work/{out}",
        store="work/store",
        force=True,
        progress=None,
    )
    return result.frame.set_index("id")[list(result.classes)]


def decided(probs: np.ndarray, weights: ensemble.Weights | None) -> np.ndarray:
    """Return what a metric sees: probabilities after the weights' decision rule."""
    if weights is None or not weights.decision.prior_tau:
        return probs
    ruled = probs * np.array(weights.decision.prior) ** -weights.decision.prior_tau
    return np.asarray(ruled / ruled.sum(1, keepdims=True))


def gain(metric: str, y: np.ndarray, one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return what one gains over another, upward, and its standard error over the scenes."""
    measure, rng = metric_of(metric, "classification"), np.random.default_rng(0)
    value = measure.gain(measure.score(y, one), measure.score(y, other))
    drawn = []
    for _ in range(DRAWS):
        rows = rng.integers(0, len(y), len(y))
        scores = measure.score(y[rows], one[rows]), measure.score(y[rows], other[rows])
        drawn.append(measure.gain(*scores))
    return value, float(np.std(drawn))


def scores(metric: str, y: np.ndarray, probs: np.ndarray, label_map: LabelMap) -> list[float]:
    """Return the score of the label and of each task."""
    measure = metric_of(metric, "classification")
    said, places = marginals(probs, label_map), np.array(label_map.places)
    own = [measure.score(places[y, t], said[name]) for t, name in enumerate(label_map.names)]
    return [measure.score(y, probs), *own]


def main() -> None:
    """Print a table a metric."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--zoo", type=Path, default=ZOO)
    parser.add_argument("--oof", default="oof.parquet")
    args = parser.parse_args()
    with contextlib.chdir(args.zoo):
        label_map = read_label_map(Path("label_map.csv"))
        truth = pd.read_csv("work/test/labels.csv", dtype=str).set_index("id")["label"]
        every = sorted(map(str, Path("members").glob("*.onnx")))
        joint = [name for name in every if "joint" in name]
        others = [name for name in every if name not in joint]
        plain = {
            "the label's family": predicted("joint", joint, None),
            "product of the tasks' means": predicted("product", others, None),
            "both, without weights": predicted("both", every, None),
        }
        mean = tuned(args.oof, "log_loss", "mean")
        plain["both, with the spread"] = predicted("spread", every, mean)
        for metric in METRICS:
            weights = tuned(args.oof, metric)
            found = {**plain, "tuned": predicted("tuned", every, weights)}
            say(metric, weights, found, truth, label_map)


def tuned(oof: str, metric: str, write: Write = "auto") -> ensemble.Weights:
    """Return the weights of the zoo's families for a metric."""
    return ensemble.tune_weights(
        oof, "labels.csv", metric=metric, label_map="label_map.csv", write=write, progress=None
    )


def say(
    metric: str,
    weights: ensemble.Weights,
    found: dict[str, pd.DataFrame],
    truth: pd.Series,
    label_map: LabelMap,
) -> None:
    """Print the scores of a metric, and what the tuned pool gains."""
    ids = list(found["tuned"].index)
    y = np.array([label_map.labels.index(label) for label in truth.loc[ids]])
    probs = {name: each.loc[ids].to_numpy() for name, each in found.items()}
    probs["tuned"] = decided(probs["tuned"], weights)
    print(f"\n{metric}, written: {weights.evidence['written']}\n")
    columns = ["", "label", *label_map.names, "the tuned one gains"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name, each in probs.items():
        cells = [f"{score:.4f}" for score in scores(metric, y, each, label_map)]
        value, error = gain(metric, y, probs["tuned"], each)
        more = "" if name == "tuned" else f"{value:+.4f} ± {error:.4f}"
        print(f"| {name} | {' | '.join(cells)} | {more} |")
    value, _ = gain(metric, y, probs["tuned"], probs["both, with the spread"])
    seen = weights.evidence
    low, high = seen["gain_ci95"] or (np.nan, np.nan)
    held = "holds" if low <= value <= high else "does not hold"
    print(f"\nOut of fold the gain is {seen['gain']:+.4f}, {low:+.4f} to {high:+.4f}: it {held} "
          f"the test's {value:+.4f}. Verdict: {seen['verdict']}.", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
