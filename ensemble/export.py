"""Exporting: a checkpoint becomes a member, an .onnx file with its card inside.

An export is done when the outputs agree: the same images go through torch and ONNX Runtime, at
batches of 1, 2 and 5, and nothing is written unless they match.
"""

import difflib
import importlib
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensemble import card as cards
from ensemble.card import ACTIVATIONS, Card, Head
from ensemble.checkpoints import Checkpoint, load_checkpoint
from ensemble.errors import MemberError, UsageError
from ensemble.files import publish, publish_bytes, sha256_file
from ensemble.members import check_opsets, embed_card
from ensemble.paths import family_and_fold
from ensemble.session import run_once
from ensemble.spec import Activation, Fit, Interpolation, Preprocess, Size, Task

INPUT: Final = "image"
OPSET: Final = 18
MAX_IR: Final = 10
BATCHES: Final = (1, 2, 5)
TOLERANCE: Final = 1e-4
"""How far the outputs may differ, for outputs up to 1; beyond that, relative to the largest."""

_ONE_FILE: Final = 1_900_000_000
_FITS: Final[Mapping[str, Fit]] = {"center": "crop", "squash": "squash", "border": "pad"}
_NET_ERRORS: Final = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
)


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """One output of the net: its name, and the names of its columns in order."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreprocessFlags:
    """What the user says of the preprocessing; None takes timm's data config, or the default."""

    height: int | None = None
    width: int | None = None
    fit: Fit | None = None
    crop_pct: float | None = None
    interpolation: Interpolation | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What the user says of the checkpoints.

    `arch` is a timm name, or "pkg.mod:factory" for a function that takes `num_classes` and
    returns a torch module. `num_classes` is the number of classes of all heads together. A net
    with several heads returns a dict by head name, or a tuple in the order of `heads`.
    `family` and `fold` are None where the file's name tells them; see `family_and_fold`.
    """

    arch: str
    heads: tuple[HeadSpec, ...]
    task: Task = "classification"
    activation: Activation | None = None
    preprocess: PreprocessFlags = PreprocessFlags()
    in_chans: int = 3
    dynamic_size: bool = False
    ema: bool = False
    trust_pickle: frozenset[Path] = frozenset()
    family: str | None = None
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A member that was written: the prefix its weights had, and how far the outputs differ."""

    path: Path
    card: Card
    stripped: str
    max_abs_diff: float


def export_member(checkpoint: Path, spec: ExportSpec, folder: Path) -> Exported:
    """Export a checkpoint to `folder/<family>-f<fold>.onnx`, proven against torch.

    Raises:
        UsageError: the architecture, the heads or the flags are wrong or incomplete.
        MemberError: the checkpoint is not usable, does not fit the net, or the net cannot be
            exported so that its outputs agree. No file is written.
        StoreError: the disk refused the member.
    """
    _check_heads(spec)
    family, fold = _identity(checkpoint, spec)
    net, preprocess, source = _build(spec)
    trusted = checkpoint.resolve() in {path.resolve() for path in spec.trust_pickle}
    loaded = load_checkpoint(checkpoint, ema=spec.ema, trust_pickle=trusted)
    stripped = _load_weights(net, loaded, checkpoint, spec)
    source |= {"checkpoint": checkpoint.name, "checkpoint_sha256": loaded.sha256}
    source |= {"stripped_prefix": stripped} if stripped else {}
    source |= {"trusted_pickle": "yes"} if trusted else {}
    source |= {"weights": "ema"} if spec.ema else {}
    name = family if fold is None else f"{family}-f{fold}"
    card = Card(name, family, fold, spec.arch, preprocess, _heads(spec), spec.dynamic_size, source)
    cards.from_json(cards.to_json(card), str(checkpoint))
    net = net.float().eval()
    with tempfile.TemporaryDirectory(prefix="ensemble-") as staging:
        job = _Job(checkpoint, card, net, Path(staging))
        card, difference = job.write(folder / f"{name}.onnx")
    return Exported(folder / f"{name}.onnx", card, stripped, difference)


def _identity(path: Path, spec: ExportSpec) -> tuple[str, int | None]:
    told = spec.family is not None and spec.fold is not None
    family, fold = ("", None) if told else family_and_fold(path)
    family = spec.family or family or spec.arch.rpartition(":")[2]
    fold = fold if spec.fold is None else spec.fold
    if family.startswith(".") or not family.isprintable() or re.search(r'[/\\:*?"<>|]', family):
        raise UsageError(f"family {family!r}: it names a file, so give --family without / or \\")
    return family, fold


