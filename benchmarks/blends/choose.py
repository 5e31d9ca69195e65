"""Is what `ensemble choose` chooses as good as everything, and what it predicts true?

    python benchmarks/blends/choose.py [--rows 10000] [--test 10000] [--repetitions 20] [--budgets]

The fashion zoo under the views none, hflip, vflip and rot90, and of the families whose nets take
any size scale 0.8 and 1.25. Families that the zoo does not ship take part where `make zoo` has
trained them. Out-of-fold rows are training images, each predicted by the fold that did not see it;
the test images tell what is true. Printed are: the policy at the knee beside the full grid
and beside what people do (every member, hflip); which views hurt; what a view of noise comes to;
how many policies the orders of rows and columns give; how often a point's nested interval holds its
test score, one fold a family as out of fold; and seconds predicted and taken, for three budgets:
with `--budgets` these alone, on a machine that does nothing else.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import ensemble
from ensemble.evaluation.metrics import metric_of
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.score import score_into_store
from ensemble.inference.start_members import start_members
from ensemble.predictions.kept_views import KeptViews
from ensemble.progress import Quiet
from ensemble.recipe.policy import Policy
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.runtime.devices import available_threads
from ensemble.tuning.choose import ChooseOrder, found_in
from ensemble.tuning.frontier import Point, frontier
from ensemble.tuning.policies import Found
from ensemble.views.families import spelled, views_told
from ensemble.voting.blend import Blend, blend_of

FASHION = Path(__file__).parents[2] / "models_zoo" / "fashion"
sys.path.insert(0, str(FASHION))

VIEWS = "views(plain;hflip;vflip;rot90(1)"
ANY_SIZE = ("resnet", "vgg")
ACCURACY = metric_of("accuracy", "classification")

Test = Mapping[tuple[str, str], np.ndarray]
"""By family and view: float64 (folds, N, C)."""


def prepare(work: Path, rows: int, test: int) -> list[str]:
    """Export members, write images and labels into `work`; return the families that are there."""
    from data import CLASSES, DATA, FOLDS, fold_of_rows, ids_of, read_split
    from families import FAMILIES, checkpoint_of
    from measure import write_images

    names = [n for n in FAMILIES if all(checkpoint_of(n, f).exists() for f in range(FOLDS))]
    for name in names:
        paths = [work / "members" / f"{name}-f{fold}.onnx" for fold in range(FOLDS)]
        if all(path.exists() for path in paths):
            continue
        size = FAMILIES[name].size
        flags = ensemble.PreprocessFlags(height=size, width=size, interpolation="bicubic",
                                         mean=(0.2860,), std=(0.3530,))  # fmt: skip
        spec = ensemble.ExportSpec(
            f"nets:{FAMILIES[name].factory.__name__}", (ensemble.HeadSpec("label", CLASSES),),
            preprocess=flags, in_chans=1, dynamic_size=name in ANY_SIZE,
        )  # fmt: skip
        checkpoints = [checkpoint_of(name, fold) for fold in range(FOLDS)]
        ensemble.export_members(checkpoints, spec, work / "members")
    for split, count in (("train", rows), ("t10k", test)):
        images, labels = read_split(DATA, split)
        chosen = np.sort(np.random.default_rng(0).permutation(len(images))[:count])
        every = ids_of(split, len(images))
        ids = [every[row] for row in chosen]
        folder = work / f"{split}-{count}"
        write_images(folder, images[chosen], ids)
        folds = fold_of_rows(labels) if split == "train" else np.zeros(len(labels), int)
        lines = [f"{i},{CLASSES[labels[r]]},{folds[r]}" for i, r in zip(ids, chosen, strict=True)]
        folder.with_suffix(".csv").write_text("\n".join(["id,label,fold", *lines]) + "\n")
    return names


def tta_of(names: list[str]) -> str:
    """Return the candidate views of each family."""
    sizes = {name: ";scale(0.8);scale(1.25))" if name in ANY_SIZE else ")" for name in names}
    return ",".join(f"{name}={VIEWS}{sizes[name]}" for name in names)


def predict_test(work: Path, images: str, tta: str) -> tuple[tuple[str, ...], Test]:
    """Predict the test images by every member under every view; return their ids too."""
    settings = Settings((str(work / "members"),), (str(work / images),), tta=tta,
                        device="cpu", store=work / "store", keep_views=True)  # fmt: skip
    recipe = resolve(settings)
    found_images, _ = find_images(recipe.inputs, 0, Quiet())
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    ids: tuple[str, ...] = ()
    for fold in range(5):
        ready = start_members(recipe, Quiet(), fold=fold)
        for entry in score_into_store(recipe, ready, image_set_of(found_images), Quiet())[0]:
            held = entry.partition.read(entry.head.name)
            view = spelled(views_told(entry.partition.fingerprint["views"]))
            key = entry.member.family, view
            found.setdefault(key, []).append(held.probs.astype(np.float64))
            ids = held.ids
    return ids, {key: np.stack(each) for key, each in found.items()}


def truth(path: Path, ids: tuple[str, ...], classes: tuple[str, ...]) -> np.ndarray:
    """Return the class of each id."""
    told = dict(line.split(",")[:2] for line in path.read_text().splitlines()[1:])
    return np.array([classes.index(told[name]) for name in ids])


def scored(policy: Policy, test: Test, y: np.ndarray) -> float:
    """Return the test accuracy of a policy with its folds, in percent."""
    names = list(policy.families)
    blend = blend_of(policy.weights, names, "classification", "soft")
    stack = []
    for name, own in policy.families.items():
        folds = sorted(own.members)
        stack.append(np.mean([test[name, view][folds].mean(0) for view in own.views], axis=0))
    return 100 * ACCURACY.score(y, blend.predicted(np.stack(stack)))


def grid(test: Test, y: np.ndarray, views: tuple[str, ...] | None = None) -> tuple[float, int]:
    """Return the test accuracy of the plain mean of all families under views, and evaluations."""
    kept = {key: probs for key, probs in test.items() if views is None or key[1] in views}
    names = sorted({family for family, _ in kept})
    means = [np.mean([p.mean(0) for (f, _), p in kept.items() if f == name], axis=0)
             for name in names]  # fmt: skip
    blend = Blend("linear", np.full(len(names), 1 / len(names)))
    return 100 * ACCURACY.score(y, blend.predicted(np.stack(means))), 5 * len(kept)


def chosen(kept: KeptViews, labels: Path, **more: object) -> Policy:
    """Choose for accuracy, without a bar."""
    return ensemble.choose(kept, labels, metric="accuracy", progress=None, **more)


def report(policy: Policy, kept: KeptViews, test: Test, y: np.ndarray) -> None:
    """Print the knee beside the full grid, the frontier, and what is said of the views."""
    costs = kept.costs.evaluations
    full = kept.costs.image + 5 * sum(sum(views.values()) for views in costs.values())
    flips = kept.costs.image + 5 * sum(costs[f][v] for f in costs for v in ("plain", "hflip"))
    print("| | test accuracy, % | evaluations an image | ms an image |\n|---|---|---|---|")
    rows = [("every member and view", *grid(test, y), full),
            ("every member, hflip", *grid(test, y, ("plain", "hflip")), flips),
            ("the policy at the knee", scored(policy, test, y), policy.evaluations,
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


def held(
    kept: KeptViews, labels: Path, test: Test, y: np.ndarray, *, rows: int, repetitions: int
) -> None:
    """Print how often a nested interval holds the point's test score, of parts of the rows."""
    inside = np.zeros(3, int)  # those under it, within it, above it
    for seed in range(repetitions):
        part = np.sort(np.random.default_rng(seed).choice(len(kept.ids), rows, replace=False))
        columns = {f: {v: p[part] for v, p in views.items()} for f, views in kept.columns.items()}
        small = replace(kept, ids=tuple(kept.ids[r] for r in part), columns=columns,
                        folds=kept.folds[part])  # fmt: skip
        found = found_in(small, ChooseOrder(labels, "accuracy"), Quiet())
        for point in frontier(found.market, found.judge, lambda _: None):
            true = test_score(found, point, test, y)
            low, high = point.interval
            inside[int(true >= low) + int(true > high)] += 1
    print(f"held: {inside[1]} of {inside.sum()} nested intervals of {rows} rows hold the test "
          f"score ({100 * inside[1] / inside.sum():.0f} %); {inside[0]} lie above it, "
          f"{inside[2]} below", flush=True)  # fmt: skip


