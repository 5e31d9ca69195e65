"""Train the fashion zoo: four families over five stratified folds of Fashion-MNIST.

    python models_zoo/fashion/train.py

Writes <family>-f<fold>.safetensors to checkpoints/ beside this file, or for families that are not
shipped to work/checkpoints/. A fold that is already there is not trained again, so a run that was
stopped goes on. About 40 minutes on two cores.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from data import CLASSES, DATA, FOLDS, MEAN, STD, fold_of_rows, read_split
from families import FAMILIES, checkpoint_of, pixels, predict
from safetensors.torch import save_file
from torch import nn


def augment(batch: torch.Tensor) -> torch.Tensor:
    """Mirror half of the images, and shift the batch by up to two pixels."""
    mirrored = torch.rand(len(batch)) < 0.5
    batch = torch.where(mirrored[:, None, None, None], batch.flip(3), batch)
    top, left = torch.randint(0, 5, (2,)).tolist()
    height, width = batch.shape[2:]
    padded = nn.functional.pad(batch, (2, 2, 2, 2), value=-MEAN / STD)
    return padded[:, :, top : top + height, left : left + width]


def train(net: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
    """Fit the net in place: AdamW, one cycle, label smoothing."""
    batch = 64
    steps = epochs * (len(images) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    net = net.to(memory_format=torch.channels_last).train()
    for epoch in range(epochs):
        order = torch.randperm(len(images))
        for rows in order[: len(images) // batch * batch].split(batch):
            loss = loss_of(net(augment(images[rows])), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"  epoch {epoch + 1}/{epochs}: loss {loss.item():.3f}", flush=True)


def main() -> None:
    """Train what is missing, fold by fold, the families in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    todo = [
        (checkpoint_of(name, fold), 100 * number + fold, fold, family)
        for fold in range(FOLDS)
        for number, (name, family) in enumerate(FAMILIES.items())
    ]
    todo = [job for job in todo if not job[0].exists()]
    if not todo:
        print("every fold is trained; delete a checkpoint to train it again")
        return

    images, labels = read_split(args.data, "train")
    folds = fold_of_rows(labels)
    targets = torch.from_numpy(labels)
    inputs = {family.size: pixels(images, family.size) for family in FAMILIES.values()}
    for path, seed, fold, family in todo:
        torch.manual_seed(seed)
        start = time.perf_counter()
        net = family.factory(len(CLASSES))
        seen = torch.from_numpy(np.flatnonzero(folds != fold))
        unseen = np.flatnonzero(folds == fold)
        train(net, inputs[family.size][seen], targets[seen], args.epochs)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in net.state_dict().items()}, path)
        probs = predict(net, inputs[family.size][torch.from_numpy(unseen)])
        accuracy = (probs.argmax(1) == labels[unseen]).mean()
        seconds = time.perf_counter() - start
        print(f"{path.stem}: OOF accuracy {accuracy:.4f}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