def _check_heads(spec: ExportSpec) -> None:
    names = [head.name for head in spec.heads]
    if not names or len(set(names)) < len(names) or INPUT in names or "" in names:
        raise UsageError(f"heads {names}: expected different names, none of them {INPUT!r}")
    usual = ACTIVATIONS[spec.task]
    if spec.activation not in (None, "none", usual):
        raise UsageError(f"activation {spec.activation} does not suit {spec.task}: give {usual}")
    if spec.in_chans not in (1, 3):
        raise UsageError(f"in_chans {spec.in_chans}: expected 3 (RGB) or 1 (grey)")


def _heads(spec: ExportSpec) -> tuple[Head, ...]:
    activation = spec.activation or ACTIVATIONS[spec.task]
    return tuple(Head(h.name, h.name, spec.task, activation, h.classes) for h in spec.heads)


def _build(spec: ExportSpec) -> tuple[nn.Module, Preprocess, dict[str, str | float]]:
    source: dict[str, str | float] = {"torch": str(torch.__version__)}
    if ":" in spec.arch and "/" not in spec.arch:
        defaults = PreprocessFlags(fit="crop", crop_pct=1.0, interpolation="bilinear")
        preprocess = _preprocess(defaults, spec)
        return _from_factory(spec), preprocess, source
    net, defaults, version = _from_timm(spec)
    return net, _preprocess(defaults, spec), source | {"timm": version}


def _preprocess(defaults: PreprocessFlags, spec: ExportSpec) -> Preprocess:
    given = {name: value for name, value in asdict(spec.preprocess).items() if value is not None}
    flags = replace(defaults, **given)
    missing = [f.name for f in fields(flags) if getattr(flags, f.name) is None]
    if missing:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise UsageError(f"{spec.arch} with {spec.in_chans} channels: nothing tells {names}")
    mean, std = cast(tuple[float, ...], flags.mean), cast(tuple[float, ...], flags.std)
    if {len(mean), len(std)} != {spec.in_chans}:
        raise UsageError(
            f"mean has {len(mean)} values and std {len(std)}; expected {spec.in_chans}, one a "
            f"channel: mend --mean, --std or --in-chans"
        )
    return Preprocess(
        size=Size(cast(int, flags.height), cast(int, flags.width)),
        fit=cast(Fit, flags.fit),
        crop_pct=float(cast(float, flags.crop_pct)),
        interpolation=cast(Interpolation, flags.interpolation),
        mean=tuple(map(float, mean)),
        std=tuple(map(float, std)),
    )


def _from_timm(spec: ExportSpec) -> tuple[nn.Module, PreprocessFlags, str]:
    """Build a timm net; its preprocessing (no mean or std for one channel); timm's version."""
    import timm  # noqa: PLC0415 - a factory needs no timm
    import timm.data  # noqa: PLC0415

    if not timm.is_model(spec.arch):
        near = difflib.get_close_matches(spec.arch, timm.list_models(), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "See timm.list_models()"
        raise UsageError(f"arch {spec.arch!r}: no timm net, nor pkg.mod:factory. {hint}")
    try:
        known = timm.get_pretrained_cfg(spec.arch)
        sizes = {}
        if known is not None and known.fixed_input_size:
            _, height, width = known.input_size
            asked = (spec.preprocess.height or height, spec.preprocess.width or width)
            sizes = {} if asked == (height, width) else {"img_size": asked}
        net: nn.Module = timm.create_model(
            spec.arch,
            pretrained=False,
            num_classes=_columns(spec),
            in_chans=spec.in_chans,
            **sizes,
        )
    except _NET_ERRORS as error:
        raise UsageError(f"arch {spec.arch!r}: timm cannot build it: {_brief(error)}") from error
    config = timm.data.resolve_model_data_config(net)
    colours = spec.in_chans == len(config["mean"])
    defaults = PreprocessFlags(
        height=config["input_size"][1],
        width=config["input_size"][2],
        fit=_FITS.get(config["crop_mode"]),
        crop_pct=config["crop_pct"],
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]) if colours else None,
        std=tuple(config["std"]) if colours else None,
    )
    return net, defaults, timm.__version__


def _from_factory(spec: ExportSpec) -> nn.Module:
    module_name, _, name = spec.arch.partition(":")
    with _importable(Path.cwd()):
        try:
            module = importlib.import_module(module_name)
        except (ImportError, SyntaxError, ValueError, TypeError) as error:
            raise UsageError(f"arch {spec.arch!r}: cannot import {module_name}: {error}") from error
        factory = getattr(module, name, None)
        if not callable(factory):
            near = difflib.get_close_matches(name, dir(module), n=1)
            hint = f". Did you mean {near[0]}?" if near else ""
            raise UsageError(f"arch {spec.arch!r}: {module_name} has no function {name!r}{hint}")
        try:
            net = factory(num_classes=_columns(spec))
        except TypeError as error:
            raise UsageError(f"arch {spec.arch!r}: it must take num_classes: {error}") from error
    if not isinstance(net, nn.Module):
        kind = type(net).__name__
        raise UsageError(f"arch {spec.arch!r}: expected a torch.nn.Module from it, got {kind}")
    return net


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _columns(spec: ExportSpec) -> int:
    return sum(len(head.classes) for head in spec.heads)


