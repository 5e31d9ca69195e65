"""Exporting: a checkpoint becomes a member, an .onnx file with its card inside.

An export is done when the outputs agree: the same images go through torch and ONNX Runtime, at
batches of 1, 2 and 5, and nothing is written unless they match.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensemble.errors import MemberError, UsageError, few
from ensemble.export.checkpoints import load_checkpoint
from ensemble.export.exporters import EXPORTERS, INPUT, Exporter, Order, to_graph
from ensemble.export.names import family_and_fold
from ensemble.export.nets import build, in_order
from ensemble.export.spec import ExportSpec
from ensemble.export.torch_errors import brief
from ensemble.export.weights import load_weights
from ensemble.files.atomic import publish, publish_bytes, sha256_file
from ensemble.files.paths import is_file_name
from ensemble.members import card as cards
from ensemble.members.card import ACTIVATIONS, Card, Head
from ensemble.members.member import embed_card
from ensemble.members.onnx_checks import check_opsets
from ensemble.records import Size
from ensemble.runtime.session import run_once

BATCHES: Final = (1, 2, 5)
TOLERANCE: Final = 1e-4
"""How far the outputs may differ, for outputs up to 1; beyond that, relative to the largest."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A member that was written: the prefix its weights had, and how far the outputs differ.

    `notes` is what the user should know of how its weights were found and the net exported.
    """

    path: Path
    card: Card
    stripped: str
    max_abs_diff: float
    notes: tuple[str, ...] = ()


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
    name = _name(family, fold)
    built = build(spec)
    trusted = checkpoint.resolve() in {path.resolve() for path in spec.trust_pickle}
    loaded = load_checkpoint(
        checkpoint, ema=spec.ema, trust_pickle=trusted, key=spec.key, drop=spec.drop
    )
    placed = load_weights(built.net, loaded, checkpoint, spec)
    source = dict(built.source) | _origin(checkpoint, spec, loaded.sha256)
    source |= {"stripped_prefix": placed.stripped} if placed.stripped else {}
    source |= {"trusted_pickle": "yes"} if trusted else {}
    heads, size = _heads(spec), spec.dynamic_size
    card = Card(name, family, fold, spec.arch, built.preprocess, heads, size, source)
    cards.from_json(cards.to_json(card), str(checkpoint))
    with tempfile.TemporaryDirectory(prefix="ensemble-") as staging:
        job = _Job(checkpoint, card, built.net.float().eval(), Path(staging))
        card, difference, told = job.write(folder / f"{name}.onnx")
    notes = (*built.notes, *loaded.notes, *placed.notes, *told)
    return Exported(folder / f"{name}.onnx", card, placed.stripped, difference, notes)


def _origin(checkpoint: Path, spec: ExportSpec, sha256: str) -> dict[str, str | float]:
    """Say on the card which weights of which file these are."""
    source: dict[str, str | float] = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": sha256,
    }
    source |= {"weights": "ema"} if spec.ema else {}
    source |= {"key": spec.key} if spec.key else {}
    return source | ({"dropped": " ".join(spec.drop)} if spec.drop else {})


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
    if spec.activation not in (None, "none", usual):
        raise UsageError(f"activation {spec.activation} does not suit {spec.task}: give {usual}")
    if spec.in_chans not in (1, 3):
        raise UsageError(f"in_chans {spec.in_chans}: expected 3 (RGB) or 1 (grey)")


def _heads(spec: ExportSpec) -> tuple[Head, ...]:
    activation = spec.activation or ACTIVATIONS[spec.task]
    return tuple(Head(h.name, h.name, spec.task, activation, h.classes) for h in spec.heads)


@dataclass(frozen=True, slots=True)
class _Proven:
    """A graph that agrees with the net, the file of its weights where they lie beside it."""

    model: onnx.ModelProto
    data: Path | None
    exporter: Exporter
    difference: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """One export under way; every complaint names the checkpoint."""

    checkpoint: Path
    card: Card
    net: nn.Module
    staging: Path

    def write(self, target: Path) -> tuple[Card, float, tuple[str, ...]]:
        """Export, verify, embed the card and publish."""
        for batch in BATCHES:
            self.torch_outputs(self.images(batch, self.card.preprocess.size))
        proven = self.proven(target.name)
        source = {**self.card.source, "max_abs_diff": proven.difference}
        source |= {"exporter": proven.exporter} if proven.exporter != EXPORTERS[0] else {}
        if proven.data is not None:
            source[f"sha256:{proven.data.name}"] = sha256_file(proven.data)
            publish(target.with_name(proven.data.name), partial(shutil.copyfile, proven.data))
        card = replace(self.card, source=source)
        embed_card(proven.model, card)
        publish_bytes(target, proven.model.SerializeToString())
        return card, proven.difference, proven.notes

    def proven(self, name: str) -> _Proven:
        """Return the graph of the first of torch's exporters whose graph agrees with the net."""
        refused: list[MemberError] = []
        for exporter in EXPORTERS:
            try:
                model, data = self.graph(exporter, name)
                difference = self.verify(model.SerializeToString())
            except MemberError as error:
                refused.append(error)
                continue
            notes = tuple(f"exported by TorchScript, since {error}" for error in refused)
            return _Proven(model, data, exporter, difference, notes)
        raise refused[0]

    def graph(self, exporter: Exporter, name: str) -> tuple[onnx.ModelProto, Path | None]:
        heads = tuple(head.name for head in self.card.heads)
        images = self.images(2, self.card.preprocess.size)
        order = Order(self.net, heads, images, self.card.dynamic_size)
        try:
            model, data = to_graph(order, exporter, self.staging / name)
        except MemberError as error:
            raise self.bad(
                f"torch cannot export the net: {error}. Rewrite what it names"
                + (", or leave out --dynamic-size" if self.card.dynamic_size else "")
            ) from error
        self.check_graph(model)
        return model, data

    def images(self, batch: int, size: Size) -> Tensor:
        shape = (batch, len(self.card.preprocess.mean), size.height, size.width)
        return torch.randn(shape, generator=torch.Generator().manual_seed(batch))

    def torch_outputs(self, images: Tensor) -> tuple[Tensor, ...]:
        """Run the net itself, and check that each head is finite and (N, C)."""
        shape = "x".join(map(str, images.shape))
        try:
            with torch.inference_mode():
                found = self.net(images)
        except Exception as error:  # a net of the user's own may raise anything
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

    def check_graph(self, model: onnx.ModelProto) -> None:
        """Check operators and names, and that the axes which must vary do vary."""
        check_opsets(model, self.checkpoint)
        inner = Counter(name for node in model.graph.node for name in node.output)
        twice = [head.name for head in self.card.heads if inner[head.name] > 1]
        if twice:
            raise self.bad(f"head {twice[0]!r} has the name of an inner tensor: rename the head")
        if what := _fixed(model, (0, 2, 3) if self.card.dynamic_size else (0,)):
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


def _fixed(model: onnx.ModelProto, axes: Sequence[int]) -> str:
    """Return what is fixed of what must vary, "batch" or "size"; "" where nothing is."""
    image = model.graph.input[0].type.tensor_type.shape.dim
    fixed = [axis for axis in axes if image[axis].HasField("dim_value")]
    outputs = [output.type.tensor_type.shape.dim for output in model.graph.output]
    if fixed and fixed != [0]:
        return "size"
    return "batch" if fixed or any(d[0].HasField("dim_value") for d in outputs if d) else ""
