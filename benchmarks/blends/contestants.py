"""Who competes for blend weights: what anyone does by hand, ours, and the peers."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from ensemble.evaluation.metrics import Metric
from ensemble.tuning.evidence import tune
from ensemble.tuning.fit import fit, uniform
from ensemble.voting import pools
from ensemble.voting.blend import Blend

Fitter = Callable[[np.ndarray, np.ndarray, np.ndarray, Metric], Blend]
"""Takes a stack (M, N, C), the truth (N,), the folds (N,) and the metric."""

PEERS = {
    "autogluon": "AutoGluon, 25 picks",
    "nyaggle": "nyaggle `averaging_opt`",
    "hillclimbers": "hillclimbers, steps of 0.01",
}


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

    start = np.full(len(stack), 1 / len(stack))
    found = np.abs(minimize(loss, start, method="Nelder-Mead").x)
    return Blend("linear", found / found.sum())


class Peer:
    """A peer in its own environment; `seconds` is what its last answer took within."""

    def __init__(self, name: str, interpreter: str) -> None:
        self.name = name
        self.seconds = 0.0
        self._command = [interpreter, str(Path(__file__).with_name("peers.py"))]

    def __call__(
        self, stack: np.ndarray, y: np.ndarray, folds: np.ndarray, metric: Metric
    ) -> Blend:
        """Ask for weights."""
        return Blend("linear", self.ask(stack, y, np.arange(len(stack))[None], metric)[0])

    def ask(
        self, stack: np.ndarray, y: np.ndarray, orders: np.ndarray, metric: Metric
    ) -> np.ndarray:
        """Return weights (P, M) for each order (P, M) of the families, in that order."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/in.npz"
            np.savez(path, stack=stack, y=y, orders=orders)
            command = [*self._command, path, self.name, metric.name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        self.seconds = answer["seconds"]
        return np.array(answer["weights"])


def contestants(interpreter: str | None) -> dict[str, Fitter]:
    """Return all who compete, by title; the peers only where their interpreter is named."""
    found: dict[str, Fitter] = {
        "uniform": plain,
        "best single": best_single,
        "ensemble tune-weights": ours,
        "log-linear pool": of_pool("log-linear"),
        "linear pool": of_pool("linear"),
        "linear pool, polished": of_pool("linear", polish=True),
        "Nelder-Mead on the metric": nelder_mead,
    }
    if interpreter:
        found |= {title: Peer(name, interpreter) for name, title in PEERS.items()}
    return found
