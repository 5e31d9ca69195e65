"""The fashion zoo's families under many views: members, images and predictions, made once.

Candidates are the views none, hflip, vflip and rot90, and of the families whose nets take any size
scale 0.8 and 1.25. Families that the zoo does not ship take part where `make zoo` has trained them.
Out-of-fold rows are training images, each predicted by the fold that did not see it; test images
are predicted by every fold. All of it stays in a work folder, so a second call predicts nothing.
"""

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import ensemble
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import image_set_of
from ensemble.inference.score import score_into_store
from ensemble.inference.start_members import start_members
from ensemble.predictions.kept_views import KeptViews
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.views.families import spelled, views_told

FASHION = Path(__file__).parents[2] / "models_zoo" / "fashion"
WORK = FASHION / "work" / "choose"
sys.path.insert(0, str(FASHION))

VIEWS = "views(plain;hflip;vflip;rot90(1)"
ANY_SIZE = ("resnet", "vgg")
FOLDS = 5


@dataclass(frozen=True)
class Test:
    """Test images: `probs` by family and view, float64 (folds, N, C), and the classes `y` (N,)."""

    probs: Mapping[tuple[str, str], np.ndarray]
    y: np.ndarray


@dataclass(frozen=True)
class World:
    """Where everything lies: members, images of `rows` and of `test`, labels beside them."""

    work: Path
    names: tuple[str, ...]
    rows: int
    test: int

    @property
    def members(self) -> Path:
        """The folder of members."""
        return self.work / "members"

    @property
    def labels(self) -> Path:
        """The labels and folds of the training images."""
        return self.work / f"train-{self.rows}.csv"

    @property
    def images(self) -> Path:
        """The folder of test images."""
        return self.work / f"t10k-{self.test}"

    @property
    def tta(self) -> str:
        """The candidate views of each family."""
        sizes = {name: ";scale(0.8);scale(1.25))" if name in ANY_SIZE else ")"
                 for name in self.names}  # fmt: skip
        return ",".join(f"{name}={VIEWS}{sizes[name]}" for name in self.names)


def world(work: Path, rows: int, test: int) -> World:
    """Export members, and write images and labels into `work`, what is not there yet."""
    from families import FAMILIES, checkpoint_of

    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(FASHION):
        names = [n for n in FAMILIES if all(checkpoint_of(n, f).exists() for f in range(FOLDS))]
        for name in names:
            _export(work, name)
        for split, count in (("train", rows), ("t10k", test)):
            _write(work, split, count)
    return World(work, tuple(names), rows, test)


def _export(work: Path, name: str) -> None:
    from data import CLASSES
    from families import FAMILIES, checkpoint_of

    if all((work / "members" / f"{name}-f{fold}.onnx").exists() for fold in range(FOLDS)):
        return
    size = FAMILIES[name].size
    flags = ensemble.PreprocessFlags(height=size, width=size, interpolation="bicubic",
                                     mean=(0.2860,), std=(0.3530,))  # fmt: skip
    spec = ensemble.ExportSpec(
        f"nets:{FAMILIES[name].factory.__name__}", (ensemble.HeadSpec("label", CLASSES),),
        preprocess=flags, in_chans=1, dynamic_size=name in ANY_SIZE,
    )  # fmt: skip
    checkpoints = [checkpoint_of(name, fold) for fold in range(FOLDS)]
    ensemble.export_members(checkpoints, spec, work / "members")


def _write(work: Path, split: str, count: int) -> None:
    from data import CLASSES, DATA, fold_of_rows, ids_of, read_split
    from measure import write_images

    images, labels = read_split(DATA, split)
    chosen = np.sort(np.random.default_rng(0).permutation(len(images))[:count])
    every = ids_of(split, len(images))
    ids = [every[row] for row in chosen]
    folder = work / f"{split}-{count}"
    write_images(folder, images[chosen], ids)
    folds = fold_of_rows(labels) if split == "train" else np.zeros(len(labels), int)
    lines = [f"{i},{CLASSES[labels[r]]},{folds[r]}" for i, r in zip(ids, chosen, strict=True)]
    folder.with_suffix(".csv").write_text("\n".join(["id,label,fold", *lines]) + "\n")


def predict_rows(here: World, **more: object) -> KeptViews:
    """Predict the training images out of fold, each view apart, and measure what views cost."""
    return ensemble.predict_oof(
        here.members, here.work / f"train-{here.rows}", here.labels, tta=here.tta,
        keep_views=True, device="cpu", store=here.work / "store", progress=None, **more,
    )  # fmt: skip


def predict_test(here: World, classes: tuple[str, ...]) -> Test:
    """Predict the test images by every member under every view."""
    settings = Settings((str(here.members),), (str(here.images),), tta=here.tta, device="cpu",
                        store=here.work / "store", keep_views=True)  # fmt: skip
    recipe = resolve(settings)
    images = image_set_of(find_images(recipe.inputs, 0, Quiet())[0])
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    ids: tuple[str, ...] = ()
    for fold in range(FOLDS):
        ready = start_members(recipe, Quiet(), fold=fold)
        for entry in score_into_store(recipe, ready, images, Quiet())[0]:
            held = entry.partition.read(entry.head.name)
            view = spelled(views_told(entry.partition.fingerprint["views"]))
            key = entry.member.family, view
            found.setdefault(key, []).append(held.probs.astype(np.float64))
            ids = held.ids
    lines = here.images.with_suffix(".csv").read_text().splitlines()[1:]
    told = dict(line.split(",")[:2] for line in lines)
    y = np.array([classes.index(told[name]) for name in ids])
    return Test({key: np.stack(each) for key, each in found.items()}, y)
