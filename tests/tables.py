"""Predictions of four rows whose ids are odd, and the files that hold them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from toys import CLASSES

from ensemble.predictions.run_file import RunFile
from ensemble.predictions.table import Oof

IDS = ("007", "NA", "1e5", "b")


def probs(seed: int = 0, rows: int = 4) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.ones(3), rows)


def oof(name: str = "ant", seed: int = 0, **more: object) -> Oof:
    return Oof(IDS, CLASSES, {name: probs(seed)}, **more)  # type: ignore[arg-type]


def array(folder: Path, values: NDArray[np.float64] | None = None) -> tuple[Path, Path]:
    """A bare .npy, and the table whose rows it follows."""
    np.save(folder / "mate.npy", probs() if values is None else values)
    (folder / "train.csv").write_text("label,id\n" + "".join(f"cat,{i}\n" for i in IDS))
    return folder / "mate.npy", folder / "train.csv"


def write_predictions(
    path: Path,
    ids: Sequence[str],
    labels: Sequence[str],
    columns: Mapping[str, NDArray[np.float64]],
    about: Mapping[str, object],
    evaluations: NDArray[np.int64] | None = None,
) -> None:
    """Write a run's predictions.parquet at once."""
    with path.open("wb") as sink, RunFile(sink, about) as file:
        file.add(ids, labels, columns, evaluations)