def _load_weights(net: nn.Module, loaded: Checkpoint, path: Path, spec: ExportSpec) -> str:
    """Load every weight, or none; return the prefix that was stripped for it."""
    wanted = cast(Mapping[str, Tensor], net.state_dict())
    state, stripped = _named_as(loaded, wanted)
    _check_classes(state, wanted, path, _columns(spec))
    both = [key for key in wanted if key in state]
    faults = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "of another shape": [
            f"{key} {tuple(state[key].shape)} for {tuple(wanted[key].shape)}"
            for key in both
            if state[key].shape != wanted[key].shape
        ],
    }
    told = [f"{len(keys)} {fault}: {_few(keys)}" for fault, keys in faults.items() if keys]
    if told:
        raise MemberError(
            f"{path}: its weights do not fit {spec.arch}: {'; '.join(told)}. Give the --arch "
            f"that it was trained with, or rename the weights"
        )
    net.load_state_dict(dict(state), strict=True)
    return stripped


def _named_as(loaded: Checkpoint, wanted: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], str]:
    """Give back the part of the stripped prefix that the net itself carries, if any."""
    for start in range(len(loaded.stripped)):
        own = loaded.stripped[start:]
        state = {own + key: value for key, value in loaded.state.items()}
        if state.keys() == wanted.keys():
            return state, loaded.stripped[:start]
    return loaded.state, loaded.stripped


def _check_classes(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path, columns: int
) -> None:
    shapes = [(state[k].shape, w.shape) for k, w in wanted.items() if k in state]
    differing = [(s, w) for s, w in shapes if s != w]
    counts = {s[0] for s, w in differing if s[1:] == w[1:] and w[:1] == (columns,)}
    if differing and len(counts) == 1 and all(w[:1] == (columns,) for _, w in differing):
        raise MemberError(
            f"{path}: the checkpoint has {counts.pop()} classes, --classes gives {columns}. Give "
            f"the classes that it was trained with, in their order"
        )


