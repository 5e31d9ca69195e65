"""What a graph that finds boxes tells of them by itself: how many, and where their scores stand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from onnx import ModelProto

from ensemble.errors import MemberError
from ensemble.members.card import BoxOutput
from ensemble.records import BoxScale

SCORES: Final = "scores"
"""What the output of the scores is called, unless the shapes of the outputs tell another."""


def box_output_of(model: ModelProto, output: str, scale: BoxScale, path: Path) -> BoxOutput:
    """Return how a graph gives its boxes.

    Args:
        model: the graph.
        output: its output of the boxes, (N, K, 4).
        scale: what the boxes are told in.
        path: its file, for messages.

    Raises:
        MemberError: no such output, or K is not fixed, or nothing tells which are the scores.
    """
    shapes = {
        o.name: [dim.dim_value for dim in o.type.tensor_type.shape.dim] for o in model.graph.output
    }
    if output not in shapes:
        raise MemberError(
            f"{path}: no output {output!r}, the boxes; the file has: {', '.join(shapes)}. Say by "
            f"--output-name which it is"
        )
    scores = _scores_of(shapes, output, path)
    told = {count for shape in (shapes[output], shapes[scores]) for count in shape[1:2]}
    counts = {count for count in told if count > 0}
    if len(counts) != 1:
        raise MemberError(
            f"{path}: outputs {output!r} {shapes[output]} and {scores!r} {shapes[scores]} do "
            f"not tell a fixed number of boxes (0 or -1 is any). Pad to so many, with the score 0"
        )
    return BoxOutput(scores, counts.pop(), scale)


def _scores_of(shapes: Mapping[str, Sequence[int]], boxes: str, path: Path) -> str:
    """Return the output of the scores: the one that is called so, or the only one that may be."""
    flat = [name for name, shape in shapes.items() if name != boxes and len(shape) == 2]
    scores = [SCORES] if SCORES in flat else flat
    if len(scores) != 1:
        raise MemberError(
            f"{path}: expected one output (N, K) beside {boxes!r}, the scores; found "
            f"{', '.join(flat) or 'none'}. Call it {SCORES!r} in the graph"
        )
    return scores[0]
