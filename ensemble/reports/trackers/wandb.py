"""Weights & Biases, by its own environment: WANDB_MODE, WANDB_PROJECT, WANDB_DIR, its login."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import wandb

PROJECT: Final = "ensemble"
_HOST: Final = "not told"


class WandbTracker:
    """A run of a project; see `Tracker`. It tells of no program, machine, user or repository."""

    def __init__(self, where: str, name: str) -> None:
        """Begin a run in the project `where`, else in that of WANDB_PROJECT, else in `ensemble`."""
        self._run = wandb.init(
            project=where or os.environ.get("WANDB_PROJECT") or PROJECT,
            name=name,
            settings=wandb.Settings(
                host=_HOST,
                disable_git=True,
                save_code=False,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
                x_save_requirements=False,
                init_timeout=30,
            ),
        )

    def settings(self, values: Mapping[str, str]) -> None:
        """Write them as the run's config."""
        self._run.config.update(dict(values))

    def scores(self, values: Mapping[str, float]) -> None:
        """Write them as the run's summary."""
        self._run.summary.update(dict(values))

    def picture(self, name: str, path: Path) -> None:
        """Write an image."""
        self._run.log({name: wandb.Image(str(path))})

    def close(self) -> str:
        """Finish the run, which sends it unless it is offline."""
        self._run.finish()
        wandb.teardown()
        if self._run.url:
            return str(self._run.url)
        return f"{Path(self._run.dir).parent}; wandb sync sends it"
