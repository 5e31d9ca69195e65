"""A checkpoint is loaded into its net, and the card will say which it was."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from factories import MODULE, TINY, factory

from ensemble.errors import MemberError
from ensemble.export.loaded_net import load_net


@pytest.fixture
def path(folder: Path, tmp_path: Path) -> Path:
    state = {f"module.{k}": v.half() for k, v in factory(folder, "tiny", 3).state_dict().items()}
    safetensors.torch.save_file(state, tmp_path / "tiny-f0.safetensors")
    return tmp_path / "tiny-f0.safetensors"


def test_the_net_has_the_weights_of_the_file_in_float32_and_evaluates(
    path: Path, folder: Path
) -> None:
    loaded = load_net(path, TINY)
    for name, tensor in factory(folder, "tiny", 3).state_dict().items():
        found = loaded.net.state_dict()[name]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, tensor.half().float(), rtol=0, atol=0)
    assert not any(module.training for module in loaded.net.modules())


def test_it_says_which_file_it_was_and_what_was_stripped(path: Path) -> None:
    loaded = load_net(path, replace(TINY, drop=()))
    assert loaded.checkpoint == path
    assert loaded.source["checkpoint"] == "tiny-f0.safetensors"
    assert loaded.source["checkpoint_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (loaded.stripped, loaded.source["stripped_prefix"]) == ("module.", "module.")


def test_a_checkpoint_of_another_net_is_refused(path: Path) -> None:
    with pytest.raises(MemberError, match=r"tiny-f0\.safetensors"):
        load_net(path, replace(TINY, arch=f"{MODULE}:mixed"))
