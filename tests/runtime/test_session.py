"""Devices are what was asked for, and what ONNX Runtime raises is translated at the seam."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from fake_workers import Told
from onnx.external_data_helper import convert_model_to_external_data
from onnxruntime import SessionOptions
from toys import MakeMember, toy_card, toy_model

from ensemble.errors import (
    MemberError,
    OutOfMemoryError,
    ProviderError,
    ScoreError,
    StoreError,
    UsageError,
)
from ensemble.inference import open_scorer, start
from ensemble.inference.start_members import start_members
from ensemble.members.member import open_member, write_sidecar
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Precision, View
from ensemble.runtime import devices as providers
from ensemble.runtime import graph, session
from ensemble.runtime import nvidia as driver
from ensemble.runtime.binding import IN_FLIGHT
from ensemble.runtime.devices import CPU, CUDA, TENSORRT
from ensemble.runtime.session import OnnxScorer
from ensemble.views import policy
from ensemble.views.policy import IDENTITY


def scorer_that_raises(error: Exception) -> OnnxScorer:
    """A scorer whose session fails on every batch."""

    def run(*_: object) -> None:
        raise error

    scorer = OnnxScorer.__new__(OnnxScorer)
    scorer._outputs, scorer._input = {"label": "label"}, "image"
    scorer._session = SimpleNamespace(run=run)
    return scorer


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("BFCArena: Failed to allocate memory for 8 bytes"), OutOfMemoryError),
        (RuntimeError("CUDA failure 2: out of memory"), OutOfMemoryError),
        (MemoryError("std::bad_alloc"), OutOfMemoryError),
        (RuntimeError("a shape is wrong"), ScoreError),
    ],
)
def test_failures_are_told_apart(error: Exception, expected: type[ScoreError]) -> None:
    with pytest.raises(ScoreError) as found:
        scorer_that_raises(error).score(np.zeros((1, 2, 2, 3), np.uint8))
    assert type(found.value) is expected


class Recorded:
    """Stands for ONNX Runtime's session: starts on the CPU whatever it is asked for.

    `active` is what it says that it runs on where it may, `fault` what it raises there; `asked` are
    the providers of the last one, and `threads` what it computes an operator with.
    """

    active = CUDA
    fault = ""
    asked: list[object] = []  # noqa: RUF012
    threads: int = 0

    def __init__(
        self, model: bytes, options: SessionOptions, providers: list[object], **_: int
    ) -> None:
        Recorded.asked, Recorded.threads = providers, options.intra_op_num_threads
        if self.fault and providers != [CPU]:
            raise RuntimeError(self.fault)
        self._real = REAL(model, options, providers=[CPU])
        self._asked = providers

    def get_providers(self) -> list[str]:
        return [CPU] if self._asked == [CPU] else [self.active, CPU]

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


REAL = providers.ort.InferenceSession


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    """A machine that seems to have a GPU, with a session that seems to run on it."""
    monkeypatch.setattr(
        driver,
        "load",
        lambda _: SimpleNamespace(
            cuInit=lambda _: 1,
            nvmlInit_v2=lambda: 1,
            cuDriverGetVersion=lambda _: 1,
            getInferLibVersion=lambda: 101300,
        ),
    )
    monkeypatch.setattr(session, "quieten", lambda: None)
    monkeypatch.setattr(providers.ort, "InferenceSession", Recorded)
    monkeypatch.setattr(Recorded, "active", CUDA)
    return Recorded


def composed() -> onnx.ModelProto:
    card = toy_card()
    shaped = [policy.Shaped(View("none", ()), card.preprocess.size)]
    return graph.compose_graph(toy_model(card), card, shaped, "mean")


def scorer(device: str, **more: object) -> OnnxScorer:
    model, head = composed().SerializeToString(), toy_card().heads[0]
    return OnnxScorer(model, {"label": graph.probs_name(head)}, device=device, threads=3, **more)  # type: ignore[arg-type]


IMAGES = np.arange(5 * 8 * 8 * 3, dtype=np.uint8).reshape(5, 8, 8, 3)


def test_cuda_tunes_for_one_shape_and_computes_float32_in_float32(gpu: type[Recorded]) -> None:
    scorer("cuda:1")
    (name, options), last = gpu.asked
    assert (name, last) == (CUDA, CPU)
    assert options["device_id"] == "1"
    assert options["cudnn_conv_algo_search"] == "EXHAUSTIVE"
    assert options["use_tf32"] == "0"


def test_a_gpu_scores_through_bound_memory_what_a_plain_run_scores(gpu: type[Recorded]) -> None:
    bound, plain = scorer("cuda"), scorer("cpu")
    assert (bound.provider, bound.lanes, plain.lanes) == (CUDA, IN_FLIGHT, 3)
    assert (bound.score(IMAGES)["label"] == plain.score(IMAGES)["label"]).all()
    assert bound.pinned is False


def test_tensorrt_keeps_its_engines_and_falls_back_on_cuda_for_single_operators(
    gpu: type[Recorded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "active", TENSORRT)
    scorer("tensorrt:1", cache=tmp_path / "engines")
    (name, options), (second, _), last = gpu.asked
    assert (name, second, last) == (TENSORRT, CUDA, CPU)
    assert options == {
        "device_id": "1",
        "trt_fp16_enable": "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path / "engines"),
    }


def test_each_fold_and_precision_has_a_folder_of_engines_of_its_own(
    gpu: type[Recorded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_member: MakeMember
) -> None:
    monkeypatch.setattr(Recorded, "active", TENSORRT)
    monkeypatch.setattr(start, "prove_agreement", lambda *_: None)
    folds = [make_member(f"toy-f{fold}", seed=fold) for fold in (0, 1)]

    def folder(path: Path, precision: Precision = "fp32") -> str:
        member = open_member(path)
        start.start_shaped(
            member, start.shape_views(member, (IDENTITY,)), "mean", device="tensorrt",
            threads=1, batch=1, precision=precision, cache=tmp_path / "engines",
        )  # fmt: skip
        return str(gpu.asked[0][1]["trt_engine_cache_path"])

    first, other, half = folder(folds[0]), folder(folds[1]), folder(folds[0], "fp16")
    assert len({first, other, half}) == 3
    assert folder(folds[0]) == first
    assert {str(path) for path in tmp_path.glob("engines/*")} == {first, other, half}


def test_engines_that_were_copied_from_another_machine_are_built_anew(
    gpu: type[Recorded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_member: MakeMember
) -> None:
    monkeypatch.setattr(Recorded, "active", TENSORRT)
    member = open_member(make_member())
    hosts = [("T4", "580.95", "101300"), ("L4", "580.95", "101300"), ("T4", "581.0", "101300"),
             ("T4", "580.95", "101400")]  # fmt: skip
    used = []
    for host in (*hosts, hosts[0]):
        monkeypatch.setattr(open_scorer, "engine_host", lambda _, host=host: host)
        start.start_shaped(
            member, start.shape_views(member, (IDENTITY,)), "mean", device="tensorrt", threads=1,
            batch=1, cache=tmp_path / "engines",
        )  # fmt: skip
        used.append(gpu.asked[0][1]["trt_engine_cache_path"])
    assert len(set(used)) == len(hosts)
    assert used[-1] == used[0]


def test_a_device_without_engines_makes_no_folder_for_them(
    gpu: type[Recorded], tmp_path: Path, make_member: MakeMember
) -> None:
    member = open_member(make_member())
    for device in ("cuda", "cpu"):
        start.start_shaped(
            member, start.shape_views(member, (IDENTITY,)), "mean", device=device, threads=1,
            batch=1, cache=tmp_path / "engines",
        )  # fmt: skip
    assert not (tmp_path / "engines").exists()


def test_a_gpu_that_is_hidden_is_refused_with_those_that_are_left(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "fault", "CUDA failure 101: invalid device ordinal")
    monkeypatch.setattr(driver, "gpus", lambda: (driver.Gpu(0, "Tesla T4", 15_000_000_000),))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(ProviderError) as found:
        scorer("cuda:1")
    assert (
        "there is no GPU 1: this process may use 1 GPU, as CUDA_VISIBLE_DEVICES=1 hides the "
        "others, and they count from 0. Say cuda:0 for the last"
    ) in str(found.value)


def test_folds_whose_weights_lie_beside_them_share_no_engine(
    gpu: type[Recorded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "active", TENSORRT)
    for fold in (0, 1):
        card, folder = toy_card(), tmp_path / f"{fold}"
        model = toy_model(card, seed=fold)
        convert_model_to_external_data(model, location="w.data", size_threshold=0)
        folder.mkdir()
        onnx.save(model, folder / "toy-f0.onnx")
        write_sidecar(folder / "toy-f0.onnx", card)
        member = open_member(folder / "toy-f0.onnx")
        start.start_shaped(
            member, start.shape_views(member, (IDENTITY,)), "mean", device="tensorrt",
            threads=1, batch=1, cache=tmp_path / "engines",
        )  # fmt: skip
    assert len(list(tmp_path.glob("engines/*"))) == 2


def test_tensorrt_computes_in_float16_where_that_is_asked(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "active", TENSORRT)
    scorer("tensorrt", precision="fp16")
    assert gpu.asked[0][1]["trt_fp16_enable"] == "1"


@pytest.mark.parametrize(("device", "active"), [("cuda", CPU), ("tensorrt", CUDA)])
def test_a_session_that_runs_on_something_else_is_refused(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch, device: str, active: str
) -> None:
    monkeypatch.setattr(Recorded, "active", active)
    with pytest.raises(ProviderError, match=f"device {device} .*the session runs on {active}"):
        scorer(device)


def test_memory_that_a_gpu_lacks_is_told_apart_through_bound_memory_too(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("CUDA failure 2: out of memory")

    bound = scorer("cuda")
    monkeypatch.setattr(bound._bound, "_run", fail)
    with pytest.raises(OutOfMemoryError, match="out of memory"):
        bound.score(IMAGES)


def test_auto_that_ends_on_the_cpu_has_one_thread_a_lane_as_there(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "active", CPU)
    started = scorer("auto")
    assert (started.provider, started.lanes) == (CPU, 3)
    assert (gpu.asked, gpu.threads) == ([CPU], 1)
    assert (started.score(IMAGES)["label"] == scorer("cpu").score(IMAGES)["label"]).all()


def test_auto_that_ends_on_cuda_starts_once(gpu: type[Recorded]) -> None:
    started = scorer("auto")
    assert (started.provider, started.lanes, gpu.threads) == (CUDA, IN_FLIGHT, 3)
    assert len(gpu.asked) == 2


def test_auto_that_ends_on_the_cpu_beside_a_driver_says_so(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch, make_member: MakeMember
) -> None:
    monkeypatch.setattr(Recorded, "active", CPU)
    told = Told()
    start_members(resolve(Settings(members=(str(make_member()),), images=())), told)
    assert told.said == ["running on the CPU: CUDA does not start; see `ensemble doctor`"]


def test_auto_takes_the_cpu_where_cuda_fails_while_a_session_starts(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "fault", "CUDA failure 100: no device is detected")
    started = scorer("auto")
    assert (started.provider, started.lanes, gpu.threads) == (CPU, 3, 1)
    assert started.why_cpu == "CUDA does not start: CUDA failure 100: no device is detected"


def test_auto_blames_a_member_that_fails_on_the_cpu_too(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "fault", "CUDA failure 100: no device is detected")
    with pytest.raises(MemberError, match="refuses the graph") as found:
        OnnxScorer(b"no graph", {"label": "label"}, device="auto", threads=1)
    assert "CUDA" not in str(found.value)


def test_cuda_that_is_asked_for_and_fails_while_a_session_starts_is_refused(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "fault", "CUDA failure 2: out of memory")
    with pytest.raises(ProviderError, match="does not start: .*out of memory"):
        scorer("cuda")


def test_the_note_names_the_one_member_that_the_gpu_did_not_take(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch, make_member: MakeMember
) -> None:
    real, paths = session._start_auto, [str(make_member(f"toy-f{fold}")) for fold in (0, 1)]

    def full(*asked: object) -> object:
        monkeypatch.setattr(Recorded, "fault", "" if gpu.asked else "out of memory")
        return real(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(Recorded, "asked", [])
    monkeypatch.setattr(session, "_start_auto", full)
    told = Told()
    start_members(resolve(Settings(members=tuple(paths), images=(), threads=1)), told)
    assert told.said == ["toy-f0: running on the CPU: CUDA does not start: out of memory"]


def test_a_graph_is_run_once_by_the_names_of_its_inputs_and_outputs() -> None:
    model, pixels = toy_model(toy_card()), np.ones((2, 3, 8, 8), np.float32)
    found = session.run_once(model.SerializeToString(), {"image": pixels})
    matrix = onnx.numpy_helper.to_array(model.graph.initializer[0])
    assert found.keys() == {"logits"}
    np.testing.assert_allclose(found["logits"], pixels.reshape(2, -1) @ matrix, atol=1e-4)


@pytest.mark.parametrize(
    "inputs", [{}, {"other": np.ones((1, 3, 8, 8), np.float32)}, {"image": np.ones((1, 3))}]
)
def test_inputs_that_do_not_fit_are_a_member_s_fault(inputs: dict[str, np.ndarray]) -> None:
    model = toy_model(toy_card()).SerializeToString()
    with pytest.raises(MemberError, match="ONNX Runtime cannot run it: "):
        session.run_once(model, inputs)


def test_bytes_that_are_no_graph_are_a_member_s_fault() -> None:
    with pytest.raises(MemberError, match="ONNX Runtime refuses the graph: "):
        session.run_once(b"<html>", {})


def test_a_batch_of_another_size_is_a_score_error() -> None:
    with pytest.raises(ScoreError, match="ONNX Runtime failed: "):
        scorer("cpu").score(np.zeros((2, 9, 8, 3), np.uint8))


@pytest.mark.parametrize("threads", [1, 3])
def test_on_the_cpu_as_many_batches_are_scored_at_once_as_there_are_threads(threads: int) -> None:
    model, head = composed().SerializeToString(), toy_card().heads[0]
    found = OnnxScorer(model, {"label": graph.probs_name(head)}, device="cpu", threads=threads)
    assert (found.lanes, found.provider, found.pinned, found.why_cpu) == (threads, CPU, None, "")


def test_other_outputs_come_by_the_names_that_the_caller_gives() -> None:
    head = toy_card().heads[0]
    names = {"raw": graph.raw_name(head), "probs": graph.probs_name(head)}
    found = scorer("cpu").outputs(IMAGES, names)
    assert {name: values.shape for name, values in found.items()} == {
        "raw": (1, 5, 3), "probs": (5, 3),
    }  # fmt: skip


def test_a_device_that_there_is_not_is_refused_before_a_session_starts() -> None:
    with pytest.raises(UsageError, match="device 'gpu': expected auto"):
        OnnxScorer(b"no graph", {}, device="gpu")


def test_a_folder_of_engines_that_cannot_be_made_is_named(
    gpu: type[Recorded], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        scorer("tensorrt", cache=tmp_path / "file" / "engines")


def test_tensorrt_that_does_not_start_says_where_its_libraries_are_told(
    gpu: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "fault", "no engine")
    with pytest.raises(
        ProviderError, match=r"TensorRT does not start.*docs/gpu\.md.*--device cuda"
    ):
        scorer("tensorrt")
