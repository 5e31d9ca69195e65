"""What a training run's file holds becomes a state dict, and no weight goes in silence."""

import argparse
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ensemble.errors import MemberError, UsageError
from ensemble.export.checkpoints import is_average, load_checkpoint
from ensemble.files.atomic import sha256_file

Weights = dict[str, torch.Tensor]


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


def test_the_hash_is_the_file_s(state: Weights, path: Path) -> None:
    torch.save(state, path)
    assert load_checkpoint(path).sha256 == sha256_file(path)


@pytest.mark.parametrize("container", ["state_dict", "model", "model_state_dict"])
def test_a_container_is_opened(container: str, state: Weights, path: Path) -> None:
    torch.save({"epoch": 3, container: state, "optimizer": {"lr": 0.1}}, path)
    assert_same(load_checkpoint(path).state, state)


def test_two_containers_are_refused(state: Weights, path: Path) -> None:
    torch.save({"model": state, "state_dict": state}, path)
    with pytest.raises(MemberError, match="under state_dict and model"):
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
    assert_same(load_checkpoint(path, ema=True).state, under("module.", state))


def test_a_trusted_file_may_hold_a_whole_net(state: Weights, path: Path) -> None:
    torch.save(make_net(), path)
    assert_same(load_checkpoint(path, trust_pickle=True).state, state)


def test_a_trusted_file_may_hold_a_net_in_a_container(state: Weights, path: Path) -> None:
    torch.save({"model": make_net(), "epoch": 3}, path)
    assert_same(load_checkpoint(path, trust_pickle=True).state, state)


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


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_weights_keep_their_kind(kind: torch.dtype, path: Path) -> None:
    torch.save({"weight": torch.ones(3, dtype=kind)}, path)
    assert load_checkpoint(path).state["weight"].dtype == kind


def test_a_counter_beside_plain_weights_stays(state: Weights, path: Path) -> None:
    torch.save({**state, "n_averaged": torch.ones(1)}, path)
    assert "n_averaged" in load_checkpoint(path).state


@pytest.mark.parametrize("container", ["state_dict_ema", "model_ema", "ema_state_dict"])
def test_two_averages_are_refused_where_one_is_asked_for(
    container: str, state: Weights, path: Path
) -> None:
    other = "model_ema" if container != "model_ema" else "ema_state_dict"
    torch.save({container: state, other: state}, path)
    with pytest.raises(
        MemberError,
        match="holds weights under .* and .*; say which with --key .* or save the one to use",
    ):
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


def test_a_shared_weight_is_there_under_both_names(path: Path) -> None:
    shared = torch.randn(3)
    torch.save({"a": shared, "b": shared}, path)
    found = load_checkpoint(path).state
    assert torch.equal(found["a"], shared)
    assert torch.equal(found["b"], shared)


def test_a_lightning_file_keeps_the_names_of_its_weights(state: Weights, path: Path) -> None:
    torch.save(lightning(under("model.", state)), path)
    assert_same(load_checkpoint(path).state, under("model.", state))


@pytest.mark.parametrize("name", ["net", "weights", "student", "params"])
def test_weights_under_another_entry_are_told_with_the_flag(
    name: str, state: Weights, path: Path
) -> None:
    torch.save({name: state, "epoch": 3, "optimizer": {"state": {"m": torch.ones(1)}}}, path)
    with pytest.raises(MemberError) as told:
        load_checkpoint(path)
    remedy = f"say --key {name}, or save them alone, as torch.save(torch.load(FILE)[{name!r}], OTH"
    assert remedy in str(told.value)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (lambda s: {"net": s, "epoch": 3}, "net"),
        (lambda s: {"callbacks": {"EMA": {"shadow": s}}, "model": {"x": torch.ones(1)}},
         "callbacks.EMA.shadow"),
        (lambda s: [{"x": torch.ones(1)}, s], "1"),
        (lambda s: {"models": [s, {"x": torch.ones(1)}]}, "models.0"),
        (lambda s: {"best": {"state_dict": s}}, "best"),
    ],
)  # fmt: skip
def test_the_entry_that_is_named_is_taken(
    content: Callable[[Weights], object], key: str, state: Weights, path: Path
) -> None:
    torch.save(content(state), path)
    assert_same(load_checkpoint(path, key=key).state, state)


def test_an_entry_that_is_not_there_is_told_with_those_that_are(state: Weights, path: Path) -> None:
    torch.save({"net": state, "other": {"deep": state}}, path)
    with pytest.raises(MemberError, match=r"--key nets: no such entry.*: net, other, other\.deep"):
        load_checkpoint(path, key="nets")


def test_an_entry_and_the_average_cannot_both_be_asked_for(state: Weights, path: Path) -> None:
    torch.save({"net": state}, path)
    with pytest.raises(UsageError, match="leave out --ema"):
        load_checkpoint(path, key="net", ema=True)


