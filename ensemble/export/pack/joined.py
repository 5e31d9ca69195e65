"""The composed graphs of members side by side in one graph, under names of their own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper

from ensemble.errors import MemberError
from ensemble.export.pack.inputs import input_names
from ensemble.export.pack.light import Weight, lightened, opset_of
from ensemble.members.member import Member
from ensemble.members.onnx_checks import nodes_below
from ensemble.records import Geometry, Merge
from ensemble.runtime.graph import INPUT, compose_graph, probs_name
from ensemble.views.pixels import jitters_of
from ensemble.views.policy import Shaped

Given = Mapping[tuple[str, str], str]
"""The tensor that holds what a member gives, float32 (N, C), by its name and that of its head."""


@dataclass(frozen=True, slots=True)
class PackedMember:
    """A member with its views, of which `at_once` go through a forward; 0 for all."""

    member: Member
    shaped: tuple[Shaped, ...]
    at_once: int

    @property
    def name(self) -> str:
        """What the member is called."""
        return self.member.card.name

    @property
    def geometry(self) -> Geometry:
        """How images become its input: a part for each jitter of its views."""
        jitters = jitters_of([each.view for each in self.shaped])
        return replace(self.member.card.preprocess.geometry, jitters=jitters)


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Members in one graph: its nodes, initializers, and the weights that these have no values of.

    `inputs` are the names of the pixels by geometry, and `given` is what each member says of each
    head. `opsets` has the version of each domain.
    """

    nodes: tuple[NodeProto, ...]
    initializers: tuple[TensorProto, ...]
    weights: Mapping[str, Weight]
    inputs: Mapping[Geometry, str]
    given: Given
    opsets: Mapping[str, int]
    ir_version: int


def joined(members: Sequence[PackedMember], merge: Merge) -> Joined:
    """Compose each member's graph and join them, all at the latest opset of any.

    Args:
        members: The members, in the order in which they are computed.
        merge: How a member's views become one.

    Raises:
        MemberError: a member cannot be brought to that opset, two need other versions of the same
            operators, or batches of any size are not what a member takes.
    """
    opset = max(opset_of(each.member.model) for each in members)
    inputs = input_names([each.geometry for each in members])
    nodes: list[NodeProto] = []
    initializers: list[TensorProto] = []
    weights: dict[str, Weight] = {}
    given: dict[tuple[str, str], str] = {}
    opsets: dict[str, tuple[int, Member]] = {}
    version = 0
    for each in members:
        _check_any_batch(each.member)
        prefix = f"{each.name}/"
        light, own = lightened(each.member, opset)
        _unite(opsets, light.opset_import, each.member)
        composed = compose_graph(light, each.member.card, each.shaped, merge, at_once=each.at_once)
        rename(composed.graph, prefix)
        nodes.append(helper.make_node("Identity", [inputs[each.geometry]], [prefix + INPUT]))
        nodes.extend(composed.graph.node)
        initializers.extend(composed.graph.initializer)
        weights |= {prefix + name: weight for name, weight in own.items()}
        heads = each.member.card.heads
        given |= {(each.name, head.name): prefix + probs_name(head) for head in heads}
        version = max(version, composed.ir_version)
    domains = {domain: number for domain, (number, _) in opsets.items()}
    return Joined(tuple(nodes), tuple(initializers), weights, inputs, given, domains, version)


def rename(graph: GraphProto, prefix: str) -> None:
    """Begin every name in a graph, and in the graphs inside it, with a prefix."""
    for node in graph.node:
        node.name = prefix + node.name if node.name else ""
        for names in (node.input, node.output):
            names[:] = [prefix + name if name else "" for name in names]
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                rename(inner, prefix)
    for named in (graph.initializer, graph.input, graph.output, graph.value_info):
        for each in named:
            each.name = prefix + each.name


def reaching(nodes: Sequence[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    """Return the nodes that outputs depend on, in their order."""
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    waiting, seen = list(outputs), set[int]()
    while waiting:
        place = makers.get(waiting.pop())
        if place is None or place in seen:
            continue
        seen.add(place)
        for node in nodes_below([nodes[place]]):
            waiting.extend(node.input)
            waiting.extend(_inner_outputs(node))
    return [node for place, node in enumerate(nodes) if place in seen]


def names_read(nodes: Iterable[NodeProto]) -> set[str]:
    """Return the names of all tensors that nodes, and the graphs inside them, read."""
    return {name for node in nodes_below(nodes) for name in (*node.input, *_inner_outputs(node))}


def _inner_outputs(node: NodeProto) -> list[str]:
    """Return what graphs inside a node give, which may be a tensor of the graph around them."""
    graphs = [graph for a in node.attribute for graph in (a.g, *a.graphs)]
    return [output.name for graph in graphs for output in graph.output]


def _unite(
    opsets: dict[str, tuple[int, Member]], here: Iterable[onnx.OperatorSetIdProto], member: Member
) -> None:
    """Add the domains of a member, whose versions must be those of the others."""
    for each in here:
        domain = "" if each.domain == "ai.onnx" else each.domain
        number, first = opsets.setdefault(domain, (each.version, member))
        if number != each.version:
            raise MemberError(
                f"{member.path}: operators of {domain} in version {each.version}, and "
                f"{first.path} has version {number}: one file has one. Export both alike"
            )


def _check_any_batch(member: Member) -> None:
    """Refuse a member that cannot share a batch of any size with others."""
    if member.card.batch == "alone":
        raise MemberError(
            f"{member.path}: its predictions depend on the rest of the batch, as its card says, "
            f"and a packed file takes batches of any size. Leave it out, or mend the net"
        )
    if member.batch is not None:
        raise MemberError(
            f"{member.path}: its batch axis is fixed at {member.batch}, and a packed file takes "
            f"batches of any size. Export it again with a dynamic one (dynamic_shapes, or "
            f"`ensemble export`)"
        )
