"""What `run.py` races: a run, its floor, and the usual way. Each in a process of its own."""

import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
LITE = ROOT / "models_zoo" / "imagenet_lite" / "work"
FASHION = ROOT / "models_zoo" / "fashion"
CORES = len(os.sched_getaffinity(0))
BLOCKS = {"imagenet_lite": 64, "fashion": 1024}
"""So many images are tensors at once in the floor: memory holds no more of the large ones."""

SIZES = (1, 2, 4, 8, 16, 32)

Labels = dict[str, int]


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the wall, and of all processors, child processes that have ended among them."""

    seconds: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.seconds + other.seconds, self.cpu + other.cpu)


def now() -> Spent:
    """Return what this process has spent so far."""
    user, system, child_user, child_system, _ = os.times()
    return Spent(time.perf_counter(), user + system + child_user + child_system)


def since(begun: Spent) -> Spent:
    """Return what was spent since then."""
    ended = now()
    return Spent(ended.seconds - begun.seconds, ended.cpu - begun.cpu)


@dataclass(frozen=True, slots=True)
class Race:
    """Members over images under views: "imagenet_lite" or "fashion", and a preset of `--tta`.

    With `every` all members of the fashion zoo, those that `make zoo` has made too.
    """

    zoo: str
    tta: str
    images: list[Path]
    every: bool = False

    @property
    def members(self) -> list[Path]:
        """Three nets with ImageNet weights, or a fold of each family of the fashion zoo."""
        if self.zoo == "imagenet_lite":
            return sorted((LITE / "members").glob("*.onnx"))
        if self.every:
            return sorted([*FASHION.glob("*.onnx"), *FASHION.glob("work/members/*.onnx")])
        return [FASHION / f"{family}-f0.onnx" for family in ("resnet", "vgg")]


def ours(race: Race) -> tuple[Spent, Labels]:
    """Time `ensemble.run`, from files to submission.csv, with an empty store."""
    from ensemble import run

    with tempfile.TemporaryDirectory() as folder:
        begun = now()
        result = run(
            race.members, race.images, tta=race.tta, out=f"{folder}/out", store=f"{folder}/store"
        )
        spent = since(begun)
    place = {name: number for number, name in enumerate(result.classes)}
    return spent, {i: place[n] for i, n in zip(result.ids, result.labels, strict=True)}


# ---- the floor


def floor(race: Race, best: dict[str, tuple[int, int]]) -> tuple[Spent, Labels]:
    """Time plain sessions on preloaded tensors, plus one decode and one resize a geometry.

    `best` has for each member the images of a batch and how many batches run at once, as
    `tune_floor` found them. The tensors are float32 NCHW, normalised; each view is a forward.
    """
    from ensemble.members.member import open_member

    opened = [open_member(path) for path in race.members]
    sessions = {m.path.stem: _session(m.path, best[m.path.stem][1]) for m in opened}
    spent, labels = Spent(), {}
    size = BLOCKS[race.zoo]
    for start in range(0, len(race.images), size):
        images = race.images[start : start + size]
        decoding, pixels = _decoded(images, [m.card.preprocess.geometry for m in opened])
        spent += decoding
        total = np.zeros(())
        for member, block in zip(opened, pixels, strict=True):
            batch, lanes = best[member.path.stem]
            for view in _views(_normalised(block, member.card.preprocess), race.tta):
                took, logits = _scored(sessions[member.path.stem], view, batch, lanes)
                spent += took
                powers = np.exp(logits - logits.max(1, keepdims=True))
                total = total + powers / powers.sum(1, keepdims=True)
        labels |= {p.stem: int(row.argmax()) for p, row in zip(images, total, strict=True)}
    return spent, labels


def tune_floor(race: Race) -> dict[str, tuple[int, int]]:
    """Return each member's quickest batch size, and whether lanes or threads are quicker."""
    from ensemble.members.member import open_member

    best = {}
    for member in map(open_member, race.members):
        pre = member.card.preprocess
        size = BLOCKS[race.zoo]
        _, (block,) = _decoded(race.images[:size], [pre.geometry])
        pixels = _normalised(np.resize(block, (size, *block.shape[1:])), pre)
        times = {}
        for lanes in dict.fromkeys((CORES, 1)):
            session = _session(member.path, lanes)
            for batch in SIZES:
                times[batch, lanes] = min(
                    _scored(session, pixels, batch, lanes)[0].seconds for _ in range(3)
                )
        best[member.path.stem] = min(times, key=lambda each: times[each])
    return best


