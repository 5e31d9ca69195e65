"""A member's graph without its large weights, its functions written out, at the opset asked for.

The tools that convert a graph hold it in one piece, of 2 GB at most; weights are none of their
business, and are read when the packed file is written.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_model, uses_external_data
from onnx.inliner import inline_local_functions

from ensemble.errors import MemberError
from ensemble.members.layout import inputs_of
from ensemble.members.member import Member
from ensemble.members.onnx_checks import TOOL_ERRORS

SMALL: Final = 1024
"""Bytes up to which a tensor stays in the graph: axes and shapes, which converters read."""


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A large tensor as the member holds it, in its file or in one beside it in the folder."""

    tensor: TensorProto
    folder: Path

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self._place[2] if self._beside else len(self.raw())

    def raw(self) -> bytes:
        """Return its bytes as ONNX keeps them, little-endian. An OSError passes through."""
        if not self._beside:
            held = self.tensor
            if not held.HasField("raw_data"):
                held = numpy_helper.from_array(numpy_helper.to_array(held))
            return bytes(held.raw_data)
        path, offset, length = self._place
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    @property
    def _beside(self) -> bool:
        return bool(uses_external_data(self.tensor))

    @property
    def _place(self) -> tuple[Path, int, int]:
        """The file that its bytes are in, where they begin, and how many there are."""
        entries: dict[str, str] = {entry.key: entry.value for entry in self.tensor.external_data}
        path, offset = self.folder / entries["location"], int(entries.get("offset", "0"))
        length = entries.get("length")
        return path, offset, path.stat().st_size - offset if length is None else int(length)


def opset_of(model: ModelProto) -> int:
    """Return the opset of a graph's standard operators."""
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def lightened(member: Member, opset: int) -> tuple[ModelProto, dict[str, Weight]]:
    """Return a member's graph without its large weights, and these by their names.

    In the graph they are initializers that have a type and a shape, and no values.

    Args:
        member: The opened member; it stays as it is.
        opset: The opset of the standard operators, its own or a later one.

    Raises:
        MemberError: the graph cannot be brought to that opset.
    """
    light, weights = _apart(member)
    try:
        light = inline_local_functions(light) if light.functions else light
        if opset_of(light) != opset:
            light = onnx.version_converter.convert_version(light, opset)
    except (*TOOL_ERRORS, onnx.version_converter.ConvertError) as error:
        raise MemberError(
            f"{member.path}: one file has one opset, {opset} as another member needs, and this "
            f"member cannot be brought to it from {opset_of(member.model)}: {str(error)[:200]}. "
            f"Export it again at opset {opset}"
        ) from error
    _put_back(light, weights)
    return light, weights


def _apart(member: Member) -> tuple[ModelProto, dict[str, Weight]]:
    """Copy a model but for its large initializers, which become inputs."""
    model, whole = ModelProto(ir_version=member.model.ir_version), member.model.graph
    model.opset_import.extend(member.model.opset_import)
    model.functions.extend(member.model.functions)
    model.graph.name = whole.name or "member"
    model.graph.node.extend(whole.node)
    model.graph.input.extend(inputs_of(member.model))
    model.graph.output.extend(whole.output)
    weights = {}
    for tensor in whole.initializer:
        weight = Weight(tensor, member.folder)
        if weight.size <= SMALL:
            model.graph.initializer.append(tensor)
            continue
        weights[tensor.name] = weight
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        model.graph.input.append(info)
    load_external_data_for_model(model, str(member.folder))
    return model, weights


def _put_back(light: ModelProto, weights: dict[str, Weight]) -> None:
    """Make initializers without values of the inputs that stand for weights."""
    kept = [value for value in light.graph.input if value.name not in weights]
    del light.graph.input[:]
    light.graph.input.extend(kept)
    for name, weight in weights.items():
        light.graph.initializer.append(
            TensorProto(name=name, data_type=weight.tensor.data_type, dims=weight.tensor.dims)
        )
