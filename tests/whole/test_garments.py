"""The garments zoo: what its scenes show, and that its files say the same of them."""

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from scipy.stats import norm
from torch.nn import functional

import ensemble
from ensemble.members.card import Head
from ensemble.members.member import open_member
from ensemble.predictions.formats import read_parts
from ensemble.predictions.table import Predictions
from ensemble.records import Task

pytestmark = pytest.mark.slow
ZOO = Path(__file__).parents[2] / "models_zoo" / "garments"
MODULES = ("data", "draw")


@pytest.fixture(scope="module")
def data() -> Iterator[ModuleType]:
    """The zoo's `data`, which imports its `draw` as scripts do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ZOO))
        for name in MODULES:
            patch.delitem(sys.modules, name, raising=False)
        yield import_module("data")
        for name in MODULES:
            sys.modules.pop(name, None)


def garments() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A hundred rectangles, no two alike, of three kinds."""
    rng = np.random.default_rng(7)
    tiles = np.zeros((100, 28, 28), np.uint8)
    for tile in tiles:
        top, left = rng.integers(0, 12, 2)
        tile[top : top + 16, left : left + 10] = rng.integers(20, 256, (16, 10))
    return tiles, np.arange(100) % 3


def pixels_of(data: ModuleType, count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.stack([s.drawn.pixels for s in data.scenes(*garments(), "train", count, seed)])


def table(name: str) -> pd.DataFrame:
    return pd.read_csv(ZOO / name)


def shown_by(labels: pd.DataFrame) -> pd.DataFrame:
    """What label_map.csv says of the label of each row."""
    return table("label_map.csv").set_index("label").loc[labels["label"]].reset_index()


def holds(size: str, value: int) -> bool:
    """Whether a name such as <24, 24-33 or >=34 says this value."""
    if between := re.fullmatch(r"(\d+)-(\d+)", size):
        return int(between[1]) <= value <= int(between[2])
    if size.startswith(">="):
        return value >= int(size[2:])
    return value < int(size.removeprefix("<"))


def test_the_same_seed_gives_the_same_bytes(data: ModuleType) -> None:
    np.testing.assert_array_equal(pixels_of(data, 12), pixels_of(data, 12))


def test_another_seed_gives_other_scenes(data: ModuleType) -> None:
    assert (pixels_of(data, 12) != pixels_of(data, 12, seed=1)).any((1, 2)).all()


def test_the_first_of_many_scenes_are_those_of_a_few(data: ModuleType) -> None:
    np.testing.assert_array_equal(pixels_of(data, 20)[:5], pixels_of(data, 5))


def test_the_splits_are_drawn_apart(data: ModuleType) -> None:
    other = np.stack([s.drawn.pixels for s in data.scenes(*garments(), "test", 5)])
    assert (pixels_of(data, 5) != other).any((1, 2)).all()


def test_a_box_is_the_smallest_that_holds_the_garment(data: ModuleType) -> None:
    for scene in data.scenes(*garments(), "train", 200):
        places = np.argwhere(scene.drawn.mask)
        box = scene.drawn.box
        assert (box.top, box.left) == tuple(places.min(0))
        assert (box.bottom, box.right) == tuple(places.max(0) + 1)


def test_a_garment_is_as_large_as_its_size_says(data: ModuleType) -> None:
    for scene in data.scenes(*garments(), "train", 200):
        box = scene.drawn.box
        # 16 of 28 pixels are covered, 12 % more or less, turned by 20 degrees at most
        least, most = 0.88 * 16 / 28 * 0.94, 1.12 * (16 * 0.94 + 10 * 0.35) / 28
        assert least * scene.size - 2 < box.bottom - box.top < most * scene.size + 2


def test_a_garment_is_shown_again_only_when_its_kind_is_used_up(data: ModuleType) -> None:
    rows = data._in_turn(np.array([4, 2, 9]))
    assert [next(rows) for _ in range(5)] == [4, 2, 9, 4, 2]


def test_the_shares_sum_to_one_and_the_rarest_is_a_hundredth(data: ModuleType) -> None:
    assert sum(data.SHARES) == pytest.approx(1, abs=1e-12)
    assert len(data.SHARES) == len(data.JOINT) == 18
    assert min(data.SHARES) == 0.01


def test_the_training_scenes_have_the_shares_of_the_draw(data: ModuleType) -> None:
    labels = table("labels.csv")["label"]
    found = np.bincount(labels, minlength=18) / len(labels)
    error = np.sqrt(np.array(data.SHARES) / len(labels))
    assert (np.abs(found - data.SHARES) < 4 * error).all()


@pytest.mark.parametrize("task", ["orientation", "size"])
def test_the_other_tasks_depend_on_the_kind(task: str) -> None:
    shown = shown_by(table("labels.csv"))
    shares = pd.crosstab(shown["kind"], shown[task], normalize="index")
    assert (shares.max() - shares.min()).max() > 0.2


@pytest.mark.parametrize("name", ["labels.csv", "test_labels.csv"])
def test_the_label_map_says_what_the_labels_say(name: str) -> None:
    labels = table(name)
    shown = shown_by(labels)
    assert shown["kind"].tolist() == labels["kind"].tolist()
    assert shown["orientation"].tolist() == labels["orientation"].tolist()
    assert all(holds(*row) for row in zip(shown["size"], labels["size"], strict=True))


def test_the_label_map_has_each_combination_once() -> None:
    mapped = table("label_map.csv")
    assert mapped["label"].tolist() == list(range(18))
    parts = mapped[["kind", "orientation", "size"]]
    assert len(parts.drop_duplicates()) == 18
    assert parts.nunique().tolist() == [3, 2, 3]


def test_each_fold_has_its_share_of_each_label() -> None:
    labels, folds = table("labels.csv"), table("folds.csv")
    assert folds["id"].tolist() == labels["id"].tolist()
    counts = pd.crosstab(labels["label"], folds["fold"]).to_numpy()
    assert counts.shape == (18, 5)
    assert (counts.max(1) - counts.min(1)).max() <= 1


def test_the_files_of_the_test_scenes_have_the_same_ids() -> None:
    ids = [f"test-{row:05d}" for row in range(300)]
    for name in ("test_labels.csv", "test_boxes.csv", "sample_submission.csv"):
        assert table(name)["id"].tolist() == ids
    assert sorted(path.stem for path in (ZOO / "images").glob("*.png")) == ids


def test_the_test_scenes_are_64_pixels_high_and_wide_and_hold_their_boxes() -> None:
    for name, left, top, right, bottom in table("test_boxes.csv").itertuples(index=False):
        with Image.open(ZOO / "images" / f"{name}.png") as image:
            assert (image.size, image.mode) == ((64, 64), "L")
        assert 0 <= left < right <= 64
        assert 0 <= top < bottom <= 64


def test_the_shipped_test_scenes_are_those_that_are_drawn(data: ModuleType) -> None:
    if not data.DATA.exists():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    drawn = list(data.scenes(*data.read_garments(data.DATA, "test"), "test", 20))
    boxes = table("test_boxes.csv").set_index("id")
    for name, scene in zip(data.ids_of("test", 20), drawn, strict=True):
        with Image.open(ZOO / "images" / f"{name}.png") as image:
            np.testing.assert_array_equal(np.asarray(image), scene.drawn.pixels)
        box = scene.drawn.box
        assert boxes.loc[name].tolist() == [box.left, box.top, box.right, box.bottom]


BINS = tuple(map(str, range(16, 45, 2)))
KIND = Head("kind", "kind", "classification", "softmax", ("tops", "bottoms", "shoes"))
TURN = Head("orientation", "orientation", "classification", "softmax", ("upright", "turned"))
HEADS = {
    "joint": (
        Head("label", "label", "classification", "softmax", tuple(map(str, range(18)))),
    ),
    "kind_net": (KIND,),
    "turn_net": (TURN,),
    "size_net": (Head("size", "size", "classification", "softmax", BINS),),
    "three": (KIND, TURN, Head("size", "size", "regression", "none", ("size",))),
}  # fmt: skip


@pytest.mark.parametrize("family", HEADS)
def test_the_cards_of_a_family_have_its_heads(family: str) -> None:
    cards = [open_member(path).card for path in sorted(ZOO.glob(f"members/{family}-f*.onnx"))]
    assert [(card.family, card.fold) for card in cards] == [(family, fold) for fold in range(5)]
    for card in cards:
        assert card.heads == HEADS[family]
        assert card.preprocess.size == ensemble.Size(64, 64)
        assert len(card.preprocess.mean) == 1


def test_sizes_of_two_pixels_lie_within_one_size() -> None:
    names = table("label_map.csv")["size"].unique()
    for least in map(int, BINS):
        assert sum(holds(name, least) and holds(name, least + 1) for name in names) == 1


OOF: dict[tuple[str, Task], set[str]] = {
    ("label", "classification"): {"joint"},
    ("kind", "classification"): {"kind_net", "three"},
    ("orientation", "classification"): {"turn_net", "three"},
    ("size", "classification"): {"size_net"},
    ("size", "regression"): {"three"},
}
"""The families of each head that the out-of-fold predictions hold."""


@pytest.fixture(scope="module")
def oof() -> dict[tuple[str, Task], Predictions]:
    return {(part.output, part.task): part for part in read_parts(ZOO / "oof.parquet")}


def test_the_shipped_oof_is_of_the_members_and_folds_that_are_shipped(
    oof: dict[tuple[str, Task], Predictions],
) -> None:
    assert {head: set(found.families) for head, found in oof.items()} == OOF
    for found in oof.values():
        assert sorted(found.ids) == sorted(table("labels.csv")["id"])
        folds = table("folds.csv").set_index("id")["fold"]
        assert found.folds is not None
        assert found.folds.tolist() == [folds[name] for name in found.ids]
        for family, hashes in found.members.items():
            members = sorted(ZOO.glob(f"members/{family}-f*.onnx"))
            assert set(hashes) == {open_member(path).sha256 for path in members}


@pytest.mark.parametrize(
    ("head", "least", "most"),
    [("label", 0.55, 0.80), ("kind", 0.80, 0.97), ("orientation", 0.80, 0.97)],
)
def test_the_shipped_oof_is_right_as_often_as_nets_that_did_not_see_the_row(
    oof: dict[tuple[str, Task], Predictions], head: str, least: float, most: float
) -> None:
    found = oof[head, "classification"]
    truth = table("labels.csv").set_index("id")[head].astype(str)
    for probs in found.families.values():
        said = np.array(found.classes)[probs.argmax(1)]
        right = [truth[name] == label for name, label in zip(found.ids, said, strict=True)]
        assert least < np.mean(right) < most


def test_the_shipped_sizes_are_off_by_a_few_pixels_out_of_fold(
    oof: dict[tuple[str, Task], Predictions],
) -> None:
    classes, values = oof["size", "classification"], oof["size", "regression"]
    truth = table("labels.csv").set_index("id")["size"].loc[list(classes.ids)].to_numpy()
    of_classes = classes.families["size_net"] @ (np.array(classes.classes, float) + 0.5)
    for found in (of_classes, values.families["three"][:, 0]):
        assert 1 < np.abs(found - truth).mean() < 3.5


def test_a_run_over_the_test_scenes_is_right_in_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    members = [ZOO / "members" / f"joint-f{fold}.onnx" for fold in range(5)]
    sample = ZOO / "sample_submission.csv"
    result = ensemble.run(members, ZOO / "images", sample=sample, out="out", progress=None)
    truth = table("test_labels.csv").set_index("id")["label"].astype(str)
    right = [truth[i] == label for i, label in zip(result.ids, result.labels, strict=True)]
    assert 0.55 < np.mean(right) < 0.85


def test_the_shipped_files_take_less_than_ten_megabytes() -> None:
    shipped = [
        path
        for path in ZOO.rglob("*")
        if path.is_file() and path.relative_to(ZOO).parts[0] not in ("work", "__pycache__")
    ]
    assert sum(path.stat().st_size for path in shipped) < 10_000_000


def torch_outputs(path: Path, images: torch.Tensor) -> dict[str, NDArray[np.float64]]:
    """Return what a member's heads give, by torch's own functions on the weights that it holds."""
    held = {
        i.name: torch.tensor(numpy_helper.to_array(i)) for i in onnx.load(path).graph.initializer
    }
    features = images
    convolutions = sorted(
        (name for name in held if held[name].ndim == 4), key=lambda name: int(name.split(".")[-2])
    )
    for stage, name in enumerate(convolutions):
        stride = 2 if stage < 2 else 1
        bias = held[f"{name}_bias"]
        features = functional.relu(
            functional.conv2d(features, held[name], bias, stride=stride, padding=1)
        )
        features = functional.max_pool2d(features, 2) if stage == 1 else features
    features = features.amax((2, 3))
    found = {}
    for name in (name for name in held if held[name].ndim == 2):
        bias = held[name.replace("weight", "bias")]
        found[name.split(".")[-2]] = (features @ held[name].T + bias).numpy().astype(np.float64)
    return found


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def says(images: torch.Tensor, spread: float) -> dict[str, NDArray[np.float64]]:
    """Return what each family says of each task, its folds averaged first."""
    raw = {p.stem: torch_outputs(p, images) for p in sorted(ZOO.glob("members/*.onnx"))}

    def mean(family: str, head: str = "") -> NDArray[np.float64]:
        own = [given for name, given in raw.items() if name.startswith(family)]
        return np.asarray(np.mean([softmax(g[head or next(iter(g))]) for g in own], axis=0))

    values = np.mean([30 + 8 * raw[f"three-f{fold}"]["size"][:, 0] for fold in range(5)], axis=0)
    ends = norm.cdf((np.array([-np.inf, 24, 34, np.inf]) - values[:, None]) / spread)
    sizes = mean("size_net") @ np.eye(3)[np.digitize(np.array(BINS, float), [24, 34])]
    return {
        "joint": mean("joint"), "kind_net": mean("kind_net"), "turn_net": mean("turn_net"),
        "size_net": sizes, "three/kind": mean("three", "kind"),
        "three/orientation": mean("three", "orientation"), "three/size": np.diff(ends),
    }  # fmt: skip


def product(
    kind: NDArray[np.float64], turn: NDArray[np.float64], size: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.einsum("na,nb,nc->nabc", kind, turn, size).reshape(len(kind), 18)


def scenes_of(ids: Sequence[str]) -> torch.Tensor:
    pixels = [np.asarray(Image.open(ZOO / "images" / f"{name}.png"), np.float32) for name in ids]
    return torch.tensor((np.stack(pixels)[:, None] / 255 - 0.22) / 0.22)


def test_all_families_at_once_give_the_labels_of_the_oracle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = ensemble.run(
        ZOO / "members", ZOO / "images", label_map=ZOO / "label_map.csv",
        tasks={"size": {"spread": 2.5}}, out="out", progress=None,
    )  # fmt: skip
    said = says(scenes_of(result.ids), 2.5)
    apart = product(
        (said["kind_net"] + said["three/kind"]) / 2,
        (said["turn_net"] + said["three/orientation"]) / 2,
        (said["size_net"] + said["three/size"]) / 2,
    )
    expected = (apart + said["joint"]) / 2
    assert np.abs(result.probs - expected).max() < 1e-5
    assert list(result.labels) == [str(place) for place in expected.argmax(1)]


def test_weights_tuned_on_the_shipped_oof_give_the_pool_of_the_oracle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = ensemble.tune_weights(
        ZOO / "oof.parquet", ZOO / "labels.csv", label_map=ZOO / "label_map.csv", progress=None
    )
    result = ensemble.run(
        ZOO / "members", ZOO / "images", label_map=ZOO / "label_map.csv", weights=weights,
        out="out", progress=None,
    )  # fmt: skip
    assert weights.evidence["verdict"] == "gain"
    assert weights.joint is not None
    said = says(scenes_of(result.ids), weights.joint.spreads["three/size"])
    ones = [np.ones((len(result.ids), count)) for count in (3, 2, 3)]
    place = {"kind": 0, "turn": 1, "orientation": 1, "size": 2}
    scores = weights.joint.rho * np.array(weights.joint.dependence)[None]
    for name, exponent in weights.families.items():
        lifted = said[name]
        if name != "joint":
            tasks = [*ones]
            tasks[place[name.removeprefix("three/").removesuffix("_net")]] = said[name]
            lifted = product(*tasks)
        scores = scores + exponent * np.log(np.maximum(lifted, np.exp(-14)))
    expected = softmax(scores)
    assert np.abs(result.probs - expected).max() < 1e-5
    assert list(result.labels) == [str(place) for place in expected.argmax(1)]


def ended(out: str, **more: Any) -> ensemble.Submission:
    """A run of the families of single tasks, and of the one with three heads."""
    members = [str(path) for path in ZOO.glob("members/*.onnx") if "joint" not in path.name]
    return ensemble.run(
        more.pop("members", members), ZOO / "images", label_map=ZOO / "label_map.csv",
        tasks={"size": {"spread": 2.5}}, tta="hflip", store=f"store-{out}", out=out, progress=None,
        **more,
    )  # fmt: skip


def test_a_lossless_exit_keeps_every_joint_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    full, early = ended("full"), ended("early", early_exit="lossless")
    assert early.labels == full.labels
    assert early.evaluations is not None
    assert early.evaluations.mean() < 0.75 * 40


def test_a_certified_exit_keeps_as_many_labels_as_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    more = {"members": ZOO / "members", "early_exit": "5%", "calibration": 70}
    full, early = ended("full", members=ZOO / "members"), ended("early", **more)
    differ = sum(a != b for a, b in zip(full.labels, early.labels, strict=True))
    assert differ <= 0.05 * len(full.labels)
    assert early.evaluations is not None
    assert early.evaluations.mean() < 0.75 * 50
