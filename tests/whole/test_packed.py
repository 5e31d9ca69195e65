"""The zoos' ensembles as one file: with ONNX Runtime alone, in a browser, for Triton, over 2 GB."""

import json
import re
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from packs import noise, run_packed
from toys import save_member, toy_card

import ensemble
from ensemble.files.label_maps import read_label_map
from ensemble.images.decode import decode
from ensemble.images.resize import resize
from ensemble.pipeline.pack import PackedFile
from ensemble.records import DecodePolicy, Geometry

ROOT = Path(__file__).parents[2]
FASHION, GARMENTS = (ROOT / "models_zoo" / name for name in ("fashion", "garments"))
PAGE = (ROOT / "docs" / "pack.md").read_text("utf-8")
SCRIPT = next(b for b in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "onnxruntime" in b)
HTML = re.findall(r"```html\n(.*?)```", PAGE, re.DOTALL)[0]
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
"""
OTHERS = ("ensemble", "onnx", "pandas", "pyarrow", "scipy", "torch", "PIL", "sklearn")
BATCHES = (slice(0, 1), slice(1, 3), slice(0, 7))
"""Batches of 1, 2 and 7 images."""

Zoo = tuple[PackedFile, ensemble.Submission, Sequence[str]]
"""A packed ensemble, a run of it over the zoo's images, and its classes."""


