"""What a packed file says of itself: how pixels are made, what comes out, who voted and how."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from onnx import TensorProto, ValueInfoProto

from ensemble import label_map
from ensemble.export.pack.graph import Packed
from ensemble.export.pack.inputs import input_record
from ensemble.export.pack.joined import PackedMember
from ensemble.export.pack.light import opset_of
from ensemble.export.pack.vote import VoteRule
from ensemble.views.spelling import spell
from ensemble.voting.weights import Weights, to_json

SCHEMA: Final = 1

_NAMED: Final[Mapping[int, str]] = {
    TensorProto.FLOAT: "float32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
}

_UNUSED: Final = ("ranks", "evidence", "families", "schema")
"""What of weights nobody needs who has the graph."""


def record_of(packed: Packed, rule: VoteRule) -> dict[str, object]:
    """Return the record of a packed ensemble, as JSON-ready values."""
    graph = packed.model.graph
    inputs = []
    for geometry, name in packed.inputs.items():
        taking = [each.name for each in packed.members if each.geometry == geometry]
        inputs.append(input_record(name, geometry, taking))
    return {
        "schema": SCHEMA,
        "made_by": f"ensemble {version('ensemble-vote')}",
        "opset": opset_of(packed.model),
        "task": rule.head.task,
        "head": rule.head.name,
        "classes": list(rule.head.classes),
        "inputs": inputs,
        "outputs": [output_record(output) for output in graph.output],
        "members": [_member(packed, each) for each in packed.members],
        "merge": rule.merge,
        "voting": rule.fusion.voting,
        "weights": _weights(rule.fusion.weights),
        "constraints": list(rule.fusion.constraints),
        "label_map": None if rule.label_map is None else label_map.to_record(rule.label_map),
        "data": None,
    }


def output_record(output: ValueInfoProto) -> dict[str, object]:
    """Return the name, type and shape of an output."""
    kind = output.type.tensor_type
    shape = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    return {"name": output.name, "type": _NAMED[kind.elem_type], "shape": shape}


def _member(packed: Packed, each: PackedMember) -> Mapping[str, object]:
    who = each.member.identity
    return {
        "name": who.name,
        "family": who.family,
        "fold": who.fold,
        "sha256": who.sha256,
        "input": packed.inputs[each.geometry],
        "views": [spell(shaped.view) for shaped in each.shaped],
    }


def _weights(weights: Weights | None) -> Mapping[str, object] | None:
    """Return what the vote weighs by, families in the order of their names; None: all alike."""
    if weights is None:
        return None
    told = {name: value for name, value in to_json(weights).items() if name not in _UNUSED}
    return {**told, "weights": dict(sorted(weights.families.items()))}
