"""Is the gain that is told honest? Simulated OOFs whose truth is known.

    python benchmarks/blends/honest.py

Families share most of their errors, as real ones do. Weights are tuned on `--rows` rows in five
folds; their true gain over the plain mean is measured on 200 000 fresh rows of the same generator.
Printed for each metric: how often the 95 % interval holds the true gain of the blend that is
written, the mean of the corrected gain, of the nested one of what was chosen and of the apparent
one less the true one (their bias), and the verdicts.
"""

import argparse
from collections import Counter

import numpy as np

from ensemble.evaluation.metrics import metric_of
from ensemble.tuning.evidence import tune
from ensemble.tuning.fit import uniform

FAMILIES, CLASSES, FOLDS, FRESH = 5, 4, 5, 200_000
PRIOR = np.array([0.55, 0.25, 0.12, 0.08])


class World:
    """One simulated competition: how strong, sharp and alike its families are."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._strength = self._rng.uniform(0.8, 1.6, FAMILIES)
        self._noise = self._rng.uniform(0.5, 1.3, FAMILIES)
        self._sharpness = self._rng.uniform(0.6, 1.8, FAMILIES)

    def rows(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return predictions (M, N, C) and the truth (N,)."""
        y = self._rng.choice(CLASSES, count, p=PRIOR)
        shared = self._rng.normal(0, 1, (count, CLASSES))
        own = self._rng.normal(0, 1, (FAMILIES, count, CLASSES)) * self._noise[:, None, None]
        scores = self._strength[:, None, None] * np.eye(CLASSES)[y] + shared + own
        scores = self._sharpness[:, None, None] * (scores + np.log(PRIOR))
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        return shares / shares.sum(-1, keepdims=True), y


def main() -> None:
    """Print a row a metric."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--metrics", nargs="+", default=["log_loss", "accuracy", "f1_macro"])
    args = parser.parse_args()
    print(f"{args.worlds} simulated OOFs of {args.rows} rows, {FAMILIES} families")
    print("| metric | interval holds the truth | corrected bias | nested bias | apparent bias "
          "| mean true gain | verdicts |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for name in args.metrics:
        metric = metric_of(name, "classification")
        held, corrected, nested, apparent, truths = [], [], [], [], []
        verdicts: Counter[str] = Counter()
        for seed in range(args.worlds):
            world = World(seed)
            stack, y = world.rows(args.rows)
            found = tune(stack, y, metric, folds=np.arange(args.rows) % FOLDS)
            fresh, truth = world.rows(FRESH)
            gain = metric.gain(
                metric.score(truth, found.blend.predicted(fresh)),
                metric.score(truth, uniform(FAMILIES).probs(fresh)),
            )
            seen = found.evidence
            low, high = seen.gain.interval
            held.append(low <= gain <= high)
            corrected.append(seen.gain.value - gain)
            own = next(each.gain for each in seen.judged if each.candidate == found.chosen)
            nested.append(own - gain)
            apparent.append(seen.apparent_gain - gain)
            truths.append(gain)
            verdicts[seen.verdict] += 1
        told = ", ".join(f"{v} {verdicts[v]}" for v in ("gain", "weak", "no evidence"))
        biases = " | ".join(f"{np.mean(each):+.5f}" for each in (corrected, nested, apparent))
        share, truth = 100 * np.mean(held), np.mean(truths)
        print(f"| {name} | {share:.1f} % | {biases} | {truth:+.5f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
