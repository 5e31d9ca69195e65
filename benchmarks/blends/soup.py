"""When do averaged weights answer as the vote of their parts does?

    python benchmarks/blends/soup.py

A small net (the fashion zoo's `vgg`) is trained on a part of Fashion-MNIST at a constant step, and
its weights are kept after each epoch. Soups are made of checkpoints of this run, and of folds of
the zoo, which were begun apart; `ensemble export --soup` recalibrates their batch norms on some of
the 10 000 test images, without labels, and the others judge. Checkpoints and images go to
models_zoo/fashion/work/, so that a second call does not train.
"""

import argparse
import contextlib
import os
import re
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

FASHION = Path(__file__).parents[2] / "models_zoo" / "fashion"
sys.path.insert(0, str(FASHION))

from data import CLASSES, DATA, MEAN, STD, fold_of_rows, ids_of, read_split  # noqa: E402
from families import FAMILIES, pixels  # noqa: E402
from measure import write_images  # noqa: E402
from train import augment  # noqa: E402

import ensemble  # noqa: E402

NET, FOLD = "vgg", 0
RUN = Path("work/soup")


def train(data: Path, rows: int, epochs: int) -> None:
    """Train the net on rows of other folds by steps of one size; keep the weights of each epoch."""
    images, labels = read_split(data, "train")
    seen = np.flatnonzero(fold_of_rows(labels) != FOLD)[:rows]
    inputs, targets = pixels(images[seen], FAMILIES[NET].size), torch.from_numpy(labels[seen])
    torch.manual_seed(0)
    net = FAMILIES[NET].factory(len(CLASSES)).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    RUN.mkdir(parents=True, exist_ok=True)
    for epoch in range(epochs):
        for batch in torch.randperm(len(seen)).split(64):
            loss = torch.nn.functional.cross_entropy(net(augment(inputs[batch])), targets[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
        save_file(weights, RUN / f"{NET}-f{FOLD}-e{epoch}.safetensors")
        print(f"epoch {epoch}: loss {loss.item():.3f}", file=sys.stderr, flush=True)


def row(name: str, checkpoints: list[str], out: str) -> str:
    """Make a soup, and return what it says of itself and of its parts as a row of the table."""
    flags = ensemble.PreprocessFlags(
        height=FAMILIES[NET].size,
        width=FAMILIES[NET].size,
        interpolation="bicubic",
        mean=(MEAN,),
        std=(STD,),
    )
    arch = f"nets:{FAMILIES[NET].factory.__name__}"
    label = ensemble.HeadSpec("label", CLASSES)
    spec = ensemble.ExportSpec(arch, (label,), preprocess=flags, in_chans=1, family=out)
    (made,) = ensemble.export_members(
        checkpoints,
        spec,
        "work/soup",
        soup=True,
        images="work/test",
        labels="test_labels.csv",
        force=True,
    )
    told = next(note for note in made.notes if note.startswith("label: "))
    print(f"{name}: {told}", file=sys.stderr)
    found = re.findall(r"[\d.]+(?=%)|accuracy .*", told)
    apart, parts_apart, scores = found
    soup, vote, *parts = (100 * float(score) for score in re.findall(r"0\.\d+", scores))
    each = ", ".join(f"{part:.2f}" for part in parts)
    warned = "yes" if float(apart) > float(parts_apart) else "no"
    return f"| {name} | {each} | {vote:.2f} | **{soup:.2f}** | {parts_apart} | {apart} | {warned} |"


def main() -> None:
    """Train what is missing, and print a row a soup."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--epochs", type=int, default=6)
    args = parser.parse_args()
    with contextlib.chdir(FASHION):
        run = [str(RUN / f"{NET}-f{FOLD}-e{epoch}.safetensors") for epoch in range(args.epochs)]
        if not all(map(os.path.exists, run)):
            train(args.data, args.rows, args.epochs)
        images, _ = read_split(args.data, "t10k")
        write_images(Path("work/test"), images, ids_of("test", len(images)))
        folds = [f"checkpoints/{NET}-f{fold}.safetensors" for fold in (0, 1)]
        print("| soup of | its parts | their vote | the soup | two parts differ | soup and vote "
              "differ | warned |\n|---|---|---|---|---|---|---|")  # fmt: skip
        print(row("the last two epochs of a run", run[-2:], "late"))
        print(row("the last four epochs of a run", run[-4:], "later"))
        print(row("two folds of the zoo", folds, "apart"))


if __name__ == "__main__":
    main()
