"""A graph tells how many boxes it gives and where their scores are, or what it lacks."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from onnx import ModelProto, TensorProto, helper

from ensemble.errors import MemberError
from ensemble.members.card import BoxOutput
from ensemble.members.detector import box_output_of

Shape = Sequence[int | str]


def graph(**outputs: Shape) -> ModelProto:
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()]  # fmt: skip
    return helper.make_model(helper.make_graph([], "finder", [], told))


def found(model: ModelProto, output: str = "boxes") -> BoxOutput:
    return box_output_of(model, output, "unit", Path("finder.onnx"))


def test_the_output_called_scores_has_them() -> None:
    model = graph(boxes=["N", 7, 4], ids=["N", 7], scores=["N", 7])
    assert found(model) == BoxOutput("scores", 7, "unit")


def test_the_one_flat_output_has_the_scores_whatever_it_is_called() -> None:
    model = graph(conf=["N", 9], dets=["N", "K", 4])
    assert found(model, "dets") == BoxOutput("conf", 9, "unit")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (graph(dets=["N", 7, 4]), "no output 'boxes', the boxes; the file has: dets"),
        (graph(boxes=["N", 7, 4]), "found none. Call it 'scores'"),
        (graph(boxes=["N", 7, 4], a=["N", 7], b=["N", 7]), "found a, b"),
        (graph(boxes=["N", "K", 4], scores=["N", "K"]), "do not tell a fixed number of boxes"),
        (graph(boxes=["N", 7, 4], scores=["N", 8]), "do not tell a fixed number of boxes"),
    ],
)
def test_what_a_graph_lacks_is_told(model: ModelProto, message: str) -> None:
    with pytest.raises(MemberError, match=message):
        found(model)
