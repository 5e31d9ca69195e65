"""Out-of-fold predictions of two tasks with views apart whose worth is known, and their labels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from views_apart import FOLDS, IDS, ROWS

from ensemble.arrays import Indices, Pooled
from ensemble.files.label_maps import read_label_map
from ensemble.files.text_table import TextTable
from ensemble.label_map import LabelMap
from ensemble.predictions.kept_views import Costs, KeptTasks, KeptViews

KINDS, TURNS = ("bag", "shoe", "top"), ("down", "up")
PAIRS = [(kind, turn) for kind in KINDS for turn in TURNS]
MAP: LabelMap = read_label_map(
    TextTable("map", ("label", "kind", "turn"),
              tuple((str(n), *pair) for n, pair in enumerate(PAIRS)))
)  # fmt: skip
TRUTH: Indices = np.random.default_rng(5).integers(0, 6, ROWS)
_OF_TASK = {"kind": TRUTH // 2, "turn": TRUTH % 2}
_CLASSES = {"kind": KINDS, "turn": TURNS}

WORTH: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "kind": {"kinds": {"plain": 1.5, "hflip": 1.5, "vflip": -1.5}, "both": {"plain": 0.8}},
    "turn": {"turns": {"plain": 1.5, "hflip": 0.0}, "both": {"plain": 0.8}},
}
"""How strongly each view of a family tells the truth, by task."""


def kept_tasks() -> KeptTasks:
    """Two families of a task each, and one of both."""
    price = {
        family: dict.fromkeys(views, 1e-3) for heads in WORTH.values()
        for family, views in heads.items()
    }  # fmt: skip
    costs = Costs(0.01, 2e-3, price)
    parts = [
        KeptViews(
            ids=IDS,
            classes=_CLASSES[task],
            columns={f: {v: _probs(task, s, f, v) for v, s in views.items()}
                     for f, views in heads.items()},
            folds=np.arange(ROWS) % FOLDS,
            members={f: {fold: f"{f}{fold}" for fold in range(FOLDS)} for f in heads},
            output=task,
            costs=costs,
        )
        for task, heads in WORTH.items()
    ]  # fmt: skip
    return KeptTasks(MAP, tuple(parts))


def write_labels() -> Path:
    """Write labels.csv."""
    path = Path("labels.csv")
    rows = [f"{name},{label}" for name, label in zip(IDS, TRUTH, strict=True)]
    path.write_text("\n".join(["id,label", *rows]) + "\n")
    return path


def _probs(task: str, strength: float, family: str, view: str) -> Pooled:
    rng = np.random.default_rng(list(f"{task}{family}{view}".encode()))
    truth, count = _OF_TASK[task], len(_CLASSES[task])
    told = truth if strength >= 0 else (truth + 1) % count
    scores = rng.normal(0, 1, (ROWS, count)) + abs(strength) * np.eye(count)[told]
    shares = np.exp(scores)
    return np.asarray(shares / shares.sum(1, keepdims=True), np.float64)