def test_containers_one_in_another_are_opened(state: Weights, path: Path) -> None:
    torch.save({"state_dict": {"model": state, "step": 3}}, path)
    assert_same(load_checkpoint(path).state, state)


def test_weights_in_a_list_are_told_with_the_flag(state: Weights, path: Path) -> None:
    torch.save([state, state], path)
    with pytest.raises(
        MemberError, match=r"found list\. Weights lie under 0, 1: say --key 0.*\[0\]"
    ):
        load_checkpoint(path)


def test_what_is_dropped_is_left_out_and_nothing_else(state: Weights, path: Path) -> None:
    more = {"criterion.weight": torch.ones(3), "criterion.bias": torch.ones(1), "epoch": 3}
    torch.save({**state, **more}, path)
    assert_same(load_checkpoint(path, drop=("criterion.", "epoch")).state, state)


def test_to_drop_what_is_not_there_is_an_error(state: Weights, path: Path) -> None:
    torch.save(state, path)
    with pytest.raises(MemberError, match="--drop criterion.: no name begins with it"):
        load_checkpoint(path, drop=("criterion.",))


def test_values_that_are_no_tensors_are_told_with_the_flag(state: Weights, path: Path) -> None:
    torch.save({**state, "epoch": 3}, path)
    with pytest.raises(MemberError, match="--drop epoch"):
        load_checkpoint(path)


def test_the_average_of_a_callback_is_found(state: Weights, path: Path) -> None:
    averaged = dict(make_net(1).state_dict())
    content = lightning(under("model.", state)) | {
        "callbacks": {"EMA": {"ema_state_dict": averaged}}
    }
    torch.save(content, path)
    assert_same(load_checkpoint(path, ema=True).state, averaged)


def test_an_average_under_names_is_left_to_who_knows_the_net(state: Weights, path: Path) -> None:
    both = under("model.", state) | under("model_ema.module.", state)
    torch.save(lightning(both), path)
    loaded = load_checkpoint(path, ema=True)
    assert not loaded.averaged
    assert_same(loaded.state, both)


def test_an_average_in_the_place_of_the_weights_is_noted(state: Weights, path: Path) -> None:
    raw = dict(make_net(1).state_dict())
    torch.save(lightning(state) | {"current_model_state": raw}, path)
    loaded, averaged = load_checkpoint(path), load_checkpoint(path, ema=True)
    assert "--key current_model_state" in loaded.notes[0]
    assert averaged.averaged
    assert_same(averaged.state, loaded.state)
    assert_same(load_checkpoint(path, key="current_model_state").state, raw)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({0: torch.zeros(1), 1: torch.zeros(2)}, "names that are no text: 0, 1"),
        ({"a": torch.eye(3).to_sparse()}, r"sparse or quantised .*x\.to_dense\(\).*: a"),
        ([1, 2], "found list"),
        ("weights", "found str"),
        (None, "found NoneType"),
    ],
)
def test_odd_contents_are_refused(content: object, message: str, path: Path) -> None:
    torch.save(content, path)
    with pytest.raises(MemberError, match=message):
        load_checkpoint(path)


def test_the_versions_of_modules_are_kept(path: Path) -> None:
    state = nn.Sequential(nn.BatchNorm2d(2)).state_dict()
    torch.save({"state_dict": state}, path)
    assert load_checkpoint(path).versions == state._metadata


@pytest.mark.parametrize(
    ("name", "expected"),
    [("model_ema.module.0.weight", True), ("ema.fc.bias", True), ("averaged_model.x", True),
     ("swa_model.0", True), ("schema.0.weight", False), ("layers.0.conv.ema.weight", False)],
)  # fmt: skip
def test_a_name_tells_of_an_average(name: str, expected: bool) -> None:
    assert is_average(name) is expected


def test_an_entry_that_is_empty_is_none_of_two(state: Weights, path: Path) -> None:
    torch.save({"model": {}, "state_dict": state}, path)
    assert_same(load_checkpoint(path).state, state)


def test_weights_of_numpy_are_told_what_makes_tensors_of_them(state: Weights, path: Path) -> None:
    torch.save({key: value.numpy() for key, value in state.items()}, path)
    with pytest.raises(MemberError, match=r"NumPy arrays: save each as torch\.from_numpy\(x\)$"):
        load_checkpoint(path)


def test_a_file_of_an_optimizer_alone_is_told_that_it_holds_no_weights(path: Path) -> None:
    torch.save({"optimizer": {"state": {}}, "epoch": 3}, path)
    with pytest.raises(MemberError, match=r"No weights are among them.*net\.state_dict\(\)$"):
        load_checkpoint(path)
