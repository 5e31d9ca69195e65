"""Exporting: a checkpoint becomes a member, an .onnx file with its card inside.

An export is done when the outputs agree: the same images go through torch and ONNX Runtime, at
batches of 1, 2 and 5, and nothing is written unless they match.
"""

import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensemble.errors import MemberError, UsageError, few
from ensemble.export.checkpoints import load_checkpoint
from ensemble.export.nets import NET_ERRORS, brief, build, in_order, load_weights
from ensemble.export.spec import ExportSpec, family_and_fold
from ensemble.files.atomic import publish, publish_bytes, sha256_file
from ensemble.files.paths import is_file_name
from ensemble.members import card as cards
from ensemble.members.card import ACTIVATIONS, Card, Head
from ensemble.members.independence import check_independent
from ensemble.members.member import embed_card
from ensemble.members.onnx_checks import check_opsets
from ensemble.members.operators import activation_of, check_last_step, check_not_random
from ensemble.records import MAX_CHANNELS, TASKS, Size
from ensemble.runtime.session import run_once

INPUT: Final = "image"
OPSET: Final = 18
MAX_IR: Final = 10
BATCHES: Final = (1, 2, 5)
TOLERANCE: Final = 1e-4
"""How far the outputs may differ, for outputs up to 1; beyond that, relative to the largest."""

_ONE_FILE: Final = 1_900_000_000


@dataclass(frozen=True, slots=True)
class Exported:
    """A member that was written: the prefix its weights had, and how far the outputs differ."""

    path: Path
    card: Card
    stripped: str
    max_abs_diff: float


def export_members(
    checkpoints: Sequence[Path], spec: ExportSpec, folder: Path, *, force: bool = False
) -> Iterator[Exported]:
    """Export checkpoints to `folder/<family>-f<fold>.onnx`, each proven against torch.

    A member that is there is replaced with `force` only. Yields each as it is written.

    Raises:
        UsageError: as `export_member`, two checkpoints would become one file, or a member is
            there already; then nothing is written.
        MemberError: as `export_member`.
        StoreError: as `export_member`.
    """
    taken: dict[str, Path] = {}
    for path in checkpoints:
        name = _name(*_identity(path, spec))
        if name in taken:
            raise UsageError(
                f"{taken[name]} and {path} would both become {name}.onnx: give each its fold in "
                f"its file name (such as {name}-f0.pt), or export them apart with --family and "
                f"--fold"
            )
        taken[name] = path
    there = [str(path) for name in taken if (path := folder / f"{name}.onnx").exists()]
    if there and not force:
        raise UsageError(
            f"{few(there)}: there already; say --force to replace, or name another --out"
        )
    return (export_member(path, spec, folder) for path in checkpoints)


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
    net, preprocess, source = build(spec)
    trusted = checkpoint.resolve() in {path.resolve() for path in spec.trust_pickle}
    loaded = load_checkpoint(checkpoint, ema=spec.ema, trust_pickle=trusted)
    stripped = load_weights(net, loaded.state, loaded.stripped, checkpoint, spec)
    source |= {"checkpoint": checkpoint.name, "checkpoint_sha256": loaded.sha256}
    source |= {"stripped_prefix": stripped} if stripped else {}
    source |= {"trusted_pickle": "yes"} if trusted else {}
    source |= {"weights": "ema"} if spec.ema else {}
    name = _name(family, fold)
    card = Card(name, family, fold, spec.arch, preprocess, _heads(spec), spec.dynamic_size, source,
                spec.batch)  # fmt: skip
    cards.from_json(cards.to_json(card), str(checkpoint))
    net = net.float().eval()
    with tempfile.TemporaryDirectory(prefix="ensemble-") as staging:
        job = _Job(checkpoint, card, net, Path(staging), told=spec.activation is not None)
        card, difference = job.write(folder / f"{name}.onnx")
    return Exported(folder / f"{name}.onnx", card, stripped, difference)


