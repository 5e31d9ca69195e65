"""A net gets every weight of a checkpoint by torch's own rules, or none, and says which misfit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from factories import LABEL, MODULE, TINY, checkpoint, factory
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

from ensemble.errors import MemberError
from ensemble.export.checkpoints import Checkpoint, load_checkpoint
from ensemble.export.spec import ExportSpec
from ensemble.export.to_onnx import export_member
from ensemble.export.weights import Placed, load_weights

Weights = Mapping[str, torch.Tensor]


@pytest.fixture
def net(folder: Path) -> nn.Module:
    return factory(folder, "tiny", 3)


def loaded(net: nn.Module, state: Weights, spec: ExportSpec = TINY, **told: object) -> Placed:
    return load_weights(net, Checkpoint(dict(state), **told), Path("a.pt"), spec)  # type: ignore[arg-type]


def under(prefix: str, state: Weights) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


def ones(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: torch.ones_like(value) for key, value in net.state_dict().items()}


def saved(net: nn.Module, tmp_path: Path) -> Checkpoint:
    torch.save(net.state_dict(), tmp_path / "a.pt")
    return load_checkpoint(tmp_path / "a.pt")


def test_a_missing_weight_is_named(net: nn.Module, folder: Path, tmp_path: Path) -> None:
    state = {key: value for key, value in net.state_dict().items() if key != "4.bias"}
    with pytest.raises(MemberError, match=r"other-f0\.safetensors: .*1 missing: 4\.bias"):
        export_member(checkpoint(folder, state), TINY, tmp_path)


def test_a_wrong_count_of_classes_is_told(folder: Path, tmp_path: Path) -> None:
    path = checkpoint(folder, factory(folder, "tiny", 12).state_dict())
    with pytest.raises(MemberError, match="the checkpoint has 12 classes, --classes gives 3"):
        export_member(path, TINY, tmp_path)


def test_a_weight_of_another_shape_is_named(net: nn.Module, folder: Path, tmp_path: Path) -> None:
    state = {**net.state_dict(), "0.weight": torch.ones(4, 1, 3, 3)}
    with pytest.raises(MemberError, match=r"0\.weight \(4, 1, 3, 3\) for \(4, 3, 3, 3\)"):
        export_member(checkpoint(folder, state), TINY, tmp_path)


def test_weights_under_a_prefix_beside_others_are_told(
    net: nn.Module, folder: Path, tmp_path: Path
) -> None:
    state = {f"model.{key}": value for key, value in net.state_dict().items()}
    path = checkpoint(folder, {**state, "criterion.weight": torch.ones(3)})
    with pytest.raises(MemberError, match=r"under 'model\.', and 1 beside it: criterion\.weight"):
        export_member(path, TINY, tmp_path)


def test_every_weight_of_a_checkpoint_is_in_the_net(net: nn.Module, folder: Path) -> None:
    state = {key: torch.full_like(value, 2.5) for key, value in net.state_dict().items()}
    other = factory(folder, "tiny", 3)
    assert loaded(other, state) == Placed()
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
    "prefix",
    ["module.", "_orig_mod.", "model.", "net.", "backbone.", "student.", "timm_model.",
     "model._orig_mod.", "model.module.", "module.encoder.0."],
)  # fmt: skip
def test_any_prefix_that_leaves_every_weight_in_place_is_stripped(
    prefix: str, net: nn.Module
) -> None:
    assert loaded(net, under(prefix, ones(net))) == Placed(prefix)
    assert all((value == 1).all() for value in net.state_dict().values())


@pytest.mark.parametrize(("own", "left"), [("model.", ""), ("module.model.", "module."),
                                           ("net.model.", "net.")])  # fmt: skip
def test_a_prefix_that_the_net_itself_carries_stays(own: str, left: str, net: nn.Module) -> None:
    state, wrapped = under(own, ones(net)), Wrapped(net)
    assert loaded(wrapped, state).stripped == left
    assert all((value == 1).all() for value in wrapped.state_dict().values())


def test_two_prefixes_are_not_chosen_between(net: nn.Module) -> None:
    both = under("student.", ones(net)) | under("teacher.", ones(net))
    with pytest.raises(MemberError, match="under 'student.' and 'teacher.'; .* --drop teacher."):
        loaded(net, both)


def test_what_lies_beside_the_net_is_told_with_what_drops_it(net: nn.Module) -> None:
    beside = {"criterion.weight": torch.ones(3), "metric.a": torch.ones(1), "t": torch.ones(1)}
    with pytest.raises(MemberError) as told:
        loaded(net, under("model.", ones(net)) | beside)
    assert str(told.value) == (
        "a.pt: every weight is there, under 'model.', and 3 beside it: criterion.weight, metric.a, "
        "t. They are not dropped in silence: say --drop criterion. --drop metric. --drop t, or "
        "save the net alone, as torch.save(module.model.state_dict(), FILE)"
    )


def test_what_lies_among_the_weights_is_told_with_what_drops_it(net: nn.Module) -> None:
    with pytest.raises(MemberError, match=r"1 unexpected: loss\.weight. .*say --drop loss\., or"):
        loaded(net, ones(net) | {"loss.weight": torch.ones(3)})


def test_no_message_names_nothing(net: nn.Module) -> None:
    for state in ({}, {"x": torch.ones(1)}, ones(net) | {"x": torch.ones(1)}):
        with pytest.raises(MemberError) as told:
            loaded(net, state)
        assert " ," not in str(told.value)
        assert "are ," not in str(told.value)


@pytest.mark.parametrize("average", ["model_ema.module.", "ema.", "averaged_model.module."])
def test_an_average_beside_the_weights_is_left_out_with_a_note(
    average: str, net: nn.Module
) -> None:
    other = {key: torch.zeros_like(value) for key, value in net.state_dict().items()}
    both = under("model.", ones(net)) | under(average, other)
    placed = loaded(net, both)
    assert placed.stripped == "model."
    assert placed.notes == (f"the weights under {average!r} were left out (--ema takes them)",)
    assert all((value == 1).all() for value in net.state_dict().values())


def test_an_average_beside_the_weights_is_taken_when_asked_for(net: nn.Module) -> None:
    other = {key: torch.full_like(value, 3) for key, value in net.state_dict().items()}
    counter = {"averaged_model.n_averaged": torch.ones(())}
    both = under("model.", ones(net)) | under("averaged_model.module.", other) | counter
    placed = loaded(net, both, replace(TINY, ema=True))
    assert placed.stripped == "averaged_model.module."
    assert all((value == 3).all() for value in net.state_dict().values())


def test_an_average_of_its_own_entry_needs_no_such_name(net: nn.Module) -> None:
    state = under("module.", ones(net))
    assert loaded(net, state, replace(TINY, ema=True), averaged=True).stripped == "module."


def test_an_average_of_some_weights_is_none(net: nn.Module) -> None:
    both = under("model.", ones(net)) | {"model_ema.decay": torch.ones(1)}
    with pytest.raises(MemberError, match="holds no EMA weights"):
        loaded(net, both, replace(TINY, ema=True))


def normed(norm: object) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(norm(nn.Linear(4, 5)), nn.Linear(5, 3))  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_weight_norm_of_older_names_loads_as_torch_loads_it(prefix: str) -> None:
    old, new = normed(weight_norm), normed(parametrizations.weight_norm)
    state = {key: value + 1 for key, value in old.state_dict().items()}
    old.load_state_dict(state)
    assert loaded(new, under(prefix, state)).stripped == prefix
    images = torch.randn(2, 4)
    assert torch.allclose(new(images), old(images), rtol=0, atol=1e-6)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_counters_that_old_batch_norms_lack_are_no_fault(prefix: str) -> None:
    net = nn.Sequential(nn.BatchNorm2d(2))
    state = {key: value + 1 for key, value in net.state_dict().items() if "num" not in key}
    loaded(net, under(prefix, state))
    assert torch.equal(net[0].running_mean, torch.ones(2))


def test_a_counter_that_a_new_batch_norm_lacks_is_told() -> None:
    net = nn.Sequential(nn.BatchNorm2d(2))
    state = {key: value for key, value in net.state_dict().items() if "num" not in key}
    with pytest.raises(MemberError, match="1 missing: 0.num_batches_tracked"):
        loaded(net, state, versions={"0": {"version": 2}})


class Versioned(nn.Module):
    """A net that reads its weights by the version that the file notes beside them."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def _load_from_state_dict(self, *args: object) -> None:
        metadata = args[2]
        assert isinstance(metadata, dict)
        if metadata.get("version") not in (1, 2):
            raise ValueError(f"version should be 1 or 2, not {metadata.get('version')}")
        super()._load_from_state_dict(*args)