@pytest.fixture(scope="module")
def fashion(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Ten members under hflip by tuned weights."""
    folder = tmp_path_factory.mktemp("fashion")
    members = sorted(FASHION.glob("*.onnx"))
    weights = ensemble.tune_weights(
        FASHION / "oof.parquet", FASHION / "train.csv", metric="accuracy", progress=None
    )
    assert len(members) == 10
    told = {"tta": "hflip", "weights": weights, "store": folder / "store", "progress": None}
    run = ensemble.run(members, FASHION / "images", out=folder / "run", **told)
    return ensemble.pack(members, folder / "model.onnx", **told), run, weights.classes


@pytest.fixture(scope="module")
def garments(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Five families that answer three tasks, one of them by values."""
    folder = tmp_path_factory.mktemp("garments")
    mapped = GARMENTS / "label_map.csv"
    told = {
        "label_map": mapped, "tasks": {"size": {"spread": 2.5}}, "store": folder / "store",
        "progress": None,
    }  # fmt: skip
    members = GARMENTS / "members"
    run = ensemble.run(members, GARMENTS / "images", out=folder / "run", **told)
    packed = ensemble.pack(members, folder / "model.onnx", triton=folder / "repository", **told)
    return packed, run, read_label_map(mapped).labels


def pixels_of(images: Sequence[Path], told: dict[str, object]) -> NDArray[np.uint8]:
    """The pixels that an input wants, by what the record says of it."""
    rule = told["geometry"]
    assert isinstance(rule, dict)
    size = ensemble.Size(**rule["size"])
    plain = {k: v for k, v in rule.items() if k in ("fit", "crop_pct", "interpolation", "channels")}
    geometry = Geometry(size=size, fill=tuple(rule["fill"]), **plain)
    decoded = [decode(path.read_bytes(), DecodePolicy()).image for path in images]
    return np.stack([resize(image, geometry) for image in decoded])


def by_script(
    python: Sequence[str], packed: PackedFile, images: Sequence[Path], folder: Path
) -> dict[str, NDArray[np.generic]]:
    """What the script of the page finds, in a process of its own, in a folder of its own."""
    folder.mkdir()
    for path in packed.files:
        shutil.copy(path, folder)
    told = json.loads(packed.path.with_suffix(".json").read_text())
    for each in told["inputs"]:
        np.save(folder / f"{each['name']}.npy", pixels_of(images, each))
    script = BLOCKED.format(names=OTHERS) + SCRIPT
    subprocess.run([*python, "-c", script], cwd=folder, check=True, capture_output=True)
    with np.load(folder / "found.npz") as found:
        return dict(found)


def check_batches(zoo: Zoo, images: Path, python: Sequence[str], folder: Path) -> None:
    packed, run, classes = zoo
    for number, at in enumerate(BATCHES):
        paths = [images / f"{name}.png" for name in run.ids[at]]
        found = by_script(python, packed, paths, folder / str(number))
        assert np.abs(found["probabilities"] - run.probs[at]).max() < 1e-6
        assert [classes[int(place)] for place in found["label"]] == list(run.labels[at])


def test_the_fashion_zoo_gives_the_vote_with_onnx_runtime_alone(
    fashion: Zoo, tmp_path: Path
) -> None:
    check_batches(fashion, FASHION / "images", [sys.executable, "-I"], tmp_path)


def test_the_garments_zoo_gives_the_vote_with_onnx_runtime_alone(
    garments: Zoo, tmp_path: Path
) -> None:
    check_batches(garments, GARMENTS / "images", [sys.executable, "-I"], tmp_path)


def environment(folder: Path, *packages: str) -> str:
    """Make an environment with these packages and what they need; return its Python."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


@pytest.mark.slow
def test_an_environment_of_onnx_runtime_and_numpy_is_enough(fashion: Zoo, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", "onnxruntime", "numpy")
    check_batches(fashion, FASHION / "images", [python, "-I"], tmp_path)


CONFIG = """
import json, sys
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

config = text_format.Parse(open(sys.argv[1]).read(), triton.ModelConfig())
ports = [(p.name, triton.DataType.Name(p.data_type), list(p.dims))
         for p in (*config.input, *config.output)]
print(json.dumps([config.name, config.backend, config.max_batch_size, ports]))
"""
KINDS = {TensorProto.UINT8: "TYPE_UINT8", TensorProto.FLOAT: "TYPE_FP32",
         TensorProto.INT64: "TYPE_INT64"}  # fmt: skip


@pytest.mark.slow
def test_tritons_own_protobuf_reads_the_config_of_the_graph(garments: Zoo, tmp_path: Path) -> None:
    folder = garments[0].triton
    assert folder is not None
    python = environment(tmp_path / "venv", "tritonclient[grpc]")
    command = [python, "-c", CONFIG, str(folder / "config.pbtxt")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    graph = onnx.load(folder / "1" / "model.onnx").graph
    expected = [
        [value.name, KINDS[value.type.tensor_type.elem_type],
         [axis.dim_value or -1 for axis in value.type.tensor_type.shape.dim]]
        for value in (*graph.input, *graph.output)
    ]  # fmt: skip
    assert json.loads(done.stdout) == [folder.name, "onnxruntime", 0, expected]


class Pages(SimpleHTTPRequestHandler):
    """Files of a folder, and what a page posts."""

    extensions_map: ClassVar[dict[str, str]] = {
        **SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }  # fmt: skip
    posted: ClassVar[list[str]] = []
    heard: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        self.posted.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()
        self.heard.set()

    def log_message(self, *_given: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    def handler(*given: object) -> Pages:
        return Pages(*given, directory=str(folder))  # type: ignore[arg-type]

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


TELL = """<script>
  const tell = (text) => fetch("/found", { method: "POST", body: text });
  addEventListener("error", (event) => tell("error: " + event.message));
  addEventListener("unhandledrejection", (event) => tell("error: " + event.reason));
  new MutationObserver(() => tell(document.getElementById("found").textContent)).observe(
    document.getElementById("found"), { childList: true });
</script>
"""


def chromium() -> str:
    """Return Debian's Chromium, which is installed where it is missing."""
    if shutil.which("chromium") is None:
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
        subprocess.run(install, check=True, capture_output=True)
    return str(shutil.which("chromium"))


@pytest.mark.slow
def test_a_browser_gives_the_vote_for_an_image(garments: Zoo, tmp_path: Path) -> None:
    packed, run, _ = garments
    browser, site = chromium(), tmp_path / "site"
    site.mkdir()
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "onnxruntime-web"]
    subprocess.run(npm, cwd=site, check=True, capture_output=True)
    for path in packed.files:
        shutil.copy(path, site)
    shutil.copy(GARMENTS / "images" / f"{run.ids[0]}.png", site / "image.png")
    (site / "index.html").write_text(HTML.replace('<script type="module">', f"{TELL}<script type="
                                                  '"module">'))  # fmt: skip
    with served(site) as address:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/user"]
        with subprocess.Popen(
            [browser, *flags, f"{address}/index.html"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            heard = Pages.heard.wait(timeout=240)
            process.terminate()
    assert heard
    found = json.loads(Pages.posted[0])
    assert found["label"] == run.labels[0]
    assert np.abs(np.array(found["probabilities"]) - run.probs[0]).max() < 1e-6


def large_member(folder: Path, fold: int, width: int) -> Path:
    """A member with a layer of width * width random weights."""
    card = toy_card(f"large-f{fold}")
    rng = np.random.default_rng(fold)
    sides = {"first": (192, width), "second": (width, width), "last": (width, 3)}
    weights = []
    for name, (rows, columns) in sides.items():
        matrix = rng.random((rows, columns), np.float32)
        matrix -= 0.5
        matrix *= 3.4 / np.sqrt(rows)
        weights.append(numpy_helper.from_array(matrix, name))
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "first"], ["one"]),
            helper.make_node("Relu", ["one"], ["bent"]),
            helper.make_node("MatMul", ["bent", "second"], ["two"]),
            helper.make_node("MatMul", ["two", "last"], ["logits"]),
        ],
        "large",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return save_member(folder, card, model)


@pytest.mark.slow
def test_more_than_two_gigabytes_lie_beside_the_file(tmp_path: Path) -> None:
    members = [large_member(tmp_path / "folds", fold, 16_500) for fold in (0, 1)]
    packed = ensemble.pack(members, tmp_path / "here" / "model.onnx", store=tmp_path, progress=None)
    data, *_ = packed.files
    assert data.stat().st_size > 2**31
    assert packed.path.stat().st_size < 10_000
    before = run_packed(packed.path, noise(2, 8, 8, 3))
    moved = Path(shutil.move(packed.path.parent, tmp_path / "there"))
    after = run_packed(moved / "model.onnx", noise(2, 8, 8, 3))
    np.testing.assert_array_equal(before["probabilities"], after["probabilities"])
    names: dict[str, object] = {}
    exec(next(b for b in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def check" in b),
         names)  # fmt: skip
    check = names["check"]
    assert callable(check)
    check(moved / "model.onnx")
    with (moved / data.name).open("r+b") as file:
        file.seek(2**31)
        file.write(b"another fold's")
    with pytest.raises(AssertionError):
        check(moved / "model.onnx")
    for path in members:
        path.unlink()
    (moved / data.name).unlink()