def _session(path: Path, lanes: int):  # noqa: ANN202 - onnxruntime is imported in its process only
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = CORES // lanes
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _decoded(images: Sequence[Path], geometries: Sequence) -> tuple[Spent, list[np.ndarray]]:
    """Decode once and resize once a geometry; return what it cost and each geometry's pixels."""
    from ensemble.images.decode import decode
    from ensemble.images.resize import resize
    from ensemble.records import DecodePolicy

    def load(path: Path) -> dict:
        image = decode(path.read_bytes(), DecodePolicy()).image
        return {geometry: resize(image, geometry) for geometry in dict.fromkeys(geometries)}

    begun = now()
    with ThreadPoolExecutor(CORES) as pool:
        rows = list(pool.map(load, images))
    spent = since(begun)
    return spent, [np.stack([row[geometry] for row in rows]) for geometry in geometries]


def _normalised(pixels: np.ndarray, pre) -> np.ndarray:  # noqa: ANN001
    scaled = (pixels.transpose(0, 3, 1, 2).astype(np.float32)) / np.float32(255)
    mean, std = (np.array(v, np.float32).reshape(1, -1, 1, 1) for v in (pre.mean, pre.std))
    return np.ascontiguousarray((scaled - mean) / std)


def _views(pixels: np.ndarray, tta: str) -> Iterator[np.ndarray]:
    import torch

    if tta == "none":
        yield pixels
        return
    for transform in _transforms(tta):
        yield transform.augment_image(torch.from_numpy(pixels)).contiguous().numpy()


def _scored(session, pixels: np.ndarray, batch: int, lanes: int) -> tuple[Spent, np.ndarray]:  # noqa: ANN001
    name = session.get_inputs()[0].name
    batches = [pixels[start : start + batch] for start in range(0, len(pixels), batch)]
    with ThreadPoolExecutor(lanes) as pool:
        begun = now()
        outputs = list(pool.map(lambda each: session.run(None, {name: each})[0], batches))
        spent = since(begun)
    return spent, np.concatenate(outputs).astype(np.float64)


# ---- the usual way


def usual(race: Race, batch: int = 32, workers: int = 0) -> tuple[Spent, Labels]:
    """Time PyTorch eager, one pass a member: a DataLoader, timm's transform, ttach's wrapper."""
    import torch
    from torch.utils.data import DataLoader

    for name in ("timm.data", "torchvision.transforms", "ttach", "safetensors.torch"):
        importlib.import_module(name)
    torch.set_num_threads(CORES)
    begun = now()
    total: torch.Tensor | float = 0.0
    for member in race.members:
        net, transform, mode = _net(race.zoo, member.stem)
        model = torch.nn.Sequential(net, torch.nn.Softmax(1)).eval()
        if race.tta != "none":
            import ttach

            model = ttach.ClassificationTTAWrapper(model, _transforms(race.tta))
        folder = _Folder(race.images, transform, mode)
        loader = DataLoader(folder, batch_size=batch, num_workers=workers)
        with torch.inference_mode():
            total = total + torch.cat([model(pixels) for pixels in loader])
    spent = since(begun)
    return spent, {p.stem: int(row.argmax()) for p, row in zip(race.images, total, strict=True)}


def _net(zoo: str, name: str) -> tuple:
    """Return a member's net in torch, its transform, and the mode of its images."""
    if zoo == "imagenet_lite":
        import timm
        from safetensors.torch import load_file
        from timm.data import create_transform, resolve_model_data_config

        net = timm.create_model(f"tf_efficientnet_{name}")
        net.load_state_dict(load_file(LITE / f"{name}.safetensors"))
        return net, create_transform(**resolve_model_data_config(net)), "RGB"
    sys.path.insert(0, str(FASHION))
    from data import MEAN, STD
    from families import FAMILIES, load_net
    from torchvision import transforms

    family, _, fold = name.rpartition("-f")
    size = FAMILIES[family].size
    resize = transforms.Resize((size, size), transforms.InterpolationMode.BICUBIC)
    steps = [resize, transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    return load_net(family, int(fold)), transforms.Compose(steps), "L"


def _transforms(tta: str):  # noqa: ANN202 - ttach is imported in its process only
    import ttach

    return getattr(ttach.aliases, f"{tta}_transform")()


class _Folder:
    """A data set as people write it: open, convert, transform."""

    def __init__(self, paths: list[Path], transform: Callable, mode: str) -> None:
        self._paths, self._transform, self._mode = paths, transform, mode

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> object:
        return self._transform(Image.open(self._paths[row]).convert(self._mode))
