"""Is what `ensemble choose` chooses as good as everything, and what it predicts true?

    python benchmarks/blends/choose.py [--rows 10000] [--test 10000] [--budgets]

The fashion zoo under the views of `fashion_views.py`. Printed are: the policy at the knee beside
the full grid and what people do (every member, hflip); which views hurt; what a view of noise
comes to; how many policies the orders of rows and columns give; and seconds predicted and taken,
for three budgets: with `--budgets` these alone, on a machine that does nothing else. How often an
interval holds the score is asked by `choose_held.py`.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from fashion_views import WORK, Test, World, predict_rows, predict_test, world

import ensemble
from ensemble.evaluation.metrics import metric_of
from ensemble.predictions.kept_views import KeptViews
from ensemble.recipe.policy import Policy
from ensemble.runtime.devices import available_threads
from ensemble.voting.blend import Blend, blend_of

ACCURACY = metric_of("accuracy", "classification")


def scored(policy: Policy, test: Test) -> float:
    """Return the test accuracy of a policy with its folds, in percent."""
    names = list(policy.families)
    blend = blend_of(policy.weights, names, "classification", "soft")
    stack = []
    for name, own in policy.families.items():
        folds = sorted(own.members)
        stack.append(np.mean([test.probs[name, view][folds].mean(0) for view in own.views], axis=0))
    return 100 * ACCURACY.score(test.y, blend.predicted(np.stack(stack)))


def grid(test: Test, views: tuple[str, ...] | None = None) -> tuple[float, int]:
    """Return the test accuracy of the plain mean of all families under views, and evaluations."""
    kept = {key: probs for key, probs in test.probs.items() if views is None or key[1] in views}
    names = sorted({family for family, _ in kept})
    means = [np.mean([p.mean(0) for (f, _), p in kept.items() if f == name], axis=0)
             for name in names]  # fmt: skip
    blend = Blend("linear", np.full(len(names), 1 / len(names)))
    return 100 * ACCURACY.score(test.y, blend.predicted(np.stack(means))), 5 * len(kept)


def chosen(kept: KeptViews, labels: Path, **more: object) -> Policy:
    """Choose for accuracy, without a bar."""
    return ensemble.choose(kept, labels, metric="accuracy", progress=None, **more)


def report(policy: Policy, kept: KeptViews, test: Test) -> None:
    """Print the knee beside the full grid, the frontier, and what is said of the views."""
    costs = kept.costs.evaluations
    full = kept.costs.image + 5 * sum(sum(views.values()) for views in costs.values())
    flips = kept.costs.image + 5 * sum(costs[f][v] for f in costs for v in ("plain", "hflip"))
    print("| | test accuracy, % | evaluations an image | ms an image |\n|---|---|---|---|")
    rows = [("every member and view", *grid(test), full),
            ("every member, hflip", *grid(test, ("plain", "hflip")), flips),
            ("the policy at the knee", scored(policy, test), policy.evaluations,
             policy.seconds)]  # fmt: skip
    for name, accuracy, evaluations, seconds in rows:
        print(f"| {name} | {accuracy:.2f} | {evaluations} | {1000 * seconds:.3f} |")
    print(f"\nverdict: {policy.verdict}\n")
    for point in policy.frontier:
        mark = "  <- chosen" if point.knee else ""
        low, high = point.interval
        print(f"  {point.evaluations:3d} evaluations {1000 * point.seconds:.3f} ms  "
              f"{point.score:.4f} [{low:.4f}, {high:.4f}]  {dict(point.views)}{mark}")  # fmt: skip
    print()
    for view, told in policy.views.items():
        print(f"  {view}: {told}")


def noise(kept: KeptViews, labels: Path) -> None:
    """Print what choosing says of one family under views of noise: other rows' predictions."""
    rng = np.random.default_rng(0)
    family, plain = next((f, v["plain"]) for f, v in kept.columns.items())
    views = {"plain": plain} | {
        f"add({n + 1})": plain[rng.permutation(len(plain))] for n in range(5)
    }
    near = np.exp(np.log(plain + 1e-6) + rng.normal(0, 0.3, (5, *plain.shape)))
    views |= {f"multiply(1.{n + 1})": p / p.sum(1, keepdims=True) for n, p in enumerate(near)}
    costs = replace(kept.costs, evaluations={family: dict.fromkeys(views, 1e-4)})
    alone = replace(kept, columns={family: views}, members={family: kept.members[family]},
                    costs=costs)  # fmt: skip
    policy = chosen(alone, labels)
    print(f"\nnoise: {dict(policy.families)[family].views}, {policy.verdict}")


def orders(kept: KeptViews, labels: Path, policy: Policy) -> None:
    """Print how many policies random orders of rows, families and views give."""
    found = {policy.sha256}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(kept.ids))
        columns = {
            family: {view: kept.columns[family][view][rows]
                     for view in rng.permutation(list(kept.columns[family])).tolist()}
            for family in rng.permutation(list(kept.columns)).tolist()
        }  # fmt: skip
        moved = replace(kept, ids=tuple(kept.ids[r] for r in rows), columns=columns,
                        folds=kept.folds[rows])  # fmt: skip
        found.add(chosen(moved, labels).sha256)
    print(f"orders: {len(found)} policy of 4 orders")


def budgets(kept: KeptViews, here: World) -> None:
    """Print seconds predicted and taken by runs over the test images, for three budgets."""
    print("\n| budget | evaluations | predicted, s | run.json, s | processor's seconds over the "
          "threads |\n|---|---|---|---|---|")  # fmt: skip
    for evals in (2, 6, None):
        policy = chosen(kept, here.labels, evals=evals)
        with tempfile.TemporaryDirectory() as store:
            began = time.process_time()
            run = ensemble.run(here.members, here.images, policy=policy, store=store,
                               out=here.work / "run", force=True, device="cpu",
                               progress=None)  # fmt: skip
            spent = (time.process_time() - began) / available_threads()
        print(f"| {policy.budget or 'none'} | {policy.evaluations} | "
              f"{policy.seconds_for(here.test):.2f} | {run.record['seconds']:.2f} | {spent:.2f} |",
              flush=True)  # fmt: skip


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--budgets", action="store_true", help="measure the budgets alone")
    parser.add_argument("--work", type=Path, default=WORK)
    args = parser.parse_args()
    here = world(args.work, args.rows, args.test)
    kept = predict_rows(here)
    print(f"{', '.join(here.names)}; {len(kept.ids)} rows out of fold\n", flush=True)
    if not args.budgets:
        test = predict_test(here, kept.classes)
        policy = chosen(kept, here.labels)
        report(policy, kept, test)
        noise(kept, here.labels)
        orders(kept, here.labels, policy)
    budgets(kept, here)


if __name__ == "__main__":
    main()
