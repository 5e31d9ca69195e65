"""The one graph of an ensemble: pixels in, probabilities and a label out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper

from ensemble.export.pack.blend import void_rows
from ensemble.export.pack.inputs import shape_of
from ensemble.export.pack.joined import Joined, PackedMember, joined, names_read, reaching
from ensemble.export.pack.light import Weight
from ensemble.export.pack.pools import double
from ensemble.export.pack.vote import Voted, VoteRule, voted
from ensemble.members.card import Head
from ensemble.records import TASKS, Geometry
from ensemble.runtime.merges import Builder

PROBABILITIES: Final = "probabilities"
VALUES: Final = "values"
LABEL: Final = "label"
LABELS: Final = "labels"


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The graph of an ensemble, whose large initializers have no values yet: these are `weights`.

    `inputs` are the names of the pixels by geometry. `members` are those that take part: who weighs
    nothing does not.
    """

    model: ModelProto
    weights: Mapping[str, Weight]
    inputs: Mapping[Geometry, str]
    members: tuple[PackedMember, ...]


def packed_graph(members: Sequence[PackedMember], rule: VoteRule) -> Packed:
    """Compose the graph of an ensemble; the same for any order of its members.

    Its inputs are uint8 (N, H, W, C), one a geometry of the members; its outputs are
    `PROBABILITIES`, float32 (N, C), and `LABEL`, int64 (N,); of a multilabel head `LABELS`, bool
    (N, C), and of a regression `VALUES`, float32 (N, C), alone. Rows are NaN, and the label -1,
    where a member gave NaN or infinity; of several labels none is given then.

    Args:
        members: The members.
        rule: How they vote; it was checked.

    Raises:
        MemberError: members that do not go into one graph.
    """
    ordered = sorted(members, key=lambda each: (each.member.card.family, each.name))
    together, build = joined(ordered, rule.merge), Builder(prefix="vote")
    found = voted(build, [each.member.card for each in ordered], together.given, rule)
    outputs = _outputs(build, found, rule.head)
    nodes = reaching([*together.nodes, *build.nodes], [output.name for output in outputs])
    read = names_read(nodes)
    inputs = {geometry: name for geometry, name in together.inputs.items() if name in read}
    graph = helper.make_graph(
        nodes,
        "ensemble",
        [_pixels(name, geometry) for geometry, name in inputs.items()],
        outputs,
        [t for t in (*together.initializers, *build.constants) if t.name in read],
    )
    weights = {name: weight for name, weight in together.weights.items() if name in read}
    taking = tuple(
        each
        for each in ordered
        if any(together.given[each.name, head.name] in read for head in each.member.card.heads)
    )
    return Packed(_model(graph, together), weights, inputs, taking)


def _outputs(build: Builder, found: Voted, head: Head) -> list[ValueInfoProto]:
    """Name what goes out, with rows of NaN where there is no prediction."""
    several, columns = TASKS[head.task].several, len(head.classes)
    name = PROBABILITIES if TASKS[head.task].bounded else VALUES
    void = void_rows(build, found.heard)
    numbers = build.op("Where", void, double(build, np.nan), found.probs)
    build.name(build.op("Cast", numbers, to=TensorProto.FLOAT), name)
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", columns])]
    if found.labels is None:
        return outputs
    if several:
        build.name(build.op("And", found.labels, build.op("Not", void)), LABELS)
        return [*outputs, helper.make_tensor_value_info(LABELS, TensorProto.BOOL, ["N", columns])]
    column = build.op("Unsqueeze", found.labels, build.integers(1))
    known = build.op("Where", void, build.integers(-1), column)
    build.name(build.op("Squeeze", known, build.integers(1)), LABEL)
    return [*outputs, helper.make_tensor_value_info(LABEL, TensorProto.INT64, ["N"])]


def _pixels(name: str, geometry: Geometry) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", *shape_of(geometry)])


def _model(graph: GraphProto, together: Joined) -> ModelProto:
    opsets = [helper.make_opsetid(domain, together.opsets[domain])
              for domain in sorted(together.opsets)]  # fmt: skip
    model = helper.make_model(graph, opset_imports=opsets, producer_name="ensemble")
    model.ir_version = together.ir_version
    return model
