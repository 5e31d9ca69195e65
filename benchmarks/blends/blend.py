"""Blend weights from the same OOFs, beside what peers and scripts find.

    python benchmarks/blends/blend.py [--peers PYTHON] [--only zoo golden noise tie]

zoo: the fashion zoo's four families. Weights are fitted on OOF rows, all 60 000 or random parts of
them, and scored on the 10 000 test images, where each family is the mean of its folds. Printed is
the gain on the test images over the plain mean, in points of accuracy or thousandths of log-loss;
of parts the mean and its standard error.

golden: four families whose best blend is known, scored on the rows they were fitted on. noise: 40
families of noise, where the nested AUC must be near 0.5. tie: few rows and many equally good
blends; counted are the weights that the orders of the families give.

--peers names the interpreter of an environment with the peers; peers.py says how to make it.
hillclimbers takes one number a row, so it has no answer for ten classes.
"""

import argparse
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np
from contestants import PEERS, Fitter, Peer, contestants

import ensemble
from ensemble.evaluation import labels, metrics
from ensemble.evaluation.metrics import Metric
from ensemble.files.csv_tables import column_of
from ensemble.predictions import table
from ensemble.predictions.formats import read
from ensemble.tuning.evidence import tune
from ensemble.tuning.fit import uniform

REPOSITORY = Path(__file__).parents[2]
FASHION = REPOSITORY / "models_zoo" / "fashion"
UNITS = {"accuracy": 100.0, "log_loss": 1000.0}
FOLDS = 5

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
Fitters = dict[str, Fitter]

sys.path.insert(0, str(REPOSITORY / "tests"))
from blends import golden, noise, tied  # noqa: E402


def metric_of(name: str) -> Metric:
    """Return a metric of classes."""
    return metrics.metric_of(name, "classification")


def heading(*columns: str) -> str:
    """Return the first two lines of a table."""
    return f"| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}"


def load() -> tuple[list[str], Rows, tuple[np.ndarray, np.ndarray]]:
    """Return the families' names, the OOF (stack, truth, folds), and the test (stack, truth)."""
    files = [FASHION / "oof.parquet", FASHION / "oof_more.parquet"]
    found = table.join([read(path) for path in files])
    y = labels.truth_of(found.ids, column_of(FASHION / "train.csv", "label"), found.classes)
    test = read(FASHION / "test_predictions.parquet")
    truth = labels.truth_of(test.ids, column_of(FASHION / "test_labels.csv", "label"), test.classes)
    names = list(found.families)
    first, second = (np.stack([each.families[n] for n in names]) for each in (found, test))
    return names, (first, y, found.folds), (second, truth)


def parts(rows: int, count: int, repetitions: int) -> list[np.ndarray]:
    """Return row indices: random parts, the same each time."""
    rng = np.random.default_rng(0)
    if count >= rows:
        return [np.arange(rows)]
    return [np.sort(rng.choice(rows, count, replace=False)) for _ in range(repetitions)]


def zoo(fitters: Fitters, counts: list[int], repetitions: int) -> None:
    """Print a table a metric, of gains on the test images, and the weights of all rows."""
    names, found, test = load()
    print(f"families: {', '.join(names)}")
    for name, unit in UNITS.items():
        metric = metric_of(name)
        base = metric.score(test[1], uniform(len(names)).probs(test[0]))
        print(f"\n{name}, uniform {base:.5f}; gain on the test images times {unit:.0f}\n")
        columns = [f"n = {count}" for count in counts]
        print(heading(*columns, "seconds at the largest", "weights at the largest"))
        for title, fitter in fitters.items():
            if title == PEERS["hillclimbers"]:
                print(f"| {title} |{' n/a |' * (len(counts) + 2)}")
                continue
            cells = []
            for count in counts:
                chosen = parts(len(found[1]), count, repetitions)
                cell, seconds, weights = gained(
                    fitter, metric, found, test=test, chosen=chosen, unit=unit
                )
                cells.append(cell)
            told = " ".join(f"{w:.2f}" for w in weights)
            print(f"| {title} | {' | '.join(cells)} | {seconds:.2f} | {told} |", flush=True)


