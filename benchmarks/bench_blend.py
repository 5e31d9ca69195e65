"""Blend weights from the same OOFs, scored on the same held-out test images.

    python benchmarks/bench_blend.py [--peers PYTHON]

The fashion zoo's four families: weights are fitted on OOF rows, all 60 000 or random parts of
them, and scored on the 10 000 test images, where each family is the mean of its folds. Printed is
the gain on the test images over the plain mean, in points of accuracy or thousandths of log-loss;
of parts the mean and its standard error.

--peers names the interpreter of an environment with autogluon.core 1.6, whose greedy ensemble
selection is then shown too.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ensemble import gate, metrics, oof, pools
from ensemble.metrics import Metric
from ensemble.tables import column_of
from ensemble.tuning.evidence import tune
from ensemble.tuning.fit import Blend, fit, uniform

HERE = Path(__file__).parent
FASHION = HERE.parent / "models_zoo" / "fashion"
UNITS = {"accuracy": 100.0, "log_loss": 1000.0}

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
Fitter = Callable[[np.ndarray, np.ndarray, np.ndarray, Metric], Blend]


def load() -> tuple[list[str], Rows, tuple[np.ndarray, np.ndarray]]:
    """Return the families' names, the OOF (stack, truth, folds), and the test (stack, truth)."""
    files = [FASHION / "oof.parquet", FASHION / "oof_more.parquet"]
    found = oof.join([oof.read(path) for path in files])
    y = gate.truth_of(found.ids, column_of(FASHION / "train.csv", "label"), found.classes)
    test = oof.read(FASHION / "test_predictions.parquet")
    truth = gate.truth_of(test.ids, column_of(FASHION / "test_labels.csv", "label"), test.classes)
    names = list(found.families)
    stacks = (np.stack([each.families[n] for n in names]) for each in (found, test))
    first, second = stacks
    return names, (first, y, found.folds), (second, truth)


def plain(stack: np.ndarray, y: np.ndarray, folds: np.ndarray, metric: Metric) -> Blend:
    """Weigh all alike."""
    return uniform(len(stack))


def best_single(stack: np.ndarray, y: np.ndarray, folds: np.ndarray, metric: Metric) -> Blend:
    """Take the family with the best OOF score."""
    gains = [metric.gain(metric.score(y, probs), 0) for probs in stack]
    return Blend("linear", np.eye(len(stack))[int(np.argmax(gains))])


def ours(stack: np.ndarray, y: np.ndarray, folds: np.ndarray, metric: Metric) -> Blend:
    """Do what `ensemble tune-weights` does."""
    return tune(stack, y, metric, folds=folds).blend


def of_pool(pool: str, *, polish: bool = False) -> Fitter:
    """Fit one pool, without asking for evidence."""
    return lambda stack, y, _, metric: fit(stack, y, metric, pool, polish=polish)


def nelder_mead(stack: np.ndarray, y: np.ndarray, folds: np.ndarray, metric: Metric) -> Blend:
    """Search the metric itself as blending scripts do, from uniform weights."""

    def loss(free: np.ndarray) -> float:
        weights = np.abs(free) / np.abs(free).sum()
        return metric.gain(0, metric.score(y, pools.linear(stack, weights)))

    found = np.abs(minimize(loss, np.full(len(stack), 0.25), method="Nelder-Mead").x)
    return Blend("linear", found / found.sum())


def peer(name: str, interpreter: str) -> Fitter:
    """Ask a peer in its own environment."""

    def ask(stack: np.ndarray, y: np.ndarray, folds: np.ndarray, metric: Metric) -> Blend:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/in.npz"
            np.savez(path, stack=stack, y=y)
            command = [interpreter, str(HERE / "peers.py"), path, name, metric.name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        ask.seconds = answer["seconds"]
        return Blend("linear", np.array(answer["weights"]))

    return ask


def parts(rows: int, count: int, repetitions: int) -> list[np.ndarray]:
    """Return row indices: random parts, the same each time."""
    rng = np.random.default_rng(0)
    if count >= rows:
        return [np.arange(rows)]
    return [np.sort(rng.choice(rows, count, replace=False)) for _ in range(repetitions)]


def main() -> None:
    """Print a table a metric."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", help="the interpreter of an environment with autogluon.core")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--rows", nargs="+", type=int, default=[500, 2000, 10_000, 60_000])
    args = parser.parse_args()
    names, (stack, y, folds), (held_out, truth) = load()
    fitters: dict[str, Fitter] = {
        "uniform": plain,
        "best single": best_single,
        "ensemble tune-weights": ours,
        "log-linear pool": of_pool("log-linear"),
        "linear pool": of_pool("linear"),
        "linear pool, polished": of_pool("linear", polish=True),
        "Nelder-Mead on the metric": nelder_mead,
    }
    if args.peers:
        fitters["AutoGluon, 25 picks"] = peer("autogluon", args.peers)
    print(f"families: {', '.join(names)}")
    for name, unit in UNITS.items():
        metric = metrics.metric_of(name, "classification")
        base = metric.score(truth, uniform(len(names)).probs(held_out))
        print(f"\n{name}, uniform {base:.5f}; gain on the test images times {unit:.0f}\n")
        columns = [f"n = {count}" for count in args.rows]
        print(
            f"| | {' | '.join(columns)} | seconds at the largest |\n|---|"
            + "---|" * (len(columns) + 1)
        )
        for title, fitter in fitters.items():
            cells = []
            for count in args.rows:
                gains = []
                for rows in parts(len(y), count, args.repetitions):
                    begun = time.perf_counter()
                    blend = fitter(stack[:, rows], y[rows], folds[rows], metric)
                    seconds = getattr(fitter, "seconds", time.perf_counter() - begun)
                    found = metric.score(truth, blend.predicted(held_out))
                    gains.append(unit * metric.gain(found, base))
                error = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0
                spread = f" ± {error:.2f}" if error else ""
                cells.append(f"{np.mean(gains):+.2f}{spread}")
            print(f"| {title} | {' | '.join(cells)} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
