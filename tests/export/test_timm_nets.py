"""Nets of timm are built for export, and old checkpoints read as timm reads them."""

import sys

import pytest
import timm
import torch
from factories import LABEL

from ensemble.errors import MemberError, UsageError
from ensemble.export import timm_nets
from ensemble.export.spec import ExportSpec, PreprocessFlags


def test_a_net_of_fixed_size_is_built_for_the_size_that_was_asked() -> None:
    flags = PreprocessFlags(height=64, width=96)
    net, _, _, _ = timm_nets.build(ExportSpec("test_vit", (LABEL,), preprocess=flags))
    assert net(torch.zeros(1, 3, 64, 96)).shape == (1, 3)


def test_a_name_that_is_near_no_net_points_at_the_list() -> None:
    with pytest.raises(UsageError, match=r"no timm net.*See timm\.list_models\(\)"):
        timm_nets.build(ExportSpec("q" * 30, (LABEL,)))


def test_a_net_is_built_exportable_and_leaves_others_as_they_were() -> None:
    net, *_ = timm_nets.build(ExportSpec("test_vit", (LABEL,)))
    assert not net.blocks[0].attn.fused_attn
    assert timm.create_model("test_vit").blocks[0].attn.fused_attn == timm.layers.use_fused_attn()
    assert not timm.layers.is_exportable()


def test_nets_of_a_factory_are_exportable_too() -> None:
    with timm_nets.exportable():
        assert timm.layers.is_exportable()
    assert not timm.layers.is_exportable()


def test_without_timm_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "timm")
    with timm_nets.exportable():
        assert "timm" not in sys.modules


@pytest.mark.parametrize("arch", ["hf-hub:timm/resnet18.a1_in1k", "hf_hub:timm/resnet18.a1_in1k"])
def test_a_name_of_the_hub_gets_the_name_of_timm(arch: str) -> None:
    with pytest.raises(UsageError, match=r"no timm net.* Did you mean resnet18\.a1_in1k\?"):
        timm_nets.build(ExportSpec(arch, (LABEL,)))


def test_a_name_of_an_older_timm_is_a_note_and_no_warning() -> None:
    net, _, _, notes = timm_nets.build(ExportSpec("tf_efficientnet_b0_ns", (LABEL,)))
    assert "tf_efficientnet_b0.ns_jft_in1k" in notes[0]
    assert net.pretrained_cfg["tag"] == "ns_jft_in1k"


def test_arguments_reach_timm() -> None:
    net, *_ = timm_nets.build(ExportSpec("test_vit", (LABEL,), args={"depth": 3}))
    assert len(net.blocks) == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [({"num_classes": 3}, "--arg num_classes: an export gives it itself"),
     ({"pretrained": True}, "--arg pretrained: an export gives it itself"),
     ({"no_such": 1}, "timm cannot build it: .*no_such"),
     ({"depth": "deep"}, "timm cannot build it")],
)  # fmt: skip
def test_arguments_that_timm_does_not_take_are_told(args: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        timm_nets.build(ExportSpec("test_vit", (LABEL,), args=args))


def test_weights_of_a_net_without_a_filter_stay() -> None:
    net = timm.create_model("test_resnet", num_classes=3)
    state = {"odd": torch.ones(1)}
    assert timm_nets.filtered("test_resnet", net, state) == (state, ())


def test_a_filter_that_fails_is_a_member_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(state: object, net: object) -> None:
        raise ZeroDivisionError("within timm")

    monkeypatch.setattr(timm.models.vision_transformer, "checkpoint_filter_fn", fail)
    net = timm.create_model("test_vit", num_classes=3)
    with pytest.raises(MemberError, match="filter_fn of test_vit fails .*: within timm"):
        timm_nets.filtered("test_vit", net, {"odd": torch.ones(1)})


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pos_embed", True), ("blocks.0.attn.relative_position_bias_table", True),
     ("blocks.0.attn.rel_pos_h", True), ("stages.0.0.attention_biases", True),
     ("head.weight", False), ("layers.0.conv.bias", False)],
)  # fmt: skip
def test_weights_of_places_are_known_by_name(name: str, expected: bool) -> None:
    assert timm_nets.is_place(name) is expected
