"""Out-of-fold predictions whose best blend is known, and members that know what they saw."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from toys import CLASSES, save_member, toy_card, toy_model

from ensemble.arrays import Indices
from ensemble.predictions import table
from ensemble.predictions.oof_file import write
from ensemble.recipe.settings import Settings
from ensemble.tuning.weigh import TuneOrder
from ensemble.voting.pools import Stack

ROWS, FOLDS = 60, 3
TRUTH = np.random.default_rng(0).integers(0, 3, ROWS)
SPLIT = np.arange(ROWS) % FOLDS


def binary(probs: NDArray[np.float64]) -> Stack:
    """Probabilities of the second class, (M, N), as a stack (M, N, 2)."""
    return np.stack([1 - probs, probs], -1)


def golden() -> tuple[Stack, Indices]:
    """Four families of unequal strength and unequal sharpness, 2000 rows, two classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    z = 2 * y - 1
    strength = ((1, 1.5), (0.8, 1.2), (0.5, 0.8), (0.2, 2))
    return binary(
        np.stack([1 / (1 + np.exp(-(a * z + rng.normal(0, s, 2000)))) for a, s in strength])
    ), y


def noise(members: int = 40, rows: int = 300) -> tuple[Stack, Indices]:
    """Families of uniform noise: no blend is better than another."""
    rng = np.random.default_rng(1)
    return binary(rng.random((members, rows))), rng.integers(0, 2, rows)


def tied() -> tuple[Stack, Indices]:
    """Few rows and many ties between blends."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 40)
    return binary(np.clip(y + rng.normal(0, 0.7, (5, 40)), 0.01, 0.99)), y


def many(families: int, rows: int, classes: int, seed: int = 0) -> tuple[Stack, Indices]:
    """Families that share most of their errors, as real ones do."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    shared = rng.normal(0, 1.2, (rows, classes))
    shared[np.arange(rows), y] += 2.2
    scores = shared + rng.normal(0, 1, (families, rows, classes)) * rng.uniform(
        0.4, 1.6, (families, 1, 1)
    )
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True), y


def write_train() -> None:
    """Write sixty images, each with a pixel of its own; train.csv with labels, folds and groups."""
    Path("train").mkdir()
    lines = ["id,label,fold,patient"]
    for row in range(ROWS):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[row // 8, row % 8] = 255
        Image.fromarray(pixels).save(f"train/img{row}.png")
        lines.append(f"img{row},{CLASSES[TRUTH[row]]},{SPLIT[row]},p{row % FOLDS}-{row // 6}")
    Path("train.csv").write_text("\n".join(lines))


def memory(family: str, fold: int, *, blind: int = 1, noise: float = 0.0) -> Path:
    """A member that knows the rows it was trained on, and says `blind` classes on for the rest."""
    card = toy_card(f"{family}-f{fold}")
    said = np.where(fold == SPLIT, (TRUTH + blind) % 3, TRUTH)
    weights = np.zeros((64, 3))
    weights[np.arange(ROWS), said] = 1
    weights[:ROWS] += np.random.default_rng(fold).normal(0, noise, (ROWS, 3))
    weights[63] = -weights[:ROWS].sum(0)  # this pixel is always black: it cancels all the others
    model = toy_model(card)
    matrix = np.repeat(weights[None] / 4, 3, 0).reshape(192, 3).astype(np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    return save_member(Path("folds"), card, model)


def recipe(members: list[Path]) -> Settings:
    return Settings(tuple(map(str, members)), ("train",), device="cpu")


def tuned_on(files: dict[str, float], **more: object) -> TuneOrder:
    """Families of some strength, saved; and the order to tune weights on them."""
    rng = np.random.default_rng(1)
    for name, strength in files.items():
        scores = rng.normal(0, 1, (ROWS, 3)) + strength * np.eye(3)[TRUTH]
        probs = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        ids = tuple(f"img{row}" for row in range(ROWS))
        write(Path(f"{name}.parquet"), table.Oof(ids, CLASSES, {name: probs}, SPLIT))
    named = [(None, Path(f"{name}.parquet")) for name in files]
    values = {"files": named, "labels": Path("train.csv"), "metric": "log_loss", **more}
    return TuneOrder(**values)  # type: ignore[arg-type]
