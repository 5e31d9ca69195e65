"""A net gets every weight of a checkpoint, or none, and says which do not fit."""

from pathlib import Path

import pytest
import torch
from factories import GREY, LABEL, MODULE, TINY, checkpoint, factory
from torch import nn

from ensemble.errors import MemberError, UsageError
from ensemble.export import nets
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags
from ensemble.export.to_onnx import export_member


@pytest.fixture
def net(folder: Path) -> nn.Module:
    return factory(folder, "tiny", 3)


def test_a_missing_weight_is_named(net: nn.Module, folder: Path, tmp_path: Path) -> None:
    state = {key: value for key, value in net.state_dict().items() if key != "4.bias"}
    with pytest.raises(MemberError, match=r"other-f0\.safetensors: .*1 missing: 4\.bias"):
        export_member(checkpoint(folder, state), TINY, tmp_path)


def test_an_unknown_prefix_is_not_guessed(net: nn.Module, folder: Path, tmp_path: Path) -> None:
    state = {f"student.{key}": value for key, value in net.state_dict().items()}
    with pytest.raises(MemberError, match=r"4 missing: .*4 unexpected: student\.0\."):
        export_member(checkpoint(folder, state), TINY, tmp_path)


def test_a_wrong_count_of_classes_is_told(folder: Path, tmp_path: Path) -> None:
    path = checkpoint(folder, factory(folder, "tiny", 12).state_dict())
    with pytest.raises(MemberError, match="the checkpoint has 12 classes, --classes gives 3"):
        export_member(path, TINY, tmp_path)


def test_a_weight_of_another_shape_is_named(net: nn.Module, folder: Path, tmp_path: Path) -> None:
    state = {**net.state_dict(), "0.weight": torch.ones(4, 1, 3, 3)}
    with pytest.raises(MemberError, match=r"0\.weight \(4, 1, 3, 3\) for \(4, 3, 3, 3\)"):
        export_member(checkpoint(folder, state), TINY, tmp_path)


def test_heads_that_the_net_lacks_are_refused(folder: Path, tmp_path: Path) -> None:
    heads = (HeadSpec("age", ("young", "old")), HeadSpec("sex", ("a", "b", "c")))
    arch = f"{MODULE}:two_heads"
    spec = ExportSpec(arch, heads, preprocess=GREY, in_chans=1)
    with pytest.raises(MemberError, match="the net returns age, mask; the heads are age, sex"):
        export_member(
            checkpoint(folder, factory(folder, "two_heads", 5).state_dict()), spec, tmp_path
        )


def test_a_grey_timm_net_needs_a_mean(tmp_path: Path) -> None:
    spec = ExportSpec("test_resnet", (LABEL,), in_chans=1)
    with pytest.raises(UsageError, match="1 channels: nothing tells --mean, --std"):
        export_member(tmp_path / "a.pt", spec, tmp_path)


def test_a_net_of_fixed_size_is_built_for_the_size_that_was_asked() -> None:
    flags = PreprocessFlags(height=64, width=96)
    net, _, _ = nets._from_timm(ExportSpec("test_vit", (LABEL,), preprocess=flags))
    assert net(torch.zeros(1, 3, 64, 96)).shape == (1, 3)


def test_weights_under_a_prefix_beside_others_are_told(
    net: nn.Module, folder: Path, tmp_path: Path
) -> None:
    state = {f"model.{key}": value for key, value in net.state_dict().items()}
    path = checkpoint(folder, {**state, "criterion.weight": torch.ones(3)})
    with pytest.raises(MemberError, match=r"under 'model\.'; beside them are criterion\.weight"):
        export_member(path, TINY, tmp_path)
