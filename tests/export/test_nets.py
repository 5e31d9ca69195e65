"""A net gets every weight of a checkpoint, or none, and says which do not fit."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from factories import GREY, LABEL, MODULE, SIZE, TINY, checkpoint, factory
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


def loaded(net: nn.Module, state: dict[str, torch.Tensor], stripped: str = "") -> str:
    return nets.load_weights(net, state, stripped, Path("a.pt"), TINY)


def test_every_weight_of_a_checkpoint_is_in_the_net(net: nn.Module, folder: Path) -> None:
    state = {key: torch.full_like(value, 2.5) for key, value in net.state_dict().items()}
    other = factory(folder, "tiny", 3)
    assert loaded(other, state) == ""
    assert all(torch.equal(other.state_dict()[key], value) for key, value in state.items())


def test_where_one_weight_does_not_fit_none_is_loaded(net: nn.Module) -> None:
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = {key: torch.zeros_like(value) for key, value in before.items()}
    with pytest.raises(MemberError, match="1 unexpected: more"):
        loaded(net, {**state, "more": torch.zeros(1)})
    assert all(torch.equal(net.state_dict()[key], value) for key, value in before.items())


def test_all_faults_of_a_checkpoint_are_told_at_once(net: nn.Module) -> None:
    state = {**net.state_dict(), "0.bias": torch.zeros(9), "odd": torch.zeros(1)}
    del state["4.bias"]
    with pytest.raises(MemberError) as told:
        loaded(net, state)
    assert str(told.value) == (
        f"a.pt: its weights do not fit {MODULE}:tiny: 1 missing: 4.bias; 1 unexpected: odd; "
        "1 of another shape: 0.bias (9,) for (4,). Give the --arch that it was trained with, or "
        "rename the weights"
    )


class Wrapped(nn.Module):
    """A net that carries a prefix in its own names."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.model = inner


@pytest.mark.parametrize(
    ("stripped", "left"), [("model.", ""), ("module.model.", "module."), ("net.model.", "net.")]
)
def test_a_prefix_that_the_net_itself_carries_is_given_back(
    stripped: str, left: str, net: nn.Module
) -> None:
    state = {key: torch.ones_like(value) for key, value in net.state_dict().items()}
    wrapped = Wrapped(net)
    assert loaded(wrapped, state, stripped) == left
    assert all((value == 1).all() for value in wrapped.state_dict().values())


def test_a_prefix_that_the_net_does_not_carry_stays_off(net: nn.Module) -> None:
    assert loaded(net, dict(net.state_dict()), "module.") == "module."


A, B = torch.zeros(2, 3), torch.ones(2, 2)


@pytest.mark.parametrize("found", [{"a": A, "b": B}, {"b": B, "a": A}, (A, B), [A, B]])
def test_outputs_come_in_the_order_of_the_heads(found: object) -> None:
    one, other = nets.in_order(found, ["a", "b"])
    assert one is A
    assert other is B


def test_a_lone_tensor_is_the_only_head() -> None:
    assert nets.in_order(A, ["label"]) == (A,)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": A, "c": B}, "the net returns a, c; the heads are a, b"),
        (A, r"the net returns 1 output\(s\); the heads are a, b"),
        ((A, B, A), r"the net returns 3 output\(s\); the heads are a, b"),
        (None, r"the net returns NoneType output\(s\); the heads are a, b"),
    ],
)
def test_outputs_that_are_not_the_heads_are_told(found: object, message: str) -> None:
    with pytest.raises(MemberError, match=message):
        nets.in_order(found, ["a", "b"])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("one\n\n  two \nthree"), "one two"),
        (KeyError(), "KeyError"),
        (RuntimeError("x" * 900), "x" * 300),
    ],
)
def test_an_error_of_torch_is_told_by_its_first_two_lines(error: Exception, told: str) -> None:
    assert nets.brief(error) == told


def test_the_columns_of_a_net_are_the_classes_of_all_its_heads() -> None:
    heads = (HeadSpec("a", ("x", "y")), HeadSpec("b", ("u", "v", "w")))
    assert nets.columns_of(ExportSpec("net", heads)) == 5


@pytest.mark.usefixtures("folder")
def test_a_factory_is_built_without_weights_with_what_the_flags_say() -> None:
    flags = replace(SIZE, fit="squash", crop_pct=0.9)
    net, pre, source = nets.build(replace(TINY, preprocess=flags))
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
    assert (pre.fit, pre.crop_pct, pre.interpolation) == ("squash", 0.9, "bilinear")
    assert source == {"torch": str(torch.__version__)}


def test_timm_tells_what_the_flags_do_not() -> None:
    flags = PreprocessFlags(height=96, width=64, mean=(0.1, 0.2, 0.3))
    net, pre, source = nets.build(ExportSpec("test_resnet", (LABEL,), preprocess=flags))
    config = timm.data.resolve_model_data_config(net)
    assert (str(pre.size), pre.mean) == ("96x64", (0.1, 0.2, 0.3))
    assert (pre.std, pre.crop_pct) == (tuple(config["std"]), config["crop_pct"])
    assert source["timm"] == timm.__version__


def test_a_mean_of_another_length_than_the_channels_is_told_with_its_flags() -> None:
    spec = ExportSpec("test_resnet", (LABEL,), preprocess=PreprocessFlags(mean=(0.5,)))
    with pytest.raises(UsageError, match=r"mean has 1 values and std 3; expected 3.*--in-chans"):
        nets.build(spec)


def test_a_name_that_is_near_no_net_points_at_the_list() -> None:
    with pytest.raises(UsageError, match=r"no timm net.*See timm\.list_models\(\)"):
        nets.build(ExportSpec("q" * 30, (LABEL,)))