class _Heads(nn.Module):
    """A net whose outputs come as a tuple, in the order of the heads."""

    def __init__(self, net: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.net = net
        self.names = tuple(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return _in_order(self.net(image), self.names)


def _in_order(found: object, names: Sequence[str]) -> tuple[Tensor, ...]:
    if isinstance(found, Mapping):
        if set(found) != set(names):
            raise MemberError(f"the net returns {_few(found)}; the heads are {_few(names)}")
        return tuple(found[name] for name in names)
    outputs = (found,) if isinstance(found, Tensor) else found
    if not isinstance(outputs, tuple | list) or len(outputs) != len(names):
        count = len(outputs) if isinstance(outputs, tuple | list) else type(found).__name__
        raise MemberError(f"the net returns {count} output(s); the heads are {_few(names)}")
    return tuple(outputs)


@dataclass(frozen=True, slots=True)
class _Job:
    """One export under way; every complaint names the checkpoint."""

    checkpoint: Path
    card: Card
    net: nn.Module
    staging: Path

    def write(self, target: Path) -> tuple[Card, float]:
        """Export, verify, embed the card and publish."""
        for batch in BATCHES:
            self.torch_outputs(self.images(batch, self.card.preprocess.size))
        model, data = self.model(self.program(), target.name)
        self.check_graph(model)
        difference = self.verify(model.SerializeToString())
        source = {**self.card.source, "max_abs_diff": difference}
        if data is not None:
            source[f"sha256:{data.name}"] = sha256_file(data)
            publish(target.with_name(data.name), lambda path: _copy(data, path))
        card = replace(self.card, source=source)
        embed_card(model, card)
        publish_bytes(target, model.SerializeToString())
        return card, difference

    def images(self, batch: int, size: Size) -> Tensor:
        shape = (batch, len(self.card.preprocess.mean), size.height, size.width)
        return torch.randn(shape, generator=torch.Generator().manual_seed(batch))

    def torch_outputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the net itself, and check that each head is finite and (N, C)."""
        shape = "x".join(map(str, images.shape))
        try:
            with torch.inference_mode():
                found = self.net(images)
        except _NET_ERRORS as error:
            raise self.bad(f"the net itself fails on images of {shape}: {_brief(error)}") from error
        try:
            outputs = _in_order(found, [head.name for head in self.card.heads])
        except MemberError as error:
            raise self.bad(str(error)) from error
        for head, output in zip(self.card.heads, outputs, strict=True):
            expected = (len(images), len(head.classes))
            if tuple(output.shape) != expected:
                raise self.bad(f"head {head.name!r} is {tuple(output.shape)}; expected {expected}")
            if not bool(torch.isfinite(output).all()):
                raise self.bad(f"head {head.name!r} gives NaN or infinity on images of {shape}")
        return outputs

    def program(self) -> torch.onnx.ONNXProgram:
        names = [head.name for head in self.card.heads]
        axes = {0: "batch"} | ({2: "height", 3: "width"} if self.card.dynamic_size else {})
        dynamic = {axis: torch.export.Dim(name) for axis, name in axes.items()}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module=r"(torch|onnxscript|onnx_ir|copyreg)\b")
                program = torch.onnx.export(
                    _Heads(self.net, names).eval(),
                    (self.images(2, self.card.preprocess.size),),
                    input_names=[INPUT],
                    output_names=names,
                    opset_version=OPSET,
                    dynamo=True,
                    dynamic_shapes=(dynamic,),
                    external_data=False,
                    verbose=False,
                )
        except _NET_ERRORS as error:
            raise self.bad(
                f"torch cannot export the net: {_brief(error)}. Replace the operator that it "
                f"names" + (", or leave out --dynamic-size" if self.card.dynamic_size else "")
            ) from error
        return cast(torch.onnx.ONNXProgram, program)

    def model(
        self, program: torch.onnx.ONNXProgram, name: str
    ) -> tuple[onnx.ModelProto, Path | None]:
        """Return the graph, without traces of this machine; above 2 GB its weights lie beside."""
        data = None
        if sum(tensor.nbytes for tensor in self.net.state_dict().values()) > _ONE_FILE:
            program.save(self.staging / name, external_data=True)
            model = onnx.load(self.staging / name, load_external_data=False)
            data = self.staging / f"{name}.data"
        else:
            model = program.model_proto
        model.ir_version = min(model.ir_version, MAX_IR)
        _forget_origin(model.graph)
        return model, data

    def check_graph(self, model: onnx.ModelProto) -> None:
        """Check operators and names, and that the axes which must vary do vary."""
        check_opsets(model, self.checkpoint)
        inner = [name for node in model.graph.node for name in node.output]
        twice = [head.name for head in self.card.heads if inner.count(head.name) > 1]
        if twice:
            raise self.bad(f"head {twice[0]!r} has the name of an inner tensor: rename the head")
        axes = (0, 2, 3) if self.card.dynamic_size else (0,)
        image = model.graph.input[0].type.tensor_type.shape.dim
        fixed = [axis for axis in axes if image[axis].HasField("dim_value")]
        outputs = [output.type.tensor_type.shape.dim for output in model.graph.output]
        if fixed or any(dims[0].HasField("dim_value") for dims in outputs if dims):
            what = "batch" if fixed in ([], [0]) else "size"
            raise self.bad(f"the net fixes its {what} while it is traced: make it take any {what}")

    def verify(self, model: bytes) -> float:
        """Return the largest difference between torch and ONNX Runtime, which is small enough."""
        size = self.card.preprocess.size
        sizes = [size, Size(size.height + 32, size.width + 64)][: 1 + self.card.dynamic_size]
        differences = [self.differs(model, batch, size) for size in sizes for batch in BATCHES]
        return max(differences)

    def differs(self, model: bytes, batch: int, size: Size) -> float:
        images = self.images(batch, size)
        expected = self.torch_outputs(images)
        try:
            found = run_once(model, {INPUT: images.numpy()}, self.staging)
        except MemberError as error:
            raise self.bad(f"its export fails at batch {batch}, {size}: {error}") from error
        largest = 0.0
        for head, output in zip(self.card.heads, expected, strict=True):
            values = cast(NDArray[np.float32], output.numpy())
            answer = found[head.output]
            same = answer.shape == values.shape
            difference = float(np.abs(answer - values).max()) if same else float("inf")
            bound = TOLERANCE * max(1.0, float(np.abs(values).max()))
            if not difference <= bound:
                raise self.bad(
                    f"torch and ONNX Runtime differ by {difference:.3g} on head {head.name!r} "
                    f"at batch {batch}, {size}; at most {bound:.1g} was expected. Look in the "
                    f"net for what depends on its input's values or shape, or on chance"
                )
            largest = max(largest, difference)
        return largest

    def bad(self, message: str) -> MemberError:
        return MemberError(f"{self.checkpoint}: {message}")


def _forget_origin(graph: onnx.GraphProto) -> None:
    """Drop the stack traces that the exporter leaves, with the paths of the machine."""
    parts = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for part in (graph, *(item for items in parts for item in items)):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    _forget_origin(inner)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _few(keys: object) -> str:
    names = [str(key) for key in cast(list[object], keys)]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _brief(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
