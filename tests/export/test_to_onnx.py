"""A checkpoint becomes a member whose outputs agree with torch, or no file at all."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import timm
import torch
from factories import GREY, LABEL, MODULE, SIZE, TINY, checkpoint, factory
from numpy.typing import NDArray
from torch import nn

from ensemble.boxes import Crop
from ensemble.errors import MemberError, UsageError
from ensemble.export import exporters, proof
from ensemble.export import to_onnx as export
from ensemble.export.loaded_net import load_net
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags
from ensemble.export.to_onnx import Exported, export_member
from ensemble.members.card import Card
from ensemble.members.member import open_member
from ensemble.records import Preprocess, Size, Task
from ensemble.runtime.session import run_once


@dataclass(frozen=True, slots=True)
class Made:
    """A member, the net that it was made from, and what torch's exporter gave."""

    exported: Exported
    net: nn.Module
    program: torch.onnx.ONNXProgram

    def outputs(self, batch: int, size: int) -> tuple[object, Mapping[str, NDArray[np.float32]]]:
        channels = len(self.exported.card.preprocess.mean)
        images = torch.randn(batch, channels, size, size)
        with torch.inference_mode():
            return self.net(images), run_once(
                self.exported.path.read_bytes(), {"image": images.numpy()}
            )


def make(folder: Path, net: nn.Module, spec: ExportSpec, name: str) -> Made:
    programs: list[torch.onnx.ONNXProgram] = []
    to_onnx = torch.onnx.export

    def recorded(*args: object, **options: object) -> object:
        programs.append(to_onnx(*args, **options))  # type: ignore[arg-type]
        return programs[-1]

    safetensors.torch.save_file(dict(net.state_dict()), folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", recorded)
        exported = export_member(folder / name, spec, folder / "members")
    return Made(exported, net.eval(), programs[0])


@pytest.fixture(scope="module")
def rgb(folder: Path) -> Made:
    return make(folder, factory(folder, "tiny", 3), TINY, "tiny-f0.safetensors")


@pytest.fixture(scope="module")
def two(folder: Path) -> Made:
    """Two heads in a dict, asked for in another order, over one channel and any size."""
    heads = (HeadSpec("mask", ("no", "half", "yes")), HeadSpec("age", ("young", "old")))
    arch = f"{MODULE}:two_heads"
    spec = ExportSpec(arch, heads, preprocess=GREY, in_chans=1, dynamic_size=True)
    net = factory(folder, "two_heads", 5)
    return make(folder, net, spec, "two_fold_1_best.safetensors")


@pytest.fixture(scope="module")
def small_timm(folder: Path) -> Made:
    net = timm.create_model("test_resnet", num_classes=3)
    spec = ExportSpec("test_resnet", (LABEL,), preprocess=PreprocessFlags(crop_pct=0.9))
    return make(folder, net, spec, "resnet-f2.safetensors")


@pytest.fixture
def again(rgb: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter gives its earlier answer at once."""
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: rgb.program)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_member_agrees_with_torch(batch: int, rgb: Made) -> None:
    expected, found = rgb.outputs(batch, 16)
    np.testing.assert_allclose(found["label"], expected, rtol=0, atol=1e-4)


def test_a_member_opens(rgb: Made) -> None:
    member = open_member(rgb.exported.path)
    assert member.card == rgb.exported.card
    assert member.batch is None


def test_a_member_is_called_after_its_family_and_fold(rgb: Made) -> None:
    assert rgb.exported.path.name == "tiny-f0.onnx"
    assert rgb.exported.card.name == "tiny-f0"


def test_a_factory_has_plain_defaults(rgb: Made) -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)
    expected = Preprocess(Size(16, 16), "crop", 1.0, "bilinear", mean, std)
    assert rgb.exported.card.preprocess == expected


def test_the_card_tells_where_the_member_comes_from(rgb: Made) -> None:
    source = rgb.exported.card.source
    assert source["checkpoint"] == "tiny-f0.safetensors"
    assert source["torch"] == str(torch.__version__)
    assert source["max_abs_diff"] == rgb.exported.max_abs_diff <= 1e-4


def test_a_member_holds_no_path_of_the_machine(rgb: Made, folder: Path) -> None:
    data = rgb.exported.path.read_bytes()
    assert b"stack_trace" not in data
    assert str(folder).encode() not in data


def test_a_member_has_an_opset_and_ir_that_old_runtimes_read(rgb: Made) -> None:
    model = onnx.load(rgb.exported.path)
    assert model.ir_version <= 10
    assert [opset.version for opset in model.opset_import] == [18]


def test_the_working_directory_leaves_the_import_path(rgb: Made, folder: Path) -> None:
    assert rgb.exported.path.is_file()
    assert str(folder) not in sys.path


@pytest.mark.parametrize("size", [16, 48])
def test_heads_agree_with_torch_at_every_size(size: int, two: Made) -> None:
    expected, found = two.outputs(5, size)
    assert isinstance(expected, dict)
    for name in ("age", "mask"):
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-4)


def test_heads_come_in_the_order_that_was_asked(two: Made) -> None:
    assert [head.name for head in two.exported.card.heads] == ["mask", "age"]


def test_a_member_of_one_channel_and_any_size_opens(two: Made) -> None:
    card = open_member(two.exported.path).card
    assert card.dynamic_size
    assert card.preprocess.mean == (0.5,)


def test_a_timm_member_carries_timm_s_preprocessing(small_timm: Made) -> None:
    half = (0.5, 0.5, 0.5)
    expected = Preprocess(Size(160, 160), "crop", 0.9, "bilinear", half, half)
    assert small_timm.exported.card.preprocess == expected


def test_a_timm_member_tells_timm_s_version(small_timm: Made) -> None:
    assert small_timm.exported.card.source["timm"] == timm.__version__


def test_a_timm_member_agrees_with_torch(small_timm: Made) -> None:
    expected, found = small_timm.outputs(5, 160)
    np.testing.assert_allclose(found["label"], expected, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("again")
def test_other_outputs_leave_no_file(
    rgb: Made, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lie(
        model: bytes, inputs: Mapping[str, NDArray[np.float32]], where: Path
    ) -> dict[str, NDArray[np.float32]]:
        return {name: value + 0.01 for name, value in run_once(model, inputs, where).items()}

    monkeypatch.setattr(proof, "run_once", lie)
    path = checkpoint(folder, rgb.net.state_dict())
    with pytest.raises(MemberError, match=r"differ by 0\.01 on head 'label' at batch 1, 16x16"):
        export_member(path, TINY, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("again")
def test_who_judges_a_member_sees_its_card_and_adds_to_it(
    rgb: Made, folder: Path, tmp_path: Path
) -> None:
    loaded = load_net(checkpoint(folder, rgb.net.state_dict()), TINY)
    seen = []

    def judge(card: Card) -> dict[str, str | float]:
        seen.append((card.name, card.heads[0].activation, list(tmp_path.iterdir())))
        return {"judged_on": 7}

    made = export.write_member(loaded, TINY, tmp_path, ("mine", None), judge=judge)
    assert seen == [("mine", "softmax", [])]
    assert open_member(made.path).card.source["judged_on"] == 7


@pytest.mark.usefixtures("again")
def test_a_member_that_its_judge_refuses_is_not_written(
    rgb: Made, folder: Path, tmp_path: Path
) -> None:
    loaded = load_net(checkpoint(folder, rgb.net.state_dict()), TINY)

    def refuse(_: Card) -> dict[str, str | float]:
        raise MemberError("worse")

    with pytest.raises(MemberError, match="worse"):
        export.write_member(loaded, TINY, tmp_path, ("mine", None), judge=refuse)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("again")
def test_a_prefix_that_was_stripped_is_recorded(rgb: Made, folder: Path, tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in rgb.net.state_dict().items()}
    exported = export_member(checkpoint(folder, state), TINY, tmp_path)
    assert exported.stripped == "module."
    assert exported.card.source["stripped_prefix"] == "module."


@pytest.mark.usefixtures("again")
def test_large_weights_lie_beside_and_are_hashed(
    rgb: Made, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporters, "_ONE_FILE", 0)
    path = checkpoint(folder, rgb.net.state_dict())
    exported = export_member(path, replace(TINY, family="large"), tmp_path)
    assert "sha256:large-f0.onnx.data" in exported.card.source
    assert open_member(exported.path).card == exported.card


@pytest.mark.usefixtures("again")
def test_a_head_named_like_an_inner_tensor_is_refused(
    rgb: Made, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(rgb.program.model_proto)
    model.graph.node[0].output[0] = "label"
    monkeypatch.setattr(type(rgb.program), "model_proto", property(lambda _: model))
    with pytest.raises(MemberError, match="inner tensor: rename the head"):
        export_member(checkpoint(folder, rgb.net.state_dict()), TINY, tmp_path)


def test_a_refusal_of_torch_s_exporter_names_the_checkpoint(
    rgb: Made, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    path = checkpoint(folder, rgb.net.state_dict())
    with pytest.raises(MemberError, match=r"other-f0.*cannot export the net: no such operator"):
        export_member(path, TINY, tmp_path)


@pytest.mark.usefixtures("again")
def test_a_graph_with_a_fixed_batch_is_refused(
    rgb: Made, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(rgb.program.model_proto)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 2
    monkeypatch.setattr(type(rgb.program), "model_proto", property(lambda _: model))
    with pytest.raises(MemberError, match="fixes its batch"):
        export_member(checkpoint(folder, rgb.net.state_dict()), TINY, tmp_path)


def test_a_net_of_a_fixed_batch_is_refused(folder: Path, tmp_path: Path) -> None:
    path = checkpoint(folder, factory(folder, "frozen", 3).state_dict())
    with pytest.raises(MemberError, match="fails on images of 1x3x16x16"):
        export_member(path, replace(TINY, arch=f"{MODULE}:frozen"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nan_weights_are_refused(rgb: Made, folder: Path, tmp_path: Path) -> None:
    state = {**rgb.net.state_dict(), "4.bias": torch.full((3,), float("nan"))}
    with pytest.raises(MemberError, match="gives NaN or infinity"):
        export_member(checkpoint(folder, state), TINY, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "no_such_package_here:net"}, "cannot import no_such_package_here"),
        ({"arch": f"{MODULE}:tinny"}, "has no 'tinny'. Did you mean tiny"),
        ({"arch": f"{MODULE}:no_module"}, "expected a torch.nn.Module from it, got str"),
        (
            {"arch": f"{MODULE}:no_argument"},
            "called with num_classes=3, it raised TypeError: .*unexpected keyword",
        ),
        ({"arch": f"{MODULE}:broken"}, "it raised KeyError: 'depth'"),
        ({"arch": "test_resnett"}, "Did you mean test_resnet"),
        ({"arch": "hf-hub:timm/resnet18"}, "no timm net"),
        ({"preprocess": PreprocessFlags(height=16, mean=(0.5,) * 3)}, "tells --width, --std"),
        ({"in_chans": 1}, "mean has 3 values and std 3; expected 1"),
        ({"in_chans": 17}, "in_chans 17: expected 3 .*2 to 16 bands"),
        ({"activation": "sigmoid"}, "does not suit classification"),
        ({"heads": (LABEL, LABEL)}, "expected different names"),
        ({"heads": (HeadSpec("image", ("a",)),)}, "none of them 'image'"),
        ({"family": "../up"}, "it names a file"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_the_user_can_mend_is_a_usage_error(
    change: Mapping[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        export_member(tmp_path / "a.pt", replace(TINY, **change), tmp_path)  # type: ignore[arg-type]


def test_a_member_that_is_there_is_replaced_by_force_only(tmp_path: Path) -> None:
    (tmp_path / "net-f0.onnx").write_bytes(b"precious")
    with pytest.raises(UsageError, match="net-f0.onnx.*--force"):
        export.export_members([tmp_path / "net-f0.pt"], TINY, tmp_path)
    assert (tmp_path / "net-f0.onnx").read_bytes() == b"precious"
    forced = export.export_members([tmp_path / "net-f0.pt"], TINY, tmp_path, force=True)
    with pytest.raises(MemberError, match=r"net-f0\.pt"):  # so far as to read the checkpoint
        next(forced)


@pytest.mark.parametrize(
    "names", [("fold0/best.pt", "x/fold_0/last.pt"), ("a-f0.pt", "x/a_fold0.pt")]
)
def test_two_checkpoints_for_one_member_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="would both become"):
        export.export_members([tmp_path / name for name in names], TINY, tmp_path)


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"family": "vit"}, "vit-f3"), ({"fold": 1}, "tiny-f1"),
     ({"family": "vit", "fold": 0}, "vit-f0")],
)  # fmt: skip
def test_what_is_said_of_family_and_fold_goes_before_the_name_of_the_file(
    changes: Mapping[str, object], name: str, tmp_path: Path
) -> None:
    spec = replace(TINY, **changes)  # type: ignore[arg-type]
    (tmp_path / f"{name}.onnx").touch()
    with pytest.raises(UsageError, match=f"{name}.onnx: there already"):
        export.export_members([tmp_path / "tiny-f3.pt"], spec, tmp_path)


def test_a_name_of_a_fold_only_takes_its_family_from_the_architecture(tmp_path: Path) -> None:
    (tmp_path / "tiny-f2.onnx").touch()
    with pytest.raises(UsageError, match="tiny-f2.onnx: there already"):
        export.export_members([tmp_path / "fold2.ckpt"], TINY, tmp_path)


def test_two_folds_in_a_name_are_no_fault_where_both_are_said(tmp_path: Path) -> None:
    spec = replace(TINY, family="vit", fold=0)
    made = export.export_members([tmp_path / "a-f0-f1.pt"], spec, tmp_path)
    with pytest.raises(MemberError, match="a-f0-f1.pt: cannot read the checkpoint"):
        next(made)


def test_no_checkpoint_is_no_member(tmp_path: Path) -> None:
    assert list(export.export_members([], TINY, tmp_path)) == []


@pytest.mark.parametrize("heads", [(), (HeadSpec("", ("a",)),)])
def test_a_head_without_a_name_is_refused(heads: tuple[HeadSpec, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected different names, none of them 'image'"):
        export_member(tmp_path / "a.pt", replace(TINY, heads=heads), tmp_path)


@pytest.mark.usefixtures("again")
def test_probabilities_that_the_net_gives_itself_need_no_activation(
    rgb: Made, folder: Path, tmp_path: Path
) -> None:
    path = checkpoint(folder, rgb.net.state_dict())
    made = export_member(path, replace(TINY, activation="none"), tmp_path)
    assert made.card.heads[0].activation == "none"


@pytest.mark.usefixtures("again")
def test_a_trusted_file_is_told_on_the_card(rgb: Made, tmp_path: Path) -> None:
    path = tmp_path / "tiny-f0.pt"
    torch.save(rgb.net.state_dict(), path)
    spec = replace(TINY, trust_pickle=frozenset({path}))
    assert export_member(path, spec, tmp_path).card.source["trusted_pickle"] == "yes"
    assert "trusted_pickle" not in export_member(path, TINY, tmp_path).card.source


@pytest.mark.usefixtures("again")
def test_the_same_checkpoint_gives_the_same_bytes(rgb: Made, folder: Path, tmp_path: Path) -> None:
    path = checkpoint(folder, rgb.net.state_dict())
    one, other = (export_member(path, TINY, tmp_path / n).path.read_bytes() for n in "ab")
    assert one == other


@pytest.mark.usefixtures("again")
def test_members_are_written_one_by_one_as_they_are_asked_for(rgb: Made, tmp_path: Path) -> None:
    paths = [tmp_path / f"tiny-f{fold}.pt" for fold in (0, 1)]
    for path in paths:
        torch.save(rgb.net.state_dict(), path)
    made = export.export_members(paths, TINY, tmp_path / "out")
    assert next(made).path.name == "tiny-f0.onnx"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tiny-f0.onnx"]
    assert next(made).card.fold == 1


YEARS = HeadSpec("years", ("years",), task="regression")


def saved(net: nn.Module, path: Path) -> Path:
    safetensors.torch.save_file(dict(net.state_dict()), path)
    return path


def test_a_net_may_have_a_head_of_each_task(folder: Path) -> None:
    heads = (YEARS, HeadSpec("mask", ("no", "half", "yes")))
    spec = ExportSpec(f"{MODULE}:mixed", heads, preprocess=SIZE)
    net = factory(folder, "mixed", 4).eval()
    exported = export_member(saved(net, folder / "mixed-f0.safetensors"), spec, folder / "members")
    told = [(h.name, h.task, h.activation) for h in exported.card.heads]
    assert told == [("years", "regression", "none"), ("mask", "classification", "softmax")]
    images = torch.randn(3, 3, 16, 16)
    with torch.inference_mode():
        years, mask = net(images)
    found = run_once(exported.path.read_bytes(), {"image": images.numpy()})
    np.testing.assert_allclose(found["years"], years.numpy()[:, None], atol=1e-5)
    np.testing.assert_allclose(found["mask"], mask.numpy(), atol=1e-5)


def test_what_is_said_of_one_head_holds_whatever_its_last_operator(folder: Path) -> None:
    mask = HeadSpec("mask", ("no", "half", "yes"), activation="exp")
    spec = ExportSpec(f"{MODULE}:mixed", (YEARS, mask), preprocess=SIZE)
    path = saved(factory(folder, "mixed", 4), folder / "mixed-f1.safetensors")
    exported = export_member(path, spec, folder / "members")
    assert [head.activation for head in exported.card.heads] == ["none", "exp"]


def test_a_regression_may_give_a_number_an_image_without_a_column(folder: Path) -> None:
    spec = ExportSpec(f"{MODULE}:years", (YEARS,), preprocess=SIZE)
    net = factory(folder, "years", 1).eval()
    exported = export_member(saved(net, folder / "years-f0.safetensors"), spec, folder / "members")
    images = torch.randn(2, 3, 16, 16)
    with torch.inference_mode():
        expected = net(images).numpy()
    found = run_once(exported.path.read_bytes(), {"image": images.numpy()})["years"]
    assert found.shape == (2, 1)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)


def test_an_activation_that_does_not_suit_one_head_names_the_flag(folder: Path) -> None:
    heads = (YEARS, HeadSpec("mask", ("no", "half", "yes")))
    spec = ExportSpec(f"{MODULE}:mixed", heads, activation="softmax", preprocess=SIZE)
    with pytest.raises(UsageError, match="regression: give none; --activation years=none"):
        export_member(folder / "mixed-f0.pt", spec, folder / "members")


@pytest.mark.parametrize(
    ("name", "task", "activation"),
    [("sigmoids", "multilabel", "none"), ("log_softmax", "classification", "exp")],
)
def test_the_net_itself_tells_what_is_left_to_activate(
    folder: Path, tmp_path: Path, name: str, task: Task, activation: str
) -> None:
    path = checkpoint(tmp_path, factory(folder, name, 3).state_dict())
    exported = export_member(path, replace(TINY, arch=f"{MODULE}:{name}", task=task), tmp_path)
    assert exported.card.heads[0].activation == activation


def test_a_sigmoid_on_top_of_sigmoids_is_refused(folder: Path, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, factory(folder, "sigmoids", 3).state_dict())
    spec = replace(TINY, arch=f"{MODULE}:sigmoids", task="multilabel", activation="sigmoid")
    with pytest.raises(MemberError, match="other-f0.*comes from a sigmoid in the graph"):
        export_member(path, spec, tmp_path)
    assert not list(tmp_path.glob("*.onnx"))


def test_a_net_that_takes_statistics_of_the_batch_is_refused_unless_alone(
    folder: Path, tmp_path: Path
) -> None:
    """Its torch module does so too in evaluation mode, so the two agree."""
    path = checkpoint(tmp_path, factory(folder, "batch_statistics", 3).state_dict())
    spec = replace(TINY, arch=f"{MODULE}:batch_statistics")
    with pytest.raises(MemberError, match="other-f0.*depends on the images beside it"):
        export_member(path, spec, tmp_path)
    assert not list(tmp_path.glob("*.onnx"))


def test_an_export_may_declare_that_images_are_scored_alone(folder: Path, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, factory(folder, "tiny", 3).state_dict())
    assert export_member(path, replace(TINY, batch="alone"), tmp_path).card.batch == "alone"


def test_a_net_of_crops_says_so_on_its_card(folder: Path, tmp_path: Path) -> None:
    spec = replace(TINY, preprocess=replace(SIZE, margin=0.25, square=True))
    path = checkpoint(tmp_path, factory(folder, "tiny", 3).state_dict())
    card = export_member(path, spec, tmp_path / "out").card
    assert card.preprocess.crop == Crop(0.25, square=True)


def test_a_detector_is_not_exported(tmp_path: Path) -> None:
    spec = replace(TINY, heads=(HeadSpec("face", ("face",), task="boxes"),))
    with pytest.raises(UsageError, match="a detector is not exported here"):
        export_member(tmp_path / "a.pt", spec, tmp_path)
