"""On a GPU: what was asked for runs, and gives what the CPU gives. Run by `make test-gpu`."""

from pathlib import Path

import numpy as np
import pytest
from layer_norms import save_layer_norm

from ensemble.api import predict
from ensemble.arrays import Probs
from ensemble.errors import MemberError, ProviderError
from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.inference.ready import ReadyMember
from ensemble.members.member import open_member
from ensemble.records import Precision
from ensemble.runtime.agreement import FLOAT16
from ensemble.runtime.devices import (
    CUDA,
    TENSORRT,
    engine_host,
    start_providers,
    why_no_cuda,
    why_no_tensorrt,
)
from ensemble.submission.publish import Submission
from ensemble.views import parse

FASHION = Path(__file__).parents[2] / "models_zoo" / "fashion"
MEMBERS = [FASHION / f"{family}-f0.onnx" for family in ("resnet", "vgg")]

pytestmark = pytest.mark.gpu


def fashion(folder: Path, device: str, precision: Precision = "fp32") -> Submission:
    """Run a fold of each family over the zoo's images."""
    return predict.run(
        MEMBERS, FASHION / "images", tta="hflip", device=device, precision=precision,
        store=folder / "store", out=folder / f"{device}-{precision}".replace(":", "-"),
    )  # fmt: skip


def begin(device: str) -> ReadyMember:
    """Start a member on a device."""
    return start.start(
        open_member(MEMBERS[0]), parse.read_policy("hflip"), "mean", device=device, threads=0,
        batch=16,
    )  # fmt: skip


def test_there_is_a_gpu_to_test_on() -> None:
    assert why_no_cuda() == ""
    assert start_providers()[CUDA] == ""


def test_cuda_is_what_runs(tmp_path: Path) -> None:
    assert fashion(tmp_path, "cuda").record["provider"] == CUDA


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_cuda_gives_the_labels_of_the_cpu(tmp_path: Path, precision: Precision) -> None:
    there, here = fashion(tmp_path, "cuda", precision), fashion(tmp_path, "cpu")
    assert list(there.labels) == list(here.labels)
    bound = FLOAT16.bound if precision == "fp16" else 1e-4
    assert abs(there.probs - here.probs).max() < bound


def test_bound_memory_gives_what_a_plain_run_gives() -> None:
    ready = begin("cuda")
    pre = ready.member.card.preprocess
    images = probe_images((16, pre.size.height, pre.size.width, len(pre.mean)))
    names = ready.scorer.outputs(images, ready.scorer._outputs)
    for _ in range(4):
        np.testing.assert_allclose(ready.scorer.score(images)["label"], names["label"], atol=1e-6)


def test_pages_are_locked() -> None:
    ready = begin("cuda")
    pre = ready.member.card.preprocess
    ready.scorer.score(np.zeros((16, pre.size.height, pre.size.width, len(pre.mean)), np.uint8))
    assert ready.scorer.pinned is True


def test_a_shard_smaller_than_a_batch_gives_the_same_labels(tmp_path: Path) -> None:
    whole = fashion(tmp_path, "cuda")
    cut = predict.run(MEMBERS, FASHION / "images", tta="hflip", device="cuda", shard_size=7,
                  store=tmp_path / "other", out=tmp_path / "cut")  # fmt: skip
    assert list(cut.labels) == list(whole.labels)


@pytest.mark.skipif(why_no_tensorrt() != "", reason="TensorRT is not installed: it is an option")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt_is_what_runs_and_gives_the_labels_of_the_cpu(
    tmp_path: Path, precision: Precision
) -> None:
    there, here = fashion(tmp_path, "tensorrt", precision), fashion(tmp_path, "cpu")
    assert there.record["provider"] == TENSORRT
    assert list(there.labels) == list(here.labels)
    assert list((tmp_path / "store" / "engines").iterdir())


@pytest.mark.parametrize("one_operator", [True, False])
def test_a_layer_norm_with_a_tiny_epsilon_is_right_in_float16_or_refused(
    tmp_path: Path, one_operator: bool
) -> None:
    path = save_layer_norm(tmp_path, one_operator=one_operator)

    def rows(device: str, precision: Precision) -> Probs:
        ready = start.start(
            open_member(path), parse.read_policy("none"), "mean", device=device, threads=0,
            batch=4, precision=precision,
        )  # fmt: skip
        return ready.score(probe_images((4, 16, 16, 3)))["label"]

    try:
        half = rows("cuda", "fp16")
    except MemberError as refused:
        assert "in float16" in str(refused)
    else:
        assert abs(half - rows("cpu", "fp32")).max() < FLOAT16.bound


def test_an_engine_is_named_by_the_gpu_the_driver_and_tensorrt() -> None:
    model, driver, _ = engine_host("cuda")
    assert model.strip()
    assert driver[0].isdigit()


def test_a_gpu_beyond_the_last_is_refused_with_how_many_there_are() -> None:
    with pytest.raises(ProviderError, match="there is no GPU 99: this process may use"):
        begin("cuda:99")
