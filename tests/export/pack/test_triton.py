"""A model repository: what Triton is told is what the graph has."""

import re
from pathlib import Path

import onnx
import pytest
from packs import packed, toys_of

from ensemble.errors import UsageError
from ensemble.export.pack.triton import check_repository, config_of, write_repository

CONFIG = """\
name: "model"
backend: "onnxruntime"
max_batch_size: 0
input [
  {
    name: "images"
    data_type: TYPE_UINT8
    dims: [ -1, 8, 8, 3 ]
  }
]
output [
  {
    name: "probabilities"
    data_type: TYPE_FP32
    dims: [ -1, 3 ]
  },
  {
    name: "label"
    data_type: TYPE_INT64
    dims: [ -1 ]
  }
]
"""


def test_the_config_has_the_names_types_and_dims_of_the_graph(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path))
    assert config_of("model", onnx.load(found.path)) == CONFIG


def test_the_file_is_version_one_of_its_model(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path))
    model = onnx.load(found.path)
    data = tmp_path / "model-0123456789abcdef.data"
    data.write_bytes(b"weights")
    folder = write_repository(tmp_path / "repo", "model", model, [data, found.path])
    assert folder == tmp_path / "repo" / "model"
    assert (folder / "1" / "model.onnx").read_bytes() == found.path.read_bytes()
    assert (folder / "1" / data.name).read_bytes() == b"weights"
    assert (folder / "config.pbtxt").read_text() == CONFIG


def test_data_of_a_model_that_is_replaced_goes(tmp_path: Path) -> None:
    found = packed(tmp_path, toys_of(tmp_path))
    model = onnx.load(found.path)
    old = tmp_path / "repo" / "model" / "1" / "model-0123456789abcdef.data"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"weights")
    write_repository(tmp_path / "repo", "model", model, [found.path])
    assert [path.name for path in old.parent.iterdir()] == ["model.onnx"]


def test_a_model_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(UsageError, match=re.escape("it has a model model already; say --force")):
        check_repository(tmp_path, "model", force=False)
    check_repository(tmp_path, "model", force=True)
