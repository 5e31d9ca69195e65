"""Several tasks, one label: whole runs against an oracle in NumPy."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from task_toys import AGES, KINDS, LABELS, TURNS, label_map, outputs, save_all, save_pictures

from ensemble.files.label_maps import read_label_map
from ensemble.pipeline.oof import predict_oof
from ensemble.pipeline.run import run
from ensemble.pipeline.tune import tune_files
from ensemble.recipe.settings import Settings
from ensemble.tuning.weigh import TuneOrder
from ensemble.voting.weights import read as read_weights

Array = NDArray[np.float64]


def softmax(logits: Array) -> Array:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def normal(value: float, low: float, high: float, spread: float) -> float:
    def below(end: float) -> float:
        return (1 + math.erf((end - value) / spread / math.sqrt(2))) / 2

    return below(high) - below(low)


def said(folder: Path, images: list[Path], spread: float) -> dict[str, Array]:
    """Return what each family in a folder says of what it answers, its folds averaged first."""
    raw = {path.stem: outputs(path, images) for path in folder.glob("*.onnx")}

    def mean(family: str, head: str, *, logits: bool = True) -> Array:
        each = [given[head] for name, given in raw.items() if name.startswith(family)]
        return np.mean([softmax(one) if logits else one for one in each], axis=0)

    years = mean("three", "age", logits=False)[:, 0]
    ends = [(-math.inf, 30), (30, 60), (60, math.inf)]
    tens = mean("decades", "age")
    return {
        "joint": mean("joint", "label"),
        "kinds": mean("kinds", "kind")[:, ::-1],
        "turns": mean("turns", "label"),
        "decades": np.stack([tens[:, :3].sum(1), tens[:, 3:6].sum(1), tens[:, 6:].sum(1)], axis=1),
        "three/age": np.array([[normal(year, *end, spread) for end in ends] for year in years]),
        "three/kind": mean("three", "kind"),
        "three/turn": mean("three", "turn"),
    }


def product(kind: Array, turn: Array, age: Array) -> Array:
    return np.einsum("na,nb,nc->nabc", kind, turn, age).reshape(len(kind), 18)


def oracle(folder: Path, images: list[Path], spread: float) -> Array:
    """Return the probabilities of the labels without weights, (N, 18)."""
    says = said(folder, images, spread)
    found = product(
        (says["kinds"] + says["three/kind"]) / 2,
        (says["turns"] + says["three/turn"]) / 2,
        (says["decades"] + says["three/age"]) / 2,
    )
    return (found / found.sum(1, keepdims=True) + says["joint"]) / 2


def pooled(says: dict[str, Array], record: dict[str, Any]) -> Array:
    """Return the lifted log-linear pool of a weights.json, (N, 18)."""
    rows = len(says["joint"])
    one = {n: np.ones((rows, len(c))) for n, c in (("kind", KINDS), ("turn", TURNS), ("age", AGES))}
    task = {"kinds": "kind", "turns": "turn", "decades": "age"}
    total = record["joint"]["rho"] * np.array(record["joint"]["dependence"])[None]
    for name, exponent in record["weights"].items():
        answered = task.get(name, name.removeprefix("three/"))
        lifted = says[name] if name == "joint" else product(**{**one, answered: says[name]})
        total = total + exponent * np.log(np.maximum(lifted, math.exp(-14)))
    return softmax(total)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    save_all(Path("members"))
    save_pictures(Path("images"), 40)
    return Settings(
        members=("members",),
        images=("images",),
        label_map=label_map(Path()),
        tasks="age = {spread = 4}",
        out=Path("out"),
    )


def test_members_of_every_kind_give_the_labels_and_probabilities_of_the_oracle(
    settings: Settings,
) -> None:
    result = run(settings)
    images = [Path("images") / f"{name}.png" for name in result.ids]
    expected = oracle(Path("members"), images, 4)
    assert np.abs(result.probs - expected).max() < 1e-5
    assert list(result.labels) == [LABELS[place] for place in expected.argmax(1)]
    with Path("out/submission.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(result.labels)


def test_tuned_weights_give_the_pool_of_the_oracle(settings: Settings) -> None:
    pictures = save_pictures(Path("train"), 300, seed=1)
    rng = np.random.default_rng(0)
    likely = oracle(Path("members"), pictures, 8) ** 2
    drawn = [rng.choice(18, p=row / row.sum()) for row in likely]
    classes = [(k, t, a) for k in KINDS for t in TURNS for a in (20, 45, 70)]
    ids = [path.stem for path in pictures]
    rows = [(name, *map(str, classes[label])) for name, label in zip(ids, drawn, strict=True)]
    Path("labels.csv").write_text("\n".join(map(",".join, [("id", "kind", "turn", "age"), *rows])))
    Path("folds.csv").write_text("id,fold\n" + "\n".join(f"{i},{n % 2}" for n, i in enumerate(ids)))
    trained = replace(settings, images=("train",), tasks="")
    predict_oof(trained, Path("folds.csv"), out=Path("oof.parquet"))
    mapped = read_label_map(Path("label_map.csv"))
    files = [(None, Path("oof.parquet"))]
    order = TuneOrder(files, Path("labels.csv"), "log_loss", write="tuned", label_map=mapped)
    tune_files(order, out=Path("weights.json"))
    result = run(replace(settings, tasks="", weights=read_weights(Path("weights.json"))))
    record = json.loads(Path("weights.json").read_text())
    images = [Path("images") / f"{name}.png" for name in result.ids]
    spread = record["joint"]["spreads"]["three/age"]
    expected = pooled(said(Path("members"), images, spread), record)
    assert np.abs(result.probs - expected).max() < 1e-5
    assert list(result.labels) == [LABELS[place] for place in expected.argmax(1)]
    assert record["evidence"]["written"] == "log-linear"