@pytest.mark.parametrize("outer", [Versioned, lambda: Wrapped(Versioned()),
                                   lambda: nn.ModuleDict({"a": Wrapped(Versioned())})])  # fmt: skip
def test_the_versions_of_modules_follow_the_prefix(outer: object, tmp_path: Path) -> None:
    checkpoint = saved(outer(), tmp_path)  # type: ignore[operator]
    load_weights(net := Versioned(), checkpoint, tmp_path / "a.pt", TINY)
    assert torch.equal(net.head.weight, next(iter(checkpoint.state.values())))


def test_a_file_that_lost_the_versions_is_told_with_the_remedy() -> None:
    net = Versioned()
    before = net.head.weight.clone()
    with pytest.raises(MemberError, match=r"version should be 1 or 2, not None. Save them again"):
        loaded(net, ones(net))
    assert torch.equal(net.head.weight, before)


def test_a_net_of_torchvision_with_versions_loads(tmp_path: Path) -> None:
    from torchvision.models import mnasnet0_5

    torch.manual_seed(1)
    checkpoint = saved(mnasnet0_5(num_classes=3, weights=None), tmp_path)
    net = mnasnet0_5(num_classes=3, weights=None)
    load_weights(net, checkpoint, tmp_path / "a.pt", TINY)
    assert torch.equal(net.classifier[1].weight, checkpoint.state["classifier.1.weight"])


