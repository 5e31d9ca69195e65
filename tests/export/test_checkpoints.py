"""A training run's file becomes a plain state dict, and never runs code unless it was trusted."""

import argparse
import os
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from ensemble.errors import MemberError
from ensemble.export.checkpoints import load_checkpoint
from ensemble.files.atomic import sha256_file

Weights = dict[str, torch.Tensor]


class Touch:
    """A pickle that touches a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def make_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def under(prefix: str, state: Weights) -> Weights:
    return {prefix + key: value for key, value in state.items()}


def assert_same(found: Weights, expected: Weights) -> None:
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.fixture
def state() -> Weights:
    return dict(make_net().state_dict())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fold0.pt"


def lightning(state: Weights) -> dict[str, object]:
    """What Lightning's trainer saves, NumPy scalars and Namespace included."""
    callback = defaultdict(list, {"best_model_score": [np.float64(0.91)]})
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict(state),
        "callbacks": {"ModelCheckpoint": callback, "dirpath": Path("runs/a")},
        "hyper_parameters": argparse.Namespace(lr=np.float32(1e-3), mean=np.array([0.5, 0.2])),
        "dtype": np.dtype("int64"),
    }


def test_a_bare_state_dict_loads(state: Weights, path: Path) -> None:
    torch.save(state, path)
    assert_same(load_checkpoint(path).state, state)


def test_a_bare_state_dict_has_nothing_stripped(state: Weights, path: Path) -> None:
    torch.save(state, path)
    assert load_checkpoint(path).stripped == ""


def test_the_hash_is_the_file_s(state: Weights, path: Path) -> None:
    torch.save(state, path)
    assert load_checkpoint(path).sha256 == sha256_file(path)


def test_the_legacy_format_loads(state: Weights, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert_same(load_checkpoint(path).state, state)


@pytest.mark.parametrize("container", ["state_dict", "model", "model_state_dict"])
def test_a_container_is_opened(container: str, state: Weights, path: Path) -> None:
    torch.save({"epoch": 3, container: state, "optimizer": {"lr": 0.1}}, path)
    assert_same(load_checkpoint(path).state, state)


def test_two_containers_are_refused(state: Weights, path: Path) -> None:
    torch.save({"model": state, "state_dict": state}, path)
    with pytest.raises(MemberError, match="under state_dict and model"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "net.", "model.module.", "module._orig_mod."]
)
def test_a_prefix_that_all_keys_carry_is_stripped(prefix: str, state: Weights, path: Path) -> None:
    torch.save(under(prefix, state), path)
    loaded = load_checkpoint(path)
    assert loaded.stripped == prefix
    assert_same(loaded.state, state)


def test_a_prefix_that_one_key_lacks_stays(state: Weights, path: Path) -> None:
    mixed = under("module.", state) | {"temperature": torch.ones(1)}
    torch.save(mixed, path)
    loaded = load_checkpoint(path)
    assert loaded.stripped == ""
    assert_same(loaded.state, mixed)


@pytest.mark.parametrize("prefix", ["model.", "net."])
def test_a_lightning_file_loads(prefix: str, state: Weights, path: Path) -> None:
    torch.save(lightning(under(prefix, state)), path)
    loaded = load_checkpoint(path)
    assert loaded.stripped == prefix
    assert_same(loaded.state, state)


def test_a_lightning_file_with_a_loss_names_its_weights(state: Weights, path: Path) -> None:
    torch.save(lightning(under("model.", state) | {"loss_fn.weight": torch.ones(3)}), path)
    with pytest.raises(MemberError, match=r"1 beside it: loss_fn\.weight"):
        load_checkpoint(path)


def test_plain_weights_are_taken_unless_ema_is_asked(state: Weights, path: Path) -> None:
    averaged = dict(make_net(1).state_dict())
    torch.save({"arch": "a", "state_dict": state, "state_dict_ema": averaged}, path)
    assert_same(load_checkpoint(path).state, state)