def _identity(path: Path, spec: ExportSpec) -> tuple[str, int | None]:
    told = spec.family is not None and spec.fold is not None
    family, fold = ("", None) if told else family_and_fold(path)
    family = spec.family or family or spec.arch.rpartition(":")[2]
    fold = fold if spec.fold is None else spec.fold
    if not is_file_name(family):
        raise UsageError(f"family {family!r}: it names a file, so give --family without / or \\")
    return family, fold


def _name(family: str, fold: int | None) -> str:
    return family if fold is None else f"{family}-f{fold}"


def _check_heads(spec: ExportSpec) -> None:
    names = [head.name for head in spec.heads]
    if not names or len(set(names)) < len(names) or INPUT in names or "" in names:
        raise UsageError(f"heads {names}: expected different names, none of them {INPUT!r}")
    usual = ACTIVATIONS[spec.task]
    if spec.activation not in (None, *TASKS[spec.task].activations):
        raise UsageError(f"activation {spec.activation} does not suit {spec.task}: give {usual}")
    if not 1 <= spec.in_chans <= MAX_CHANNELS:
        raise UsageError(
            f"in_chans {spec.in_chans}: expected 3 (RGB), 1 (grey), or 2 to {MAX_CHANNELS} bands"
        )


def _heads(spec: ExportSpec) -> tuple[Head, ...]:
    activation = spec.activation or ACTIVATIONS[spec.task]
    return tuple(Head(h.name, h.name, spec.task, activation, h.classes) for h in spec.heads)


class _Heads(nn.Module):
    """A net whose outputs come as a tuple, in the order of the heads."""

    def __init__(self, net: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.net = net
        self.names = tuple(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return in_order(self.net(image), self.names)


@dataclass(frozen=True, slots=True)
class _Job:
    """One export under way; every complaint names the checkpoint.

    `told` is whether the user said the activation; else the graph's last operator tells.
    """

    checkpoint: Path
    card: Card
    net: nn.Module
    staging: Path
    told: bool

    def write(self, target: Path) -> tuple[Card, float]:
        """Export, verify, embed the card and publish."""
        for batch in BATCHES:
            self.torch_outputs(self.images(batch, self.card.preprocess.size))
        model, data = self.model(self.program(), target.name)
        self.check_graph(model)
        heads = self.card.heads if self.told else _with_activations(self.card.heads, model)
        difference = self.verify(model.SerializeToString())
        self.check_neighbours(model)
        source = {**self.card.source, "max_abs_diff": difference}
        if data is not None:
            source[f"sha256:{data.name}"] = sha256_file(data)
            publish(target.with_name(data.name), lambda path: _copy(data, path))
        card = replace(self.card, source=source, heads=heads)
        check_last_step(model, card, self.checkpoint)
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
        except NET_ERRORS as error:
            raise self.bad(f"the net itself fails on images of {shape}: {brief(error)}") from error
        try:
            outputs = in_order(found, [head.name for head in self.card.heads])
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
        except NET_ERRORS as error:
            raise self.bad(
                f"torch cannot export the net: {brief(error)}. Replace the operator that it "
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
        check_not_random(model, self.checkpoint)
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

    def check_neighbours(self, model: onnx.ModelProto) -> None:
        """Check that an image's outputs do not depend on its batch, unless its card says so."""
        if self.card.batch == "alone":
            return
        count = BATCHES[-1]
        contrasts = np.linspace(0.2, 2, count, dtype=np.float32).reshape(-1, 1, 1, 1)
        images = self.images(count, self.card.preprocess.size).numpy() * contrasts
        graph = model.SerializeToString()
        together, apart = (
            run_once(graph, {INPUT: part}, self.staging) for part in (images, images[:1])
        )
        check_independent(model, self.card, self.checkpoint, together, apart)

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


def _with_activations(heads: tuple[Head, ...], model: onnx.ModelProto) -> tuple[Head, ...]:
    """Let each head's activation be what is left to do after the graph's last operator."""
    return tuple(
        replace(head, activation=activation_of(model, head.output, head.task)) for head in heads
    )


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
