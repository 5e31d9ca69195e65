"""Fixtures: tiny members and images, made on the spot; a run, and labels with folds."""

import os

# Small nets: threads of torch and BLAS would wait for each other longer than they compute.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from blends import write_train
from toys import MakeMember, save_images, save_member, toy_card, toy_model

from ensemble.api import predict

if TYPE_CHECKING:
    from buckets import Server

# Waiting for the disk would be a third of the time, and no test outlives its machine.
os.fsync = lambda descriptor: None


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    """Two families of two folds each."""
    cards = [toy_card(f"{family}-f{fold}") for family in ("ant", "bee") for fold in (0, 1)]
    return [
        save_member(tmp_path / "folds", card, toy_model(card, seed=number))
        for number, card in enumerate(cards)
    ]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of twelve images."""
    return save_images(tmp_path / "images", 12)


@pytest.fixture
def make_member(tmp_path: Path) -> MakeMember:
    """Write one toy member; keywords go to `toy_card`."""

    def make(name: str = "toy-f0", *, seed: int = 0, **about: object) -> Path:
        card = toy_card(name, **about)  # type: ignore[arg-type]
        return save_member(tmp_path / "folds", card, toy_model(card, seed=seed))

    return make


@pytest.fixture
def a_run(members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of two members over twelve images, in three shards."""
    monkeypatch.chdir(images.parent)
    predict.run(members[:2], images, out="submissions/first", device="cpu", shard_size=5)


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty images, and train.csv, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_train()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> "Iterator[Server]":
    """An S3 server with an empty bucket, where the environment says so."""
    from buckets import served, signed_in

    with served() as server:
        signed_in(monkeypatch, server)
        yield server
