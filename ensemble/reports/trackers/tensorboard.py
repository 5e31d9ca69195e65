"""TensorBoard, by tensorboardX: a folder of events that `tensorboard --logdir` reads."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

FOLDER: Final = "runs"
"""Where TensorBoard's tools look, and write, where nobody says."""


class TensorboardTracker:
    """A run as a folder of its own; see `Tracker`."""

    def __init__(self, where: str, name: str) -> None:
        """Make the folder, with a number where there is one of that name."""
        self._root = Path(where or FOLDER)
        self._folder = _made(self._root / name)
        self._writer = SummaryWriter(str(self._folder))

    def settings(self, values: Mapping[str, str]) -> None:
        """Write a text for each."""
        for name, value in values.items():
            self._writer.add_text(name, value)

    def scores(self, values: Mapping[str, float]) -> None:
        """Write a scalar for each, at step 0."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, 0)

    def picture(self, name: str, path: Path) -> None:
        """Write an image."""
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image(name, pixels, 0, dataformats="HWC")

    def close(self) -> str:
        """Flush the events."""
        self._writer.close()
        return f"{self._folder}; tensorboard --logdir {self._root} shows it"


def _made(folder: Path) -> Path:
    """Make a folder, with 2, 3, … after its name where it is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([folder], numbered) if _is_new(path))


def _is_new(path: Path) -> bool:
    """Make a folder; False where there is something of that name already."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
