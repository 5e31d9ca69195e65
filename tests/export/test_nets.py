"""A net is built by name or factory, and what it gives comes by head."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from factories import GREY, LABEL, MODULE, SIZE, TINY, checkpoint, factory

from ensemble.errors import MemberError, UsageError
from ensemble.export import nets
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags
from ensemble.export.to_onnx import export_member


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


def test_an_output_of_another_name_than_the_head_is_told_with_the_flag() -> None:
    with pytest.raises(MemberError, match="returns logits; the heads are label: say --head logits"):
        nets.in_order({"logits": A}, ["label"])


@pytest.mark.usefixtures("folder")
def test_a_factory_is_built_without_weights_with_what_the_flags_say() -> None:
    flags = replace(SIZE, fit="squash", crop_pct=0.9)
    built = nets.build(replace(TINY, preprocess=flags))
    net, pre, source = built.net, built.preprocess, built.source
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
    assert (pre.fit, pre.crop_pct, pre.interpolation) == ("squash", 0.9, "bilinear")
    assert source == {"torch": str(torch.__version__)}


def test_timm_tells_what_the_flags_do_not() -> None:
    flags = PreprocessFlags(height=96, width=64, mean=(0.1, 0.2, 0.3))
    built = nets.build(ExportSpec("test_resnet", (LABEL,), preprocess=flags))
    net, pre, source = built.net, built.preprocess, built.source
    config = timm.data.resolve_model_data_config(net)
    assert (str(pre.size), pre.mean) == ("96x64", (0.1, 0.2, 0.3))
    assert (pre.std, pre.crop_pct) == (tuple(config["std"]), config["crop_pct"])
    assert source["timm"] == timm.__version__


def test_a_mean_of_another_length_than_the_channels_is_told_with_its_flags() -> None:
    spec = ExportSpec("test_resnet", (LABEL,), preprocess=PreprocessFlags(mean=(0.5,)))
    with pytest.raises(UsageError, match=r"mean has 1 values and std 3; expected 3.*--in-chans"):
        nets.build(spec)


@pytest.mark.usefixtures("folder")
def test_a_factory_is_called_with_the_arguments_that_were_given() -> None:
    spec = replace(TINY, arch=f"{MODULE}:wide", args={"width": 6, "bias": False})
    built = nets.build(spec)
    assert [tuple(value.shape) for value in built.net.state_dict().values()] == [(3, 6)]
    assert (built.source["arg:width"], built.source["arg:bias"]) == ("6", "false")


@pytest.mark.usefixtures("folder")
def test_a_factory_that_lacks_an_argument_is_told_what_it_was_called_with() -> None:
    with pytest.raises(UsageError, match=r"called with num_classes=3, depth=4, it raised TypeErr"):
        nets.build(replace(TINY, args={"depth": 4}))


@pytest.mark.usefixtures("folder")
def test_the_number_of_classes_is_no_argument_to_give() -> None:
    with pytest.raises(UsageError, match="--arg num_classes: it is the number of --classes"):
        nets.build(replace(TINY, args={"num_classes": 4}))


def test_a_net_is_run_without_gradients_by_head() -> None:
    (found,) = nets.forward(torch.nn.Linear(3, 2), A, ["label"])
    assert found.shape == (2, 2)
    assert not found.requires_grad


def test_a_net_that_fails_is_told_with_the_shape_of_its_images() -> None:
    with pytest.raises(MemberError, match="the net itself fails on images of 2x3: ."):
        nets.forward(torch.nn.Linear(4, 2), A, ["label"])
