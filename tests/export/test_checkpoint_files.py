"""A file's bytes become what they hold, and never run code unless they were trusted."""

import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from ensemble.errors import MemberError
from ensemble.export.checkpoint_files import read_file

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


def assert_same(found: object, expected: Weights) -> None:
    assert isinstance(found, dict)
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.fixture
def state() -> Weights:
    return dict(make_net().state_dict())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fold0.pt"


def test_the_legacy_format_loads(state: Weights, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert_same(read_file(path), state)


@pytest.mark.parametrize("name", ["fold0.safetensors", "fold0.bin"])
def test_safetensors_load_by_content(name: str, state: Weights, tmp_path: Path) -> None:
    safetensors.torch.save_file(state, tmp_path / name)
    loaded = read_file(tmp_path / name)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_truncated_safetensors_are_refused(state: Weights, tmp_path: Path) -> None:
    path = tmp_path / "fold0.safetensors"
    path.write_bytes(safetensors.torch.save(state)[:-8])
    with pytest.raises(MemberError, match="truncated or not a safetensors file"):
        read_file(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_does_not_run(legacy: bool, path: Path, tmp_path: Path) -> None:
    bait = tmp_path / "touched"
    torch.save({"a": Touch(bait)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(MemberError, match=r"fold0\.pt: its pickle runs code, \w+\.system"):
        read_file(path)
    assert not bait.exists()


def test_the_message_names_the_flag_that_trusts_a_file(path: Path) -> None:
    torch.save(make_net(), path)
    with pytest.raises(MemberError, match=r"Sequential.*--trust-pickle .*fold0\.pt"):
        read_file(path)


def test_trust_of_one_file_leaves_the_next_one_untrusted(path: Path) -> None:
    torch.save(make_net(), path)
    read_file(path, trust_pickle=True)
    with pytest.raises(MemberError, match="runs code"):
        read_file(path)


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
        read_file(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_truncated_checkpoint_is_refused(legacy: bool, state: Weights, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MemberError, match="truncated or not a PyTorch checkpoint"):
        read_file(path)


@pytest.mark.parametrize("place", ["PK\x05\x06", "PK\x01\x02", "data.pkl"])
def test_a_damaged_archive_is_refused_wherever_it_is(
    place: str, state: Weights, path: Path
) -> None:
    torch.save(state, path)
    data = bytearray(path.read_bytes())
    at = data.index(place.encode())
    for start in range(at, at + 100, 4):
        damaged = data[:start] + b"\xff" * 4 + data[start + 4 :]
        path.write_bytes(damaged)
        with suppress(MemberError):  # anything else is a fault; some bytes decide nothing
            read_file(path)


def test_a_weight_with_a_flipped_bit_is_refused(path: Path) -> None:
    weights = torch.arange(1000.0)
    torch.save({"w": weights}, path)
    data = bytearray(path.read_bytes())
    data[data.index(weights.numpy().tobytes()) + 2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(MemberError, match=r"Bad CRC-32 .*Copy it again"):
        read_file(path)


def test_a_checkpoint_without_checksums_loads(state: Weights, path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_file(path), state)


def test_a_missing_checkpoint_is_refused(path: Path) -> None:
    with pytest.raises(MemberError, match="No such file"):
        read_file(path)


def test_a_url_is_refused() -> None:
    with pytest.raises(MemberError, match="a URL"):
        read_file(Path("https://example.com/fold0.pt"))


def test_torchscript_is_refused(path: Path, state: Weights) -> None:
    torch.save(state, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("fold0/constants.pkl", b"")
    with pytest.raises(MemberError, match="TorchScript"):
        read_file(path)


@pytest.mark.parametrize("content", [b"\0", b"\0" * 9, b"abcdefgh", b"PK\x03\x04"])
def test_a_few_bytes_are_no_checkpoint(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(MemberError, match=r"fold0\.pt: truncated or not a PyTorch checkpoint"):
        read_file(path)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_pickle_of_an_old_protocol_loads_without_a_word(
    protocol: int, state: Weights, path: Path
) -> None:
    torch.save(state, path, pickle_protocol=protocol)
    assert_same(read_file(path), state)


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_pickle_of_a_protocol_that_torch_does_not_check_is_refused(
    protocol: int, state: Weights, path: Path
) -> None:
    torch.save(state, path, pickle_protocol=protocol)
    with pytest.raises(MemberError, match=rf"fold0\.pt: a pickle of protocol {protocol}") as told:
        read_file(path)
    assert f"--trust-pickle {path}" in str(told.value)
    assert "truncated" not in str(told.value)


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_trusted_pickle_may_have_any_protocol(
    legacy: bool, protocol: int, state: Weights, path: Path
) -> None:
    zipped = not legacy
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    assert_same(read_file(path, trust_pickle=True), state)
    with pytest.raises(MemberError, match=f"protocol {protocol}"):
        read_file(path)


def test_a_plain_pickle_of_protocol_5_is_told_by_its_protocol(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": [1.0, 2.0]}, protocol=5))
    with pytest.raises(MemberError, match="protocol 5"):
        read_file(path)


def test_a_folder_of_shards_is_told(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match="a folder, as DeepSpeed and FSDP write it"):
        read_file(tmp_path)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), MemoryError(), OverflowError("big")])
def test_whatever_torch_raises_names_the_file(
    error: Exception, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    path.write_bytes(b"x")
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(MemberError, match=r"fold0\.pt: truncated or not a PyTorch checkpoint"):
        read_file(path)


def test_the_reason_is_the_unpickler_s_own(path: Path) -> None:
    path.write_bytes(b"\x80\x02}q\x00\xff.")
    with pytest.raises(MemberError) as told:
        read_file(path)
    assert "Weights only load failed" not in str(told.value)
