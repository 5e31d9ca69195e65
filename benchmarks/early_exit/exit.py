"""Early exit: what the lossless rule, certificates and budgets save, and what they cost.

    python benchmarks/early_exit/exit.py

Every fold member of the fashion zoo, also of the families that are not shipped where `make zoo` has
made them, under `--tta hflip` and `--tta flip`, over the 10 000 test images of Fashion-MNIST
(Debian's package dataset-fashion-mnist); a soft vote, all families alike. In seconds: whole
commands, in turns. In evaluations: from scores that are kept in benchmarks/work/. The tables go to
benchmarks/results/exit.md.

Each row with a share ε is 20 random calibrations: their images take every evaluation, which the
cost includes. A violation is a run in which more than ε of all 10 000 labels differ; they are
counted over 10 000 more calibrations, for a bound of 5 % is met or missed by luck in 20. A budget's
threshold comes from a twentieth of the budget, spent on random images with every evaluation.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image
from race import race

from ensemble.early_exit.stopping.accumulators import Accumulator, Soft, accumulator_of
from ensemble.early_exit.stopping.certificate import (
    GRID,
    calibration_size,
    certify,
    draw_sample,
    p_value,
)
from ensemble.early_exit.stopping.order import Evaluation, evaluations_of
from ensemble.early_exit.stopping.thresholds import mean_cost, threshold_for
from ensemble.early_exit.stopping.trajectory import Trajectory, follow
from ensemble.images.resize import resize
from ensemble.inference import start
from ensemble.views import parse
from ensemble.views.pixels import HostView
from ensemble.views.policy import preset
from ensemble.voting.weights import Pool, Weights

BENCHMARKS = Path(__file__).parents[1]
FASHION = BENCHMARKS.parent / "models_zoo" / "fashion"
sys.path.insert(0, str(FASHION))
WORK, RESULTS = BENCHMARKS / "work", BENCHMARKS / "results"
MEMBERS = sorted([*FASHION.glob("*.onnx"), *FASHION.glob("work/members/*.onnx")])
POLICIES = ("hflip", "flip")
SEED = "bench_exit"
"""Calibrations are drawn by this word: with another one results/exit.md would differ."""

POOLS: tuple[Pool, ...] = ("linear", "log-linear")
BATCH = 100
DRAWS, TRIALS = 20, 10_000
CONFIDENCE = 0.95
EPSILONS = (0.001, 0.005, 0.01, 0.02)
SHARES = (0.1, 0.25, 0.5)


def read_test(data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images uint8 (N, 28, 28) and labels int64 (N,)."""
    from data import read_split  # type: ignore[import-not-found]

    images, labels = read_split(data, "t10k")
    return images, labels


def score_all(images: np.ndarray) -> dict[str, np.ndarray]:
    """Score all images by each member under each view; the mirror image is turned on the host."""
    found, pixels = {}, {}
    for member in start.open_members(MEMBERS, None):
        card = member.card
        geometry = card.preprocess.geometry
        if geometry not in pixels:
            pixels[geometry] = np.stack([resize(Image.fromarray(i), geometry) for i in images])
        ready = start.start(member, parse.read_policy("none"), "mean",
                              device="cpu", threads=0, batch=BATCH)  # fmt: skip
        for view in preset("flip"):
            turned = HostView(pixels[geometry], np.arange(len(images)), view)
            parts = [ready.scorer.score(turned[i : i + BATCH])
                     for i in range(0, len(turned), BATCH)]  # fmt: skip
            name = f"{card.family}|{card.name}|{view.name}"
            found[name] = np.concatenate([part[card.heads[0].name] for part in parts])
    return found


