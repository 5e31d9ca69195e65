"""The proof of an export: the same images go through torch and ONNX Runtime, and agree."""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ensemble.errors import MemberError
from ensemble.export.exporters import EXPORTERS, INPUT, Exporter, Order, to_graph
from ensemble.export.nets import forward, in_order
from ensemble.members.card import Card
from ensemble.members.independence import check_independent
from ensemble.members.onnx_checks import check_opsets
from ensemble.members.operators import check_not_random
from ensemble.records import Size
from ensemble.runtime.session import run_once

BATCHES: Final = (1, 2, 5)
TOLERANCE: Final = 1e-4
"""How far the outputs may differ, for outputs up to 1; beyond that, relative to the largest."""


_AS_NEAR: Final = 2.0
"""How many times as far from float64 as torch's float32 a graph may be: both round by chance."""

_BY_VALUES: Final = "data-dependent"
"""What the first exporter calls nets that go by the values of their images."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A graph that agrees with the net, the file of its weights where they lie beside it.

    `difference` is the largest of any output, and `notes` say why the first exporter was not used.
    """

    model: onnx.ModelProto
    data: Path | None
    exporter: Exporter
    difference: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """An export under way: the net, its card, a folder; every complaint names the checkpoint."""

    checkpoint: Path
    card: Card
    net: nn.Module
    staging: Path

    def check_net(self) -> None:
        """Run the net itself at every batch.

        Raises:
            MemberError: it fails, or gives other heads than the card's, NaN or infinity.
        """
        for batch in BATCHES:
            self.torch_outputs(self.images(batch, self.card.preprocess.size))

    def proven(self, name: str) -> Proven:
        """Return the graph of the first of torch's exporters whose graph agrees with the net.

        `name` is what the member's file will be called.

        Raises:
            MemberError: no exporter takes the net, or gives a graph that agrees; says why the
                first did not. Or a prediction depends on the rest of its batch.
        """
        refused: list[MemberError] = []
        for exporter in EXPORTERS:
            try:
                model, data = self.graph(exporter, name)
                difference = self.verify(model.SerializeToString())
            except MemberError as error:
                refused.append(error)
                if _BY_VALUES in str(error):
                    break  # a trace would follow the values of its own images, and could agree
                continue
            self.check_neighbours(model)
            notes = tuple(f"exported by TorchScript, since {error}" for error in refused)
            return Proven(model, data, exporter, difference, notes)
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
            outputs = forward(self.net, images, [head.name for head in self.card.heads])
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
        check_not_random(model, self.checkpoint)
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
        return max(
            self.differs(model, sign * self.images(batch, size))
            for size in sizes
            for batch in BATCHES
            for sign in (1, -1)
        )

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

    def differs(self, model: bytes, images: Tensor) -> float:
        batch, size = len(images), Size(*images.shape[2:])
        expected = self.torch_outputs(images)
        try:
            found = run_once(model, {INPUT: images.numpy()}, self.staging)
        except MemberError as error:
            raise self.bad(f"its export fails at batch {batch}, {size}: {error}") from error
        largest = 0.0
        for place, (head, output) in enumerate(zip(self.card.heads, expected, strict=True)):
            values = cast(NDArray[np.float32], output.numpy())
            answer = found[head.output]
            same = answer.shape == values.shape
            difference = float(np.abs(answer - values).max()) if same else float("inf")
            bound = TOLERANCE * max(1.0, float(np.abs(values).max()))
            if not difference <= bound and not (
                same and self.is_rounding(images, place, values, answer)
            ):
                raise self.bad(
                    f"torch and ONNX Runtime differ by {difference:.3g} on head {head.name!r} "
                    f"at batch {batch}, {size}; at most {bound:.1g} was expected. Look in the "
                    f"net for what depends on its input's values or shape, or on chance"
                )
            largest = max(largest, difference)
        return largest

    def is_rounding(
        self,
        images: Tensor,
        place: int,
        values: NDArray[np.float32],
        answer: NDArray[np.float32],
    ) -> bool:
        """Tell whether a graph is as near to the net in float64 as torch's own float32 is.

        Then what the two differ by is what float32 rounds, as of nets with huge activations; a
        graph of another net is far from it. A net that does not run in float64 tells nothing, and
        one that gives something else each time, by chance, neither.
        """
        try:
            with torch.inference_mode():
                found = copy.deepcopy(self.net).double()(images.double())
                again = self.net(images)
            heads = [head.name for head in self.card.heads]
            exact = in_order(found, heads)[place].double().numpy()
            same = bool(np.array_equal(in_order(again, heads)[place].numpy(), values))
        except Exception:  # a net of the user's own may raise anything
            return False
        own, its = np.abs(values - exact).max(), np.abs(answer - exact).max()
        return same and bool(its <= _AS_NEAR * own)

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