def gained(
    fitter: Fitter,
    metric: Metric,
    found: Rows,
    *,
    test: tuple[np.ndarray, np.ndarray],
    chosen: list[np.ndarray],
    unit: float,
) -> tuple[str, float, np.ndarray]:
    """Return the mean gain over the parts as text, and the last part's seconds and weights."""
    stack, y, folds = found
    held_out, truth = test
    base = metric.score(truth, uniform(len(stack)).probs(held_out))
    gains = []
    for rows in chosen:
        begun = time.perf_counter()
        blend = fitter(stack[:, rows], y[rows], folds[rows], metric)
        seconds = getattr(fitter, "seconds", time.perf_counter() - begun)
        gains.append(unit * metric.gain(metric.score(truth, blend.predicted(held_out)), base))
    error = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0
    return f"{np.mean(gains):+.2f}" + (f" ± {error:.2f}" if error else ""), seconds, blend.weights


def on_golden(fitters: Fitters) -> None:
    """Print what each reaches on the rows it was fitted on, metric by metric."""
    stack, y = golden()
    folds = np.arange(len(y)) % FOLDS
    wanted = [metric_of(name) for name in ("auc", "log_loss", "accuracy")]
    print("\ngolden: in-sample scores\n")
    print(heading(*(metric.name for metric in wanted)))
    for title, fitter in fitters.items():
        blends = [fitter(stack, y, folds, metric) for metric in wanted]
        scores = [m.score(y, b.predicted(stack)) for m, b in zip(wanted, blends, strict=True)]
        print(f"| {title} | {' | '.join(f'{score:.6f}' for score in scores)} |", flush=True)


def on_noise(fitters: Fitters) -> None:
    """Print the in-sample AUC, and that of folds predicted by a blend of the other folds."""
    stack, y = noise()
    folds, auc = np.arange(len(y)) % FOLDS, metric_of("auc")
    seen = tune(stack, y, auc, folds=folds).evidence
    print("\nnoise: AUC\n")
    print(heading("in-sample", "nested", "verdict"))
    for title, fitter in fitters.items():
        apparent = auc.score(y, fitter(stack, y, folds, auc).predicted(stack))
        nested = np.empty(stack.shape[1:])
        for fold in range(FOLDS):
            held = folds == fold
            blend = fitter(stack[:, ~held], y[~held], folds[~held], auc)
            nested[held] = blend.predicted(stack[:, held])
        verdict = seen.verdict if title == "ensemble tune-weights" else "none given"
        print(f"| {title} | {apparent:.3f} | {auc.score(y, nested):.3f} | {verdict} |", flush=True)


def on_tie(fitters: Fitters) -> None:
    """Print how many different weights the orders of the families give."""
    stack, y = tied()
    orders = np.array(list(permutations(range(len(stack)))))
    accuracy = metric_of("accuracy")
    print(f"\ntie: different weights over {len(orders)} orders of the families\n")
    print(heading("different weights"))
    found = {"ensemble tune-weights --polish always": named_weights(stack, y, orders)}
    for title, fitter in fitters.items():
        if isinstance(fitter, Peer):
            found[title] = fitter.ask(stack, y, orders, accuracy)
        elif title.startswith("Nelder-Mead"):
            found[title] = np.array([fitter(stack[o], y, y, accuracy).weights for o in orders])
    for title, weights in found.items():
        by_family = np.take_along_axis(weights, np.argsort(orders, 1), 1)
        print(f"| {title} | {len(np.unique(by_family.round(9), axis=0))} |", flush=True)


def named_weights(stack: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Return our weights (P, M) of families given in each order; the door sorts them by name."""
    ids = tuple(map(str, range(len(y))))
    labels = {name: str(c) for name, c in zip(ids, y, strict=True)}
    alone = [table.Oof(ids, ("0", "1"), {f"m{m}": probs}) for m, probs in enumerate(stack)]
    weights = []
    for order in orders:
        joined = table.join([alone[m] for m in order])
        found = ensemble.tune_weights(joined, labels, metric="accuracy", polish="always")
        weights.append([found.families[f"m{m}"] for m in order])
    return np.array(weights)


def main() -> None:
    """Print the tables."""
    tables = ("zoo", "golden", "noise", "tie")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", help="the interpreter of the peers' environment")
    parser.add_argument("--only", nargs="+", choices=tables, default=tables)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--rows", nargs="+", type=int, default=[500, 2000, 10_000, 60_000])
    args = parser.parse_args()
    fitters = contestants(args.peers)
    if "zoo" in args.only:
        zoo(fitters, args.rows, args.repetitions)
    for name, show in {"golden": on_golden, "noise": on_noise, "tie": on_tie}.items():
        if name in args.only:
            show(fitters)


if __name__ == "__main__":
    main()
