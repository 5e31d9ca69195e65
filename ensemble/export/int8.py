"""Quantising: a float32 graph to int8, calibrated on real pixels. No judgement here.

Static QDQ: int8 weights with a scale a channel, uint8 activations whose ranges are the least and
greatest values seen (MinMax), the simplest calibration and by far the quickest. The first
convolution and the last layer stay float32, as is usual since Zhou et al. 2016 (DoReFa-Net): they
are a small part of the work, and most of what int8 costs in accuracy.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization as ortq
from onnxruntime.quantization.shape_inference import quant_pre_process

from ensemble.arrays import Pixels
from ensemble.errors import MemberError
from ensemble.files.atomic import disk_error
from ensemble.members.member import Member, with_external_data
from ensemble.members.onnx_checks import TOOL_ERRORS
from ensemble.members.signature import input_of
from ensemble.records import Preprocess
from ensemble.runtime import graph
from ensemble.runtime.devices import RUNTIME_ERRORS
from ensemble.runtime.session import OnnxScorer

BATCH: Final = 8
"""Images a calibration forward, where the member's batch axis is dynamic."""

QUANTIZABLE: Final = ("Conv", "Gemm", "MatMul")


def to_int8(member: Member, images: Pixels) -> onnx.ModelProto:
    """Return a member's graph in int8: the same input and outputs, without a card.

    Args:
        member: A float32 member.
        images: The calibration images, uint8 (N, H, W, C), as the member's geometry makes them.

    Raises:
        MemberError: the member is not float32, has nothing to quantise, or is refused by ONNX
            Runtime's quantiser.
        StoreError: the disk refused the files that the quantiser works on.
    """
    check_quantizable(member)
    name = input_of(member.model).name
    rows = len(images) - len(images) % (member.batch or 1)
    if not rows:
        raise MemberError(
            f"{member.path}: its batch axis is fixed at {member.batch}, and only {len(images)} "
            f"images calibrate. Give more images, or export it again with a dynamic batch"
        )
    feeds = _Feeds(name, normalised(member.card.preprocess, images[:rows]), member.batch or BATCH)
    model = _quantized(member, feeds)
    del model.metadata_props[:]
    used = {node.domain for node in model.graph.node}
    imports = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]  # the optimiser lists every domain that it knows
    model.opset_import.extend(imports)
    return model


def _quantized(member: Member, feeds: "_Feeds") -> onnx.ModelProto:
    """Let ONNX Runtime quantise a member, in files that are gone afterwards."""
    full = with_external_data(member)
    with tempfile.TemporaryDirectory(prefix="ensemble-") as staging, _quietly():
        ready, target = Path(staging) / "ready.onnx", Path(staging) / "int8.onnx"
        try:
            onnx.save(full, ready)
            quant_pre_process(ready, ready, skip_symbolic_shape=True)
            layers = _named_layers(ready)
            ortq.quantize_static(
                ready,
                target,
                feeds,
                quant_format=ortq.QuantFormat.QDQ,
                per_channel=True,
                activation_type=ortq.QuantType.QUInt8,
                weight_type=ortq.QuantType.QInt8,
                calibrate_method=ortq.CalibrationMethod.MinMax,
                nodes_to_exclude=float_layers(layers),
            )
            return onnx.load(target)
        except (*TOOL_ERRORS, *RUNTIME_ERRORS) as e:
            raise MemberError(
                f"{member.path}: ONNX Runtime cannot quantise it: {str(e)[:200] or repr(e)}. Run "
                f"the float32 member instead"
            ) from e
        except OSError as e:
            raise disk_error("write", Path(staging), e) from e


def check_quantizable(member: Member) -> None:
    """Check that a member is float32 and has operators that int8 makes quicker.

    Raises:
        MemberError: it is not, or has none.
    """
    where = member.path
    if "quantized" in member.card.source or any(
        node.op_type in ("QuantizeLinear", "DynamicQuantizeLinear")
        for node in member.model.graph.node
    ):
        raise MemberError(f"{where}: it is quantised already; give the float32 member")
    if input_of(member.model).type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise MemberError(f"{where}: its input is FLOAT16; give the member exported in float32")
    kinds = {node.op_type for node in member.model.graph.node}
    kinds |= {node.op_type for function in member.model.functions for node in function.node}
    if not kinds & set(QUANTIZABLE):
        raise MemberError(
            f"{where}: nothing to quantise: it has none of {', '.join(QUANTIZABLE)}. Run the "
            f"float32 member"
        )


def float_layers(layers: Sequence[onnx.NodeProto]) -> list[str]:
    """Name what stays float32 of the layers, in order: the first convolution and the last layer.

    Where no other would be left, none stays.
    """
    kept = {node.name for node in layers[-1:]}
    kept |= {node.name for node in layers[:1] if node.op_type == "Conv"}
    return sorted(kept) if len(kept) < len(layers) else []


def normalised(preprocess: Preprocess, images: Pixels) -> NDArray[np.float32]:
    """Return what the composed graph feeds a member, float32 (N, C, H, W).

    Computed by the nodes of the composed graph itself, of uint8 (N, H, W, C).
    """
    model = graph.compose_normalisation(preprocess)
    scorer = OnnxScorer(model.SerializeToString(), {"input": graph.NORMALISED}, device="cpu")
    parts = [scorer.score(images[at : at + BATCH])["input"] for at in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def _named_layers(path: Path) -> list[onnx.NodeProto]:
    """Name every node of a model anew, as some have no name; return those that int8 can take."""
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = f"node{number}"
    onnx.save(model, path)
    return [node for node in model.graph.node if node.op_type in QUANTIZABLE]


class _Feeds(ortq.CalibrationDataReader):
    """Hands the calibrator one batch after another; all have the same size where it is fixed."""

    def __init__(self, name: str, inputs: NDArray[np.float32], batch: int) -> None:
        self._batches = iter(
            [{name: inputs[at : at + batch]} for at in range(0, len(inputs), batch)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the quantiser's advice off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(onnx|onnxruntime)\b")
            yield
    finally:
        logging.disable(before)