def test_lazy_modules_get_their_shapes_from_the_checkpoint() -> None:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    state = {"1.weight": torch.ones(3, 12), "1.bias": torch.ones(3)}
    loaded(net, state)
    assert torch.equal(net(torch.ones(1, 3, 2, 2)), torch.full((1, 3), 13.0))


def test_a_lazy_module_without_its_weights_is_told() -> None:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(MemberError, match="1 missing: 1.weight"):
        loaded(net, {"1.bias": torch.ones(3)})


def test_whatever_a_hook_raises_names_the_file(net: nn.Module) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("in a hook")

    net.register_load_state_dict_pre_hook(fail)
    with pytest.raises(MemberError, match="a.pt: torch cannot load its weights: in a hook"):
        loaded(net, ones(net))


VIT = ExportSpec("test_vit", (LABEL,))


def test_weights_of_another_image_size_are_told_with_the_flags() -> None:
    other = timm.create_model("test_vit", num_classes=3, img_size=96)
    net = timm.create_model("test_vit", num_classes=3)
    with pytest.raises(MemberError, match=r"pos_embed .* images of another size: give its --heig"):
        loaded(net, other.state_dict(), VIT)


def test_weights_of_another_image_size_under_old_names_are_not_resized() -> None:
    other = timm.create_model("test_vit", num_classes=3, img_size=96)
    state = dict(other.state_dict()) | {"mask_token": torch.zeros(1, 64)}
    net = timm.create_model("test_vit", num_classes=3)
    with pytest.raises(MemberError, match=r"a.pt: .* images of another size: give its --height"):
        loaded(net, state, VIT)


SWIN = ExportSpec("swin_tiny_patch4_window7_224", (LABEL,))


def test_a_swin_of_an_older_timm_loads_with_a_note() -> None:
    def swin() -> nn.Module:
        return timm.create_model(  # type: ignore[no-any-return]
            SWIN.arch, num_classes=3, embed_dim=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1)
        )

    def older(name: str) -> str:
        layer = int(name.split(".")[1]) if ".downsample." in name else 0
        name = name.replace(f"layers.{layer}.downsample", f"layers.{layer - 1}.downsample")
        return name.replace("head.fc.", "head.")

    torch.manual_seed(5)
    trained, net = swin(), swin()
    state = {older(name): value for name, value in trained.state_dict().items()}
    masks = {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49)}
    placed = loaded(net, state | masks, SWIN)
    assert "checkpoint_filter_fn renamed" in placed.notes[0]
    assert "relative_position_index" in placed.notes[0]
    assert all(torch.equal(net.state_dict()[k], v) for k, v in trained.state_dict().items())


def test_weights_of_timm_s_names_of_today_need_no_note() -> None:
    net = timm.create_model("test_resnet", num_classes=3)
    spec = ExportSpec("test_resnet", (LABEL,))
    assert loaded(net, under("model.", net.state_dict()), spec) == Placed("model.")
