"""Weights are averaged, batch norms measured anew, and nothing else changes."""

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ensemble.errors import MemberError, UsageError
from ensemble.export import soup
from ensemble.export.loaded_net import LoadedNet
from ensemble.records import Preprocess, Size

PREPROCESS = Preprocess(Size(4, 4), "crop", 1.0, "bilinear", (0.5,) * 3, (0.25,) * 3)
HEADS = ("label",)


def net() -> nn.Module:
    """A convolution, a batch norm and a linear map, of weights by chance."""
    return nn.Sequential(
        nn.Conv2d(3, 5, 3),
        nn.BatchNorm2d(5, momentum=0.3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 2),
    ).eval()


def part(number: int, module: nn.Module | None = None, **source: str) -> LoadedNet:
    torch.manual_seed(number)
    told: dict[str, str | float] = {
        "torch": "2", "checkpoint": f"e{number}.pt", "checkpoint_sha256": f"{number:064}", **source
    }  # fmt: skip
    return LoadedNet(Path(f"run/e{number}.pt"), module or net(), PREPROCESS, told)


def batches(count: int = 3, size: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(1, 2, (size, 3, 4, 4)).astype(np.float32) for _ in range(count)]


def test_weights_are_the_mean_of_the_parts_weights() -> None:
    parts = [part(1), part(2), part(3)]
    found = dict(soup.averaged(parts).net.named_parameters())
    for name, weight in found.items():
        each = [dict(p.net.named_parameters())[name].detach().double().numpy() for p in parts]
        np.testing.assert_allclose(weight.detach().numpy(), np.mean(each, axis=0), atol=1e-6)


def test_the_order_of_the_parts_changes_no_bit() -> None:
    one, other = (soup.averaged([part(n) for n in order]).net for order in ((1, 2, 3), (3, 1, 2)))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_the_parts_stay_as_they_are() -> None:
    parts = [part(1), part(2)]
    before = [copy.deepcopy(p.net.state_dict()) for p in parts]
    made = soup.averaged(parts)
    soup.recalibrated(made, HEADS, batches())
    for p, state in zip(parts, before, strict=True):
        assert all(torch.equal(p.net.state_dict()[name], state[name]) for name in state)


@pytest.mark.parametrize("numbers", [[], [1], [1, 1], [1, 2, 1]])
def test_fewer_than_two_different_files_are_no_soup(numbers: list[int]) -> None:
    with pytest.raises(UsageError, match="expected two checkpoints or more, all different"):
        soup.averaged([part(number) for number in numbers])


def test_the_card_names_each_file_and_what_they_share() -> None:
    source = soup.averaged([part(2, weights="ema"), part(1, weights="ema", key="net")]).source
    assert source == {
        "torch": "2",
        "weights": "ema",
        "soup": 2,
        "soup:1": f"e1.pt {1:064}",
        "soup:2": f"e2.pt {2:064}",
    }


def test_a_pickle_that_was_trusted_is_told_though_only_one_was() -> None:
    assert soup.averaged([part(1), part(2, trusted_pickle="yes")]).source["trusted_pickle"] == "yes"


class Counting(nn.Module):
    """A net with a buffer that is no batch norm's."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.body = net()
        self.register_buffer("steps", torch.tensor(steps))


def test_buffers_that_have_no_average_are_noted() -> None:
    made = soup.averaged([part(1, Counting(10)), part(2, Counting(20))])
    assert made.notes == ("the buffers steps are those of e2.pt, as only weights have an average",)
    assert int(made.net.get_buffer("steps")) == 20


def test_buffers_that_are_equal_are_not_noted() -> None:
    assert soup.averaged([part(1, Counting(10)), part(2, Counting(10))]).notes == ()


def test_a_batch_norm_has_the_means_over_batches() -> None:
    made = soup.averaged([part(1), part(2)])
    weight, bias = (made.net.state_dict()[f"0.{name}"].double() for name in ("weight", "bias"))
    given = batches()
    assert soup.recalibrated(made, HEADS, given) == 18
    seen = [
        nn.functional.conv2d(torch.from_numpy(batch).double(), weight, bias).numpy()
        for batch in given
    ]
    mean = np.mean([values.mean((0, 2, 3)) for values in seen], axis=0)
    variance = np.mean([values.var((0, 2, 3), ddof=1) for values in seen], axis=0)
    np.testing.assert_allclose(made.net.get_buffer("1.running_mean").numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(made.net.get_buffer("1.running_var").numpy(), variance, rtol=1e-5)


def test_afterwards_all_evaluates_and_the_momentum_is_back() -> None:
    made = soup.averaged([part(1), part(2)])
    soup.recalibrated(made, HEADS, batches())
    assert not any(module.training for module in made.net.modules())
    assert made.net.get_submodule("1").momentum == 0.3


def test_dropout_is_off_while_batch_norms_are_measured() -> None:
    net = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made, (batch,) = part(1, net.eval()), batches(1)
    soup.recalibrated(made, HEADS, [batch])
    found = net.get_buffer("1.running_mean").numpy()
    np.testing.assert_allclose(found, batch.astype(np.float64).mean((0, 2, 3)), rtol=1e-5)


def test_without_batch_norms_no_image_is_looked_at() -> None:
    def never() -> Iterator[np.ndarray]:
        raise RuntimeError
        yield

    assert soup.recalibrated(part(1, nn.Flatten()), HEADS, never()) == 0


def test_outputs_are_those_of_torch_without_an_activation() -> None:
    loaded, (batch,) = part(1), batches(1)
    (found,) = soup.outputs(loaded, HEADS, batch)
    with torch.no_grad():
        expected = loaded.net(torch.from_numpy(batch)).numpy()
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


def test_nan_is_refused_by_the_name_of_the_net() -> None:
    loaded, (batch,) = part(1), batches(1)
    with pytest.raises(MemberError, match=r"e1\.pt: gives NaN or infinity on the images"):
        soup.outputs(loaded, HEADS, batch * np.float32(np.inf))


class Failing(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise ValueError("odd")


def test_a_net_that_fails_is_named() -> None:
    (batch,) = batches(1)
    with pytest.raises(MemberError, match=r"e1\.pt: the net itself fails on .* of 6x3x4x4: odd"):
        soup.outputs(part(1, Failing()), HEADS, batch)
