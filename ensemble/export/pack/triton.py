"""A model repository of Triton around a packed file: config.pbtxt, and the file as version 1."""

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from onnx import ModelProto, TensorProto, ValueInfoProto

from ensemble.errors import UsageError
from ensemble.export.pack.files import remove_data
from ensemble.files.atomic import check_local, publish, publish_bytes

_TYPES: Final[Mapping[int, str]] = {
    TensorProto.UINT8: "TYPE_UINT8",
    TensorProto.FLOAT: "TYPE_FP32",
    TensorProto.INT64: "TYPE_INT64",
    TensorProto.BOOL: "TYPE_BOOL",
}


def check_repository(folder: Path, name: str, *, force: bool) -> None:
    """Check that a model can be put into a repository, before there is work to lose.

    Raises:
        UsageError: it is there already.
    """
    check_local(folder, "--triton")
    if (folder / name).exists() and not force:
        raise UsageError(
            f"--triton {folder}: it has a model {name} already; say --force to replace it, or "
            f"another --out, whose name is the model's"
        )


def write_repository(folder: Path, name: str, model: ModelProto, files: Sequence[Path]) -> Path:
    """Write `folder/name`: config.pbtxt, and in `1` the packed files, the graph as model.onnx.

    Args:
        folder: The repository.
        name: The model.
        model: The graph, which tells inputs and outputs.
        files: What is copied, the graph last; external data keeps its name.

    Returns:
        The folder of the model.

    Raises:
        StoreError: the disk refused.
    """
    target = folder / name
    *beside, graph = files
    for file in beside:
        publish(target / "1" / file.name, partial(shutil.copyfile, file))
    publish(target / "1" / "model.onnx", partial(shutil.copyfile, graph))
    remove_data(target / "1", graph.stem, [target / "1" / file.name for file in beside])
    publish_bytes(target / "config.pbtxt", config_of(name, model).encode())
    return target


def config_of(name: str, model: ModelProto) -> str:
    """Return config.pbtxt, in protobuf's text format, for Triton's backend of ONNX Runtime.

    `max_batch_size` is 0: the dims are those of the graph, its batch axis among them, and batches
    are what clients send. Triton joins none.
    """
    lines = [f"name: {_quoted(name)}", 'backend: "onnxruntime"', "max_batch_size: 0"]
    for kind, values in (("input", model.graph.input), ("output", model.graph.output)):
        lines += [f"{kind} [", ",\n".join(map(_port, values)), "]"]
    return "\n".join([*lines, ""])


def _port(value: ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dims = ", ".join(str(axis.dim_value or -1) for axis in tensor.shape.dim)
    lines = [
        f"name: {_quoted(value.name)}",
        f"data_type: {_TYPES[tensor.elem_type]}",
        f"dims: [ {dims} ]",
    ]
    return "\n".join(["  {", *(f"    {line}" for line in lines), "  }"])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