def cached(data: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the scores by "family|member|view", and the labels."""
    path = WORK / f"exit_scores_{len(MEMBERS)}.npz"
    if not path.exists():
        images, labels = read_test(data)
        WORK.mkdir(exist_ok=True)
        np.savez(path, labels=labels, **score_all(images))
    with np.load(path) as file:
        scores = {name: file[name] for name in file.files}
    return scores, scores.pop("labels")


def in_order(scores: dict[str, np.ndarray], policy: str) -> tuple[list[Evaluation], np.ndarray]:
    """Return the evaluations in order, families and costs alike, and scores (K, N, C)."""
    views = [view.name for view in preset(policy)]
    members = sorted({(member, family) for family, member, _ in (n.split("|") for n in scores)})
    families = {family for _, family in members}
    evaluations = evaluations_of(members, dict.fromkeys(families, 1.0),
                                 {member: 1.0 for member, _ in members}, len(views))  # fmt: skip
    names = [f"{e.family}|{e.member}|{views[e.view]}" for e in evaluations]
    return evaluations, np.stack([scores[name] for name in names])


def ledgers(evaluations: list[Evaluation], classes: int) -> dict[str, Accumulator]:
    """Return the linear pool, and a log-linear one of exponents that sum to 1."""
    families = sorted({e.family for e in evaluations})
    even = dict.fromkeys(families, 1 / len(families))
    both = {pool: Weights(even, pool=pool) for pool in POOLS}
    return {f"{pool} pool": accumulator_of(evaluations, "soft", weights, classes)
            for pool, weights in both.items()}  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """What a row is compared with: evaluations in all, the full labels (N,), the true ones."""

    k: int
    full: np.ndarray
    truth: np.ndarray

    def row(self, title: str, cost: float, labels: np.ndarray, violations: str = "") -> str:
        """Return a row of the table; labels are (R, N) of R repetitions."""
        differ, right = 100 * (labels != self.full).mean(), 100 * (labels == self.truth).mean()
        return (f"| {title} | {cost:.2f} | {self.k / cost:.2f}x | {differ:.3f} | {right:.2f} | "
                f"{violations} |")  # fmt: skip


def certified(course: Trajectory, epsilon: float, size: int) -> tuple[float, np.ndarray]:
    """Return mean evaluations and labels (DRAWS, N) over random calibrations."""
    images = course.z.shape[1]
    costs, labels = [], []
    for seed in range(DRAWS):
        rows = draw_sample(f"{SEED} {seed}", images, size)
        calibration = Trajectory(course.labels[:, rows], course.z[:, rows])
        threshold = certify(calibration, images, epsilon, CONFIDENCE).bound if size else np.inf
        taken, given = course.evaluations(threshold), course.labels_at(threshold)
        taken[rows], given[rows] = len(course.z), course.labels[-1, rows]
        costs.append(taken.mean())
        labels.append(given[:, 0])
    return float(np.mean(costs)), np.stack(labels)


def violated(course: Trajectory, epsilon: float, size: int) -> float:
    """Return the share of TRIALS random calibrations after which over ε of the labels differ.

    What `certify` does on each, from the place on the grid where each image comes to differ.
    """
    images, random = course.z.shape[1], np.random.default_rng(0)
    differ = np.array([course.disagree(threshold) for threshold in GRID])
    ever = np.logical_or.accumulate(differ)
    first = np.where(ever[-1], ever.argmax(0), len(GRID))
    counts = range(size + 1)
    passing = [count for count in counts
               if p_value(count, images, size, epsilon) <= 1 - CONFIDENCE]  # fmt: skip
    violations = 0
    for _ in range(TRIALS if passing else 0):
        rows = random.choice(images, size, replace=False)
        seen = np.bincount(first[rows], minlength=len(GRID)).cumsum()[: len(GRID)]
        at = np.searchsorted(seen, passing[-1], "right") - 1  # the boldest that passes, or none
        violations += at >= 0 and differ[at].sum() - differ[at, rows].sum() > epsilon * images
    return violations / TRIALS


def budgeted(course: Trajectory, share: float) -> tuple[float, np.ndarray]:
    """Return mean evaluations and labels (DRAWS, N): λ comes from a twentieth of the budget."""
    k, images = len(course.z), course.z.shape[1]
    size = round(share * images / 20)
    costs, labels = [], []
    for seed in range(DRAWS):
        rows = draw_sample(f"{SEED} {seed}", images, size)
        rest = (share * k * images - k * len(rows)) / (images - len(rows))
        calibration = Trajectory(course.labels[:, rows], course.z[:, rows])
        threshold = threshold_for(calibration, np.ones(k), max(rest, 1.0))
        given = course.labels_at(threshold)
        given[rows] = course.labels[-1, rows]
        outside = np.ones(images, bool)
        outside[rows] = False
        others = Trajectory(course.labels[:, outside], course.z[:, outside])
        spent = mean_cost(others, np.ones(k), threshold) * outside.sum() + k * len(rows)
        costs.append(spent / images)
        labels.append(given[:, 0])
    return float(np.mean(costs)), np.stack(labels)


def table(title: str, course: Trajectory, truth: np.ndarray) -> list[str]:
    """Return the rows of one pool."""
    k, images = len(course.z), course.z.shape[1]
    sheet = Sheet(k, course.labels[-1, :, 0], truth)
    lines = [f"## {title}: {k} evaluations, {images} images", "",
             "| | evaluations an image | fewer by | labels that differ, % | accuracy, % | "
             "violations, % |", "|---|---|---|---|---|---|",
             sheet.row("every evaluation", k, sheet.full[None])]  # fmt: skip
    taken = course.evaluations(np.inf).mean()
    if taken < k:
        lines.append(sheet.row("lossless", taken, course.labels_at(np.inf).T))
    for epsilon in EPSILONS:
        size = calibration_size(images, epsilon, CONFIDENCE)
        cost, labels = certified(course, epsilon, size)
        name = f"{100 * epsilon:g} %, {size} calibrated"
        lines.append(sheet.row(name, cost, labels, f"{100 * violated(course, epsilon, size):.1f}"))
    for share in SHARES:
        cost, labels = budgeted(course, share)
        lines.append(sheet.row(f"budget {share:.0%}, by need", cost, labels))
        even = round(share * k)
        lines.append(sheet.row(f"budget {share:.0%}, evenly", even, course.labels[even - 1].T))
    return [*lines, ""]


def fluid_bound(course: Trajectory, scores: np.ndarray) -> str:
    """Say how far lossless is from the mean over images of 1 / (1 + δ), δ the full margin."""
    top = np.sort(scores.mean(0, dtype=np.float64), axis=1)
    bound = 100 * (1 / (1 + top[:, -1] - top[:, -2])).mean()
    found = 100 * course.evaluations(np.inf).mean() / len(course.z)
    return (f"The lossless rule takes {found:.1f} % of the evaluations; its fluid bound, the mean "
            f"of 1 / (1 + margin), is {bound:.1f} %.")  # fmt: skip


def in_evaluations(scores: dict[str, np.ndarray], truth: np.ndarray, policy: str) -> list[str]:
    """Return the tables of a policy, a pool each."""
    lines = []
    evaluations, stack = in_order(scores, policy)
    for title, ledger in ledgers(evaluations, stack.shape[2]).items():
        course = follow(ledger, stack)
        lines += table(f"`--tta {policy}`, {title}", course, truth)
        if isinstance(ledger, Soft):
            lines += [fluid_bound(course, stack), ""]
    return lines


def in_seconds(data: Path, rounds: int) -> list[str]:
    """Return the tables of whole commands, a policy each."""
    from data import CLASSES, ids_of
    from measure import write_images

    pixels, labels = read_test(data)
    ids = ids_of("test", len(pixels))
    images = FASHION / "work" / "test"
    write_images(images, pixels, ids)
    truth = {name: CLASSES[label] for name, label in zip(ids, labels.tolist(), strict=True)}
    lines = race(MEMBERS, images, POLICIES[0], truth, rounds)
    return lines + race(MEMBERS, images, POLICIES[1], truth, 1)


def main() -> None:
    """Count, time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores")
    parser.add_argument("--rounds", type=int, default=3, help="Of whole commands; 0 only counts.")
    args = parser.parse_args()
    scores, truth = cached(args.data)
    lines = ["# Early exit", "",
             f"`python benchmarks/early_exit/exit.py`, {datetime.now(UTC).date()}, {args.machine}. "
             f"{len(MEMBERS)} fold members of the fashion zoo over the test images of "
             f"Fashion-MNIST; families weigh alike; confidence {CONFIDENCE:.0%}. In evaluations: "
             f"{DRAWS} calibrations a row, which the cost includes, and {TRIALS} for the "
             f"violations, of which 5 % are allowed. In seconds: whole commands "
             f"with an empty store, in turns, the median of {args.rounds} rounds; one for flip.",
             ""]  # fmt: skip
    if args.rounds:
        lines += in_seconds(args.data, args.rounds)
    for policy in POLICIES:
        lines += in_evaluations(scores, truth, policy)
    text = "\n".join(lines)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "exit.md").write_text(text)


if __name__ == "__main__":
    main()
