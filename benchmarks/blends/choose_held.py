"""How often does the interval of a frontier's point hold the score on images that it did not see?

    python benchmarks/blends/choose_held.py [--rows 10000] [--part 1000]

The fashion zoo under the views of `fashion_views.py`. The training rows are cut at random into
parts that share none; each has a frontier of its own. Each point's views and blend are scored, as
the interval means it, by one fold of each family: on the rows of all other parts, each by the fold
that did not see it, and on the test images, the mean over the folds. The points of one part are
much alike, so it is also told in how many parts all of them are held.

The interval says where the score on all such images lies, which the other rows show. Test images
are one sample, the same for all parts: how far it is off by itself shows in every part at once. A
score of m images moves as one of n rows does: the last line widens the interval by √(1 + n/m).
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from fashion_views import FOLDS, WORK, Test, predict_rows, predict_test, world

from ensemble.evaluation.metrics import metric_of
from ensemble.predictions.kept_views import KeptViews
from ensemble.progress import Quiet
from ensemble.tuning.choose import ChooseOrder, found_in
from ensemble.tuning.frontier import Point, frontier
from ensemble.tuning.policies import Found
from ensemble.voting.blend import Blend

ACCURACY = metric_of("accuracy", "classification")


@dataclass(frozen=True)
class Seen:
    """A point of a part: its score and interval, and its scores on other rows and test images."""

    part: int
    score: float
    low: float
    high: float
    rest: float
    test: float


def points(kept: KeptViews, labels: Path, test: Test, rows: int) -> Iterator[Seen]:
    """Yield the points of the frontier of each part of so many rows."""
    order = ChooseOrder(labels, "accuracy")
    places = np.random.default_rng(0).permutation(len(kept.ids))
    for number in range(len(places) // rows):
        part = np.zeros(len(places), bool)
        part[places[number * rows : (number + 1) * rows]] = True
        found = found_in(some(kept, part), order, Quiet())
        rest = found_in(some(kept, ~part), order, Quiet())
        for point in frontier(found.market, found.judge, lambda _: None):
            fitted = found.market.fit(point.chosen, found.judge.metric, found.judge.pool)
            on_rest = ACCURACY.score(rest.market.y, rest.market.predicted(point.chosen, fitted))
            on_test = test_score(found, point, fitted.blend, test)
            yield Seen(number, point.score, *point.interval, on_rest, on_test)


def some(kept: KeptViews, rows: np.ndarray) -> KeptViews:
    """Return some rows of predictions."""
    columns = {f: {v: p[rows] for v, p in views.items()} for f, views in kept.columns.items()}
    ids = tuple(kept.ids[row] for row in np.flatnonzero(rows))
    return replace(kept, ids=ids, columns=columns, folds=kept.folds[rows])


def test_score(found: Found, point: Point, blend: Blend, test: Test) -> float:
    """Return the test accuracy of a point with one fold of each family, the mean over the folds."""
    views = found.views(point.chosen).items()
    return float(np.mean([
        ACCURACY.score(test.y, blend.predicted(np.stack([
            np.mean([test.probs[name, view][fold] for view in own], axis=0) for name, own in views
        ])))
        for fold in range(FOLDS)
    ]))  # fmt: skip


def table(seen: list[Seen], rows: int, rest: int, test: int) -> None:
    """Print how often intervals hold each of the scores."""
    parts = len({each.part for each in seen})
    print(
        f"{len(seen)} points of {parts} parts of {rows} rows; the mean interval is "
        f"{100 * np.mean([p.high - p.low for p in seen]):.2f} points of accuracy wide\n"
    )
    print("| the score on | points held | below | above | parts all of whose points are held | "
          "score less the nested one, mean, points |\n|---|---|---|---|---|---|")  # fmt: skip
    told = {
        f"the other {rest} rows": ([p.rest for p in seen], 1.0),
        f"{test} test images": ([p.test for p in seen], 1.0),
        f"{test} test images, the interval widened for them":
            ([p.test for p in seen], np.sqrt(1 + rows / test)),
    }  # fmt: skip
    for name, (scores, wider) in told.items():
        where = [_where(p, true, wider) for p, true in zip(seen, scores, strict=True)]
        count = Counter(where)
        lost = {p.part for p, w in zip(seen, where, strict=True) if w != "within"}
        gain = 100 * np.mean([true - p.score for p, true in zip(seen, scores, strict=True)])
        print(f"| {name} | {count['within']} of {len(seen)} ({count['within'] / len(seen):.0%}) | "
              f"{count['below']} | {count['above']} | {parts - len(lost)} of {parts} | "
              f"{gain:+.2f} |")  # fmt: skip


def _where(point: Seen, true: float, wider: float) -> str:
    """Say where a score lies, beside a point's interval that is made so many times as wide."""
    if true < point.score - wider * (point.score - point.low):
        return "below"
    return "above" if true > point.score + wider * (point.high - point.score) else "within"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--part", type=int, default=1000)
    parser.add_argument("--work", type=Path, default=WORK)
    args = parser.parse_args()
    here = world(args.work, args.rows, args.test)
    kept = predict_rows(here)
    test = predict_test(here, kept.classes)
    seen = list(points(kept, here.labels, test, args.part))
    table(seen, args.part, len(kept.ids) - args.part, args.test)


if __name__ == "__main__":
    main()
