"""Out-of-fold predictions with views apart whose worth is known, and labels for them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ensemble.arrays import Indices, Pooled
from ensemble.predictions.kept_views import Costs, KeptViews
from ensemble.tuning.choose import ChooseOrder

CLASSES = ("cat", "dog", "eel")
FOLDS = 3
ROWS = 1200
IDS = tuple(f"img{row:04d}" for row in range(ROWS))
TRUTH: Indices = np.random.default_rng(7).integers(0, 3, ROWS)

Views = Mapping[str, float]
"""How strongly each view of a family tells the truth; below 0 it tells another class."""


def view_probs(strength: float, shared: Pooled, seed: int) -> Pooled:
    """Probabilities (N, 3): a family's own errors, a view's, and so much of the truth."""
    rng = np.random.default_rng(seed)
    told = TRUTH if strength >= 0 else (TRUTH + 1) % 3
    scores = shared + rng.normal(0, 0.8, shared.shape) + abs(strength) * np.eye(3)[told]
    shares = np.exp(scores)
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float64)


def apart(families: Mapping[str, Views], seconds: float | Mapping[str, float] = 1e-3) -> KeptViews:
    """Families of views of some strength; an evaluation costs `seconds`, be it by view."""
    columns: dict[str, dict[str, Pooled]] = {}
    for number, (family, views) in enumerate(families.items()):
        shared = np.random.default_rng(number).normal(0, 0.8, (ROWS, 3))
        columns[family] = {
            view: view_probs(strength, shared, 1000 + 100 * number + place)
            for place, (view, strength) in enumerate(views.items())
        }
    price = {view: seconds[view] if isinstance(seconds, Mapping) else seconds
             for views in families.values() for view in views}  # fmt: skip
    return KeptViews(
        ids=IDS,
        classes=CLASSES,
        columns=columns,
        folds=np.arange(ROWS) % FOLDS,
        members={f: {fold: f"{f}{fold}" for fold in range(FOLDS)} for f in families},
        costs=Costs(0.01, 2e-3, {f: {v: price[v] for v in views} for f, views in columns.items()}),
    )


def labels() -> Path:
    """Write labels.csv."""
    lines = [f"{name},{CLASSES[label]}" for name, label in zip(IDS, TRUTH, strict=True)]
    path = Path("labels.csv")
    path.write_text("\n".join(["id,label", *lines]) + "\n")
    return path


def order(metric: str = "accuracy", **more: object) -> ChooseOrder:
    """Choose for a metric by labels.csv."""
    return ChooseOrder(labels(), metric, **more)  # type: ignore[arg-type]