@pytest.mark.parametrize("container", ["state_dict_ema", "model_ema"])
def test_ema_weights_are_taken_when_asked(container: str, state: Weights, path: Path) -> None:
    averaged = dict(make_net(1).state_dict())
    torch.save({"state_dict": state, container: averaged}, path)
    assert_same(load_checkpoint(path, ema=True).state, averaged)


def test_ema_that_is_absent_is_an_error(state: Weights, path: Path) -> None:
    torch.save({"state_dict": state}, path)
    with pytest.raises(MemberError, match="no EMA weights"):
        load_checkpoint(path, ema=True)


def test_the_counter_of_an_averaged_model_is_left_out(state: Weights, path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(make_net()).state_dict()
    torch.save({"model": state, "model_ema": averaged}, path)
    assert_same(load_checkpoint(path, ema=True).state, state)


@pytest.mark.parametrize("name", ["fold0.safetensors", "fold0.bin"])
def test_safetensors_load_by_content(name: str, state: Weights, tmp_path: Path) -> None:
    safetensors.torch.save_file(state, tmp_path / name)
    loaded = load_checkpoint(tmp_path / name).state
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_truncated_safetensors_are_refused(state: Weights, tmp_path: Path) -> None:
    path = tmp_path / "fold0.safetensors"
    path.write_bytes(safetensors.torch.save(state)[:-8])
    with pytest.raises(MemberError, match="truncated or not a safetensors file"):
        load_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_does_not_run(legacy: bool, path: Path, tmp_path: Path) -> None:
    bait = tmp_path / "touched"
    torch.save({"a": Touch(bait)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(MemberError, match=r"fold0\.pt: its pickle runs code, \w+\.system"):
        load_checkpoint(path)
    assert not bait.exists()


def test_the_message_names_the_flag_that_trusts_a_file(path: Path) -> None:
    torch.save(make_net(), path)
    with pytest.raises(MemberError, match=r"Sequential.*--trust-pickle .*fold0\.pt"):
        load_checkpoint(path)


def test_a_trusted_file_may_hold_a_whole_net(state: Weights, path: Path) -> None:
    torch.save(make_net(), path)
    assert_same(load_checkpoint(path, trust_pickle=True).state, state)


def test_a_trusted_file_may_hold_a_net_in_a_container(state: Weights, path: Path) -> None:
    torch.save({"model": make_net(), "epoch": 3}, path)
    assert_same(load_checkpoint(path, trust_pickle=True).state, state)


def test_trust_of_one_file_leaves_the_next_one_untrusted(path: Path) -> None:
    torch.save(make_net(), path)
    load_checkpoint(path, trust_pickle=True)
    with pytest.raises(MemberError, match="runs code"):
        load_checkpoint(path)


def test_values_that_are_no_tensors_are_named(state: Weights, path: Path) -> None:
    torch.save({**state, "epoch": 3}, path)
    with pytest.raises(MemberError, match="no tensors: epoch"):
        load_checkpoint(path)


def test_an_empty_state_dict_is_refused(path: Path) -> None:
    torch.save({}, path)
    with pytest.raises(MemberError, match="no weights"):
        load_checkpoint(path)


def test_a_lone_tensor_is_refused(path: Path) -> None:
    torch.save(torch.ones(3), path)
    with pytest.raises(MemberError, match="found Tensor"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a git-lfs pointer"),
        (b"not a checkpoint", "truncated or not a PyTorch checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: bytes, message: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(MemberError, match=message):
        load_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_truncated_checkpoint_is_refused(legacy: bool, state: Weights, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MemberError, match="truncated or not a PyTorch checkpoint"):
        load_checkpoint(path)


def test_a_missing_checkpoint_is_refused(path: Path) -> None:
    with pytest.raises(MemberError, match="No such file"):
        load_checkpoint(path)


def test_a_url_is_refused() -> None:
    with pytest.raises(MemberError, match="a URL"):
        load_checkpoint(Path("https://example.com/fold0.pt"))


def test_torchscript_is_refused(path: Path, state: Weights) -> None:
    torch.save(state, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("fold0/constants.pkl", b"")
    with pytest.raises(MemberError, match="TorchScript"):
        load_checkpoint(path)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_weights_keep_their_kind(kind: torch.dtype, path: Path) -> None:
    torch.save({"weight": torch.ones(3, dtype=kind)}, path)
    assert load_checkpoint(path).state["weight"].dtype == kind


def test_a_name_that_is_a_prefix_and_no_more_is_stripped_of_what_others_carry_only(
    path: Path,
) -> None:
    torch.save({"model.a": torch.ones(1), "modelb": torch.ones(1)}, path)
    assert list(load_checkpoint(path).state) == ["model.a", "modelb"]


def test_a_counter_beside_plain_weights_stays(state: Weights, path: Path) -> None:
    torch.save({**state, "n_averaged": torch.ones(1)}, path)
    assert "n_averaged" in load_checkpoint(path).state


@pytest.mark.parametrize("container", ["state_dict_ema", "model_ema", "ema_state_dict"])
def test_two_averages_are_refused_where_one_is_asked_for(
    container: str, state: Weights, path: Path
) -> None:
    other = "model_ema" if container != "model_ema" else "ema_state_dict"
    torch.save({container: state, other: state}, path)
    with pytest.raises(MemberError, match="holds weights under .* and .*; save the one to use"):
        load_checkpoint(path, ema=True)


def test_the_message_of_absent_averages_names_what_is_there_and_the_flag(
    state: Weights, path: Path
) -> None:
    torch.save({"state_dict": state, "epoch": 3}, path)
    with pytest.raises(MemberError, match="it has state_dict, epoch. Leave out --ema"):
        load_checkpoint(path, ema=True)


def test_a_container_without_weights_is_refused(path: Path) -> None:
    torch.save({"state_dict": {}}, path)
    with pytest.raises(MemberError, match="it holds no weights"):
        load_checkpoint(path)


def test_a_lightning_file_of_weights_without_a_prefix_loads(state: Weights, path: Path) -> None:
    torch.save(lightning(state), path)
    assert_same(load_checkpoint(path).state, state)


@pytest.mark.parametrize("prefix", ["model.", "net."])
def test_the_remedy_of_a_lightning_file_names_its_own_net(
    prefix: str, state: Weights, path: Path
) -> None:
    torch.save(lightning(under(prefix, state) | {"loss": torch.ones(1)}), path)
    with pytest.raises(MemberError, match=rf"torch\.save\(module\.{prefix}state_dict\(\), FILE\)"):
        load_checkpoint(path)


def test_a_shared_weight_is_there_under_both_names(path: Path) -> None:
    shared = torch.randn(3)
    torch.save({"a": shared, "b": shared}, path)
    found = load_checkpoint(path).state
    assert torch.equal(found["a"], shared)
    assert torch.equal(found["b"], shared)


@pytest.mark.parametrize("content", [b"\0", b"\0" * 9, b"abcdefgh", b"PK\x03\x04"])
def test_a_few_bytes_are_no_checkpoint(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(MemberError, match=r"fold0\.pt: truncated or not a PyTorch checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_pickle_of_an_old_protocol_loads_without_a_word(
    protocol: int, state: Weights, path: Path
) -> None:
    torch.save(state, path, pickle_protocol=protocol)
    assert_same(load_checkpoint(path).state, state)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_pickle_of_a_protocol_that_torch_does_not_check_is_refused(
    protocol: int, state: Weights, path: Path
) -> None:
    torch.save(state, path, pickle_protocol=protocol)
    with pytest.raises(MemberError, match="fold0"):
        load_checkpoint(path)
