"""What AutoGluon, hillclimbers and nyaggle answer, in an environment of their own.

    python3 -m venv .venv-peers
    .venv-peers/bin/pip install "autogluon.core==1.6.*" "hillclimbers==0.1.4"
    .venv-peers/bin/pip download --no-deps --dest .venv-peers "nyaggle==0.1.6"
    python benchmarks/blends/blend.py --peers .venv-peers/bin/python

nyaggle asks for much that its averaging does not use, so the two files of the averaging are taken
from its wheel, which lies in the environment's folder.

blend.py calls this file with that interpreter, as `peers.py IN.npz PEER METRIC`. IN.npz has `stack`
(M, N, C), `y` (N,) and `orders` (P, M), each an order of the families. Printed as JSON are
the weights (P, M), in the order asked, and the seconds that one order takes.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics

PICKS = 25
AVERAGING = ("nyaggle/ensemble/averaging.py", "nyaggle/ensemble/common.py")
GREATER = {"accuracy": True, "auc": True, "log_loss": False}


def autogluon(stack: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    """Return the weights of AutoGluon's greedy ensemble selection."""
    from autogluon.core.metrics import get_metric
    from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

    problem = "binary" if stack.ndim == 2 else "multiclass"
    name = {"auc": "roc_auc"}.get(metric, metric)
    selection = EnsembleSelection(
        ensemble_size=PICKS, problem_type=problem, metric=get_metric(name, problem),
        random_state=np.random.RandomState(0),
    )  # fmt: skip
    selection.fit(list(stack), y, identifiers=None)
    return selection.weights_


def hillclimbers(stack: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    """Return hillclimbers' weights: what it makes of test predictions that are the identity."""
    from hillclimbers import climb_hill, partial

    names = [f"family {m}" for m in range(len(stack))]
    return climb_hill(
        train=pd.DataFrame({"y": y}),
        oof_pred_df=pd.DataFrame(stack.T, columns=names),
        test_pred_df=pd.DataFrame(np.eye(len(stack)), columns=names),
        target="y",
        objective="maximize" if GREATER[metric] else "minimize",
        eval_metric=partial(score_of(metric)),
        precision=0.01,
        plot_hill=False,
    )


def nyaggle(stack: np.ndarray, y: np.ndarray, metric: str) -> np.ndarray:
    """Return nyaggle's weights: what it makes of test predictions that are the identity."""
    from nyaggle.ensemble.averaging import averaging_opt

    found = averaging_opt(
        list(np.eye(len(stack))), list(stack), y, score_of(metric), GREATER[metric]
    )
    return found.test_prediction


def score_of(metric: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Return scikit-learn's metric, of probabilities (N, C), or (N,) for the second of two."""

    def accuracy(y: np.ndarray, probs: np.ndarray) -> float:
        return metrics.accuracy_score(y, probs > 0.5 if probs.ndim == 1 else probs.argmax(1))

    def log_loss(y: np.ndarray, probs: np.ndarray) -> float:
        classes = 2 if probs.ndim == 1 else probs.shape[1]
        return metrics.log_loss(y, probs, labels=range(classes))

    return {"accuracy": accuracy, "log_loss": log_loss, "auc": metrics.roc_auc_score}[metric]


@contextlib.contextmanager
def averaging_of_nyaggle() -> Iterator[None]:
    """Make the averaging of nyaggle's wheel importable."""
    with tempfile.TemporaryDirectory() as folder:
        for wheel in Path(sys.prefix).glob("nyaggle-*.whl"):
            with zipfile.ZipFile(wheel) as parts:
                parts.extractall(folder, AVERAGING)
        sys.path.insert(0, folder)
        yield


PEERS = {"autogluon": autogluon, "hillclimbers": hillclimbers, "nyaggle": nyaggle}


def main() -> None:
    """Print weights and seconds."""
    path, peer, metric = sys.argv[1:]
    with np.load(path) as arrays:
        stack, y, orders = arrays["stack"], arrays["y"], arrays["orders"]
    if stack.shape[2] == 2:
        stack = stack[:, :, 1]
    fit = PEERS[peer]
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with quiet[0], quiet[1], averaging_of_nyaggle():
        fit(stack[:2, :20], y[:20], metric)  # imports, and what is compiled once
        begun = time.perf_counter()
        weights = [fit(stack[order], y, metric) for order in orders]
        seconds = (time.perf_counter() - begun) / len(orders)
    print(json.dumps({"weights": np.array(weights).tolist(), "seconds": seconds}))


if __name__ == "__main__":
    main()
