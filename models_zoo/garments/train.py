"""Train the garments zoo: five families over five stratified folds of 6000 scenes.

    python models_zoo/garments/train.py

Writes labels.csv and folds.csv beside this file, and work/checkpoints/<family>-f<fold>.safetensors
of each fold that has neither a checkpoint nor a member, so a run that was stopped goes on. About
half an hour on two cores.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from data import DATA, TRAIN, ids_of, labels_of, read_garments, scenes, write_csv
from families import FAMILIES, FOLDS, checkpoint_of, loss_of, member_of, normalised, targets_of
from safetensors.torch import save_file
from torch import nn

import ensemble

HERE = Path(__file__).parent
BATCH = 64
RATE = 8e-3


def augment(batch: torch.Tensor) -> torch.Tensor:
    """Mirror half of the scenes, and shift the batch by up to two pixels."""
    mirrored = torch.rand(len(batch)) < 0.5
    batch = torch.where(mirrored[:, None, None, None], batch.flip(3), batch)
    down, right = torch.randint(-2, 3, (2,)).tolist()
    return batch.roll((down, right), (2, 3))


def train(name: str, images: torch.Tensor, targets: list[torch.Tensor]) -> nn.Module:
    """Fit the net of a family to images and a target for each of its heads: AdamW, one cycle."""
    family = FAMILIES[name]
    net = family.net().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    steps = family.epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(family.epochs):
        order = torch.randperm(len(images))
        for rows in order[: len(images) // BATCH * BATCH].split(BATCH):
            found = net(augment(images[rows]))
            by_head = found if isinstance(found, dict) else {family.heads[0].name: found}
            losses = [
                loss_of(by_head[head.name], target[rows], head)
                for head, target in zip(family.heads, targets, strict=True)
            ]
            optimiser.zero_grad()
            sum(losses, torch.zeros(())).backward()
            optimiser.step()
            schedule.step()
    return net


def train_fold(name: str, fold: int) -> str:
    """Train a fold of a family and write its checkpoint; return a line on it."""
    torch.set_num_threads(1)
    torch.manual_seed(100 * list(FAMILIES).index(name) + fold)
    start = time.perf_counter()
    held = np.load(HERE / "work" / "train.npz")
    rows = np.flatnonzero(held["folds"] != fold)
    labels, sizes = held["labels"][rows], held["sizes"][rows]
    targets = [targets_of(labels, sizes, head) for head in FAMILIES[name].heads]
    net = train(name, normalised(held["pixels"][rows]), targets)
    path = checkpoint_of(name, fold)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
    return f"{path.stem}: {time.perf_counter() - start:.0f} s"


def write_scenes_to_train_on(data: Path) -> None:
    """Write labels.csv and folds.csv, and for this script what the scenes look like."""
    drawn = list(scenes(*read_garments(data, "train"), "train", TRAIN))
    labels = labels_of(drawn).assign(id=ids_of("train", TRAIN))
    write_csv(labels[["id", "label", "kind", "orientation", "size"]], HERE / "labels.csv")
    ensemble.split_folds(HERE / "labels.csv", HERE / "folds.csv", k=FOLDS, progress=None)
    (HERE / "work").mkdir(exist_ok=True)
    np.savez(
        HERE / "work" / "train.npz",
        pixels=np.stack([scene.drawn.pixels for scene in drawn]),
        labels=np.array([scene.label for scene in drawn]),
        sizes=np.array([scene.size for scene in drawn]),
        folds=pd.read_csv(HERE / "folds.csv")["fold"].to_numpy(),
    )


def main() -> None:
    """Train what is missing, as many folds at once as there are workers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    todo = [
        (name, fold)
        for fold in range(FOLDS)
        for name in FAMILIES
        if not checkpoint_of(name, fold).exists() and not member_of(name, fold).exists()
    ]
    if not todo:
        print("every fold is trained; delete a member and its checkpoint to train it again")
        return
    write_scenes_to_train_on(args.data)
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        for done in as_completed([pool.submit(train_fold, *job) for job in todo]):
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