def test_score(found: Found, point: Point, test: Test, y: np.ndarray) -> float:
    """Return the test accuracy of a point with one fold of each family, the mean over the folds."""
    judge = found.judge
    blend = found.market.fit(point.chosen, judge.metric, judge.pool).blend
    views = found.views(point.chosen)
    scores = []
    for fold in range(5):
        means = [np.mean([test[name, v][fold] for v in own], axis=0) for name, own in views.items()]
        scores.append(ACCURACY.score(y, blend.predicted(np.stack(means))))
    return float(np.mean(scores))


def budgets(kept: KeptViews, labels: Path, work: Path, test: int) -> None:
    """Print seconds predicted and taken by runs over the test images, for three budgets."""
    print("\n| budget | evaluations | predicted, s | run.json, s | processor's seconds over the "
          "threads |\n|---|---|---|---|---|")  # fmt: skip
    for evals in (2, 6, None):
        policy = chosen(kept, labels, evals=evals)
        with tempfile.TemporaryDirectory() as store:
            began = time.process_time()
            run = ensemble.run(
                work / "members",
                work / f"t10k-{test}",
                policy=policy,
                store=store,
                out=work / "run",
                force=True,
                device="cpu",
                progress=None,
            )
            spent = (time.process_time() - began) / available_threads()
        print(f"| {policy.budget or 'none'} | {policy.evaluations} | "
              f"{policy.seconds_for(test):.2f} | {run.record['seconds']:.2f} | {spent:.2f} |",
              flush=True)  # fmt: skip


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--part", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--budgets", action="store_true", help="measure the budgets alone")
    parser.add_argument("--work", type=Path, default=FASHION / "work" / "choose")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(FASHION):
        names = prepare(work, args.rows, args.test)
    labels, file = work / f"train-{args.rows}.csv", work / f"views-{args.rows}.parquet"
    kept = ensemble.predict_oof(work / "members", work / f"train-{args.rows}", labels, out=file,
                                tta=tta_of(names), keep_views=True, device="cpu",
                                store=work / "store", progress=None)  # fmt: skip
    print(f"{', '.join(names)}; {len(kept.ids)} rows out of fold\n", flush=True)
    if args.budgets:
        budgets(kept, labels, work, args.test)
        return
    ids, test = predict_test(work, f"t10k-{args.test}", tta_of(names))
    y = truth(work / f"t10k-{args.test}.csv", ids, kept.classes)
    policy = chosen(kept, labels)
    report(policy, kept, test, y)
    noise(kept, labels)
    orders(kept, labels, policy)
    budgets(kept, labels, work, args.test)
    held(kept, labels, test, y, rows=args.part, repetitions=args.repetitions)


if __name__ == "__main__":
    main()
