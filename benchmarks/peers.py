"""AutoGluon's and hillclimbers' weights, in an environment of their own.

    python benchmarks/peers.py IN.npz PEER METRIC

Called by bench_blend.py with that environment's interpreter: reads `stack` (M, N, C) and `y` (N,),
prints the weights (M,) and the seconds as JSON.
"""

import contextlib
import io
import json
import sys
import time

import numpy as np

SIZE = 25


def autogluon(stack: np.ndarray, y: np.ndarray, metric: str) -> list[float]:
    """Return the weights of AutoGluon's greedy ensemble selection."""
    from autogluon.core.metrics import get_metric
    from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

    problem = "binary" if stack.shape[2] == 2 else "multiclass"
    names = {"log_loss": "log_loss", "accuracy": "accuracy", "auc": "roc_auc"}
    selection = EnsembleSelection(
        ensemble_size=SIZE, problem_type=problem, metric=get_metric(names[metric], problem),
        random_state=np.random.RandomState(0),
    )  # fmt: skip
    predictions = stack[:, :, 1] if problem == "binary" else stack
    selection.fit(list(predictions), y, identifiers=None)
    return [float(w) for w in selection.weights_]


def main() -> None:
    """Print weights and seconds."""
    path, peer, metric = sys.argv[1:]
    with np.load(path) as arrays:
        stack, y = arrays["stack"], arrays["y"]
    fit = {"autogluon": autogluon}[peer]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        fit(stack[:, :20], y[:20], metric)  # imports, and what is compiled once
        begun = time.perf_counter()
        weights = fit(stack, y, metric)
        seconds = time.perf_counter() - begun
    print(json.dumps({"weights": weights, "seconds": seconds}))


if __name__ == "__main__":
    main()
