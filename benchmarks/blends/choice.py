"""Which blend does the evidence choose, and is the gain that it tells true?

    python benchmarks/blends/choice.py

The fashion zoo's four families, and the same with two spoilt ones beside them (the first two at
half their log-odds, under noise). Weights are tuned on random parts of the OOF rows; each
candidate, and the one that is written, is scored on the 10 000 test images, where each family is
the mean of its folds. Printed are gains over the plain mean in points, the means over the parts;
what the chosen one's nested score and the corrected gain say; and how often the interval of the
corrected gain holds the gain of what was written on the OOF rows that were not drawn, which are
predicted as the drawn ones are.
"""

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np
from blend import load, metric_of, parts

from ensemble.evaluation.metrics import Metric
from ensemble.tuning.candidates import candidates_of, fitted, variants_of
from ensemble.tuning.evidence import Tuned, tune
from ensemble.tuning.fit import uniform
from ensemble.voting.blend import Blend

SPOILT_SHARE, SPOILT_NOISE = 0.5, 0.8
POINTS = 100.0


@dataclass(frozen=True)
class World:
    """Families' predictions of OOF rows, (M, N, C), with truth and folds, and of test rows."""

    name: str
    stack: np.ndarray
    y: np.ndarray
    folds: np.ndarray
    test: np.ndarray
    truth: np.ndarray


def spoilt(stack: np.ndarray, seed: int) -> np.ndarray:
    """Return the families, and the first two again: at a part of their log-odds, under noise."""
    rng = np.random.default_rng(seed)
    logits = SPOILT_SHARE * np.log(np.clip(stack[:2], 1e-6, 1))
    logits += rng.normal(0, SPOILT_NOISE, logits.shape)
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return np.concatenate([stack, shares / shares.sum(-1, keepdims=True)])


def worlds() -> list[World]:
    """Return the zoo as it is, and with two spoilt families."""
    _, (stack, y, folds), (test, truth) = load()
    return [
        World("four families", stack, y, folds, test, truth),
        World("two spoilt beside them", spoilt(stack, 0), y, folds, spoilt(test, 1), truth),
    ]


def gained(blend: Blend, stack: np.ndarray, y: np.ndarray, metric: Metric) -> float:
    """Return what a blend gains over the plain mean on these rows, in points."""
    plain = uniform(len(stack), metric.task).predicted(stack)
    score, base = metric.score(y, blend.predicted(stack)), metric.score(y, plain)
    return POINTS * metric.gain(score, base)


def row(world: World, metric: Metric, count: int, repetitions: int) -> tuple[list[float], Counter]:
    """Return the means over the parts, and how often each verdict was given."""
    ways = variants_of(candidates_of(metric, len(world.stack), None, "off"), metric)
    found, verdicts = [], Counter()
    for rows in parts(len(world.y), count, repetitions):
        stack, y = world.stack[:, rows], world.y[rows]
        tuned = tune(stack, y, metric, folds=world.folds[rows])
        each = [
            gained(fitted(stack, y, metric, way), world.test, world.truth, metric) for way in ways
        ]
        found.append([*each, *told(world, metric, tuned, rows)])
        verdicts[tuned.evidence.verdict] += 1
    return np.mean(found, axis=0).tolist(), verdicts


def told(world: World, metric: Metric, tuned: Tuned, rows: np.ndarray) -> list[float]:
    """Return the gain of what was written, the nested and the corrected one, and if it is held."""
    rest = np.setdiff1d(np.arange(len(world.y)), rows)
    true = gained(tuned.blend, world.test, world.truth, metric)
    own = gained(tuned.blend, world.stack[:, rest], world.y[rest], metric) if len(rest) else true
    seen = tuned.evidence
    nested = next(each.gain for each in seen.judged if each.candidate == tuned.chosen)
    low, high = seen.gain.interval
    held = low <= own / POINTS <= high
    return [true, own, POINTS * nested, POINTS * seen.gain.value, float(held)]


def main() -> None:
    """Print a table a metric."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--metrics", nargs="+", default=["accuracy", "f1_macro"])
    parser.add_argument("--rows", nargs="+", type=int, default=[300, 600, 2000, 10000])
    parser.add_argument("--repetitions", type=int, default=50)
    args = parser.parse_args()
    for name in args.metrics:
        metric = metric_of(name)
        ways = variants_of(candidates_of(metric, 4, None, "off"), metric)
        names = [way.name + " + rule" * way.rule for way in ways[1:]]
        columns = [*names, "**written**", "chosen's nested score said", "**corrected said**",
                   "on the rows not drawn", "held by the interval", "verdicts"]  # fmt: skip
        print(f"\n{name}\n\n| | n | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 2)}")
        for world in worlds():
            for count in args.rows:
                means, verdicts = row(world, metric, count, args.repetitions)
                *each, true, own, nested, corrected, held = means
                shown = [f"{v:+.2f}" for v in (*each[1:], true, nested, corrected, own)]
                judged = ", ".join(f"{v} {verdicts[v]}" for v in ("gain", "weak", "no evidence"))
                cells = " | ".join([*shown, f"{100 * held:.0f} %", judged])
                print(f"| {world.name} | {count} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
