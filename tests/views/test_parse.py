"""A ttach.Compose is read into the same views, or its transform is named."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import ttach
from numpy.typing import NDArray

from ensemble.errors import UsageError
from ensemble.records import Size, View
from ensemble.views import parse, policy
from ensemble.views.pixels import pixel_map


def shown(view: View, size: Size) -> NDArray[np.int64]:
    """The pixels of a numbered image that a view shows."""
    return pixel_map(view, size)


def shown_by_ttach(compose: ttach.Compose, size: Size) -> list[NDArray[np.int64]]:
    """The same, by ttach itself."""
    count = size.height * size.width
    image = torch.arange(count, dtype=torch.float64).reshape(1, 1, size.height, size.width)
    return [t.augment_image(image)[0, 0].numpy().astype(np.int64) for t in compose]


def test_a_compose_is_read_into_the_same_views() -> None:
    compose = ttach.Compose(
        [ttach.HorizontalFlip(), ttach.Rotate90([0, 90]), ttach.Scale([1, 1.5]), ttach.Add([0, 1])]
    )
    ours = [shown(v, Size(10, 8)) for v in parse.from_ttach(compose, "mine:tta")]
    without_add = ttach.Compose(compose.aug_transforms[:-1])
    theirs = [p for p in shown_by_ttach(without_add, Size(10, 8)) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_compose_of_a_preset_is_that_preset() -> None:
    assert parse.from_ttach(ttach.aliases.d4_transform(), "d4") == policy.preset("d4")


def test_an_interpolation_without_a_counterpart_is_refused() -> None:
    compose = ttach.Compose([ttach.Scale([2], interpolation="bilinear")])
    with pytest.raises(UsageError, match="bilinear"):
        parse.from_ttach(compose, "mine:tta")


def named(*transforms: ttach.base.BaseTransform) -> list[str]:
    """The names of the views that a Compose of transforms is read into."""
    return [view.name for view in parse.from_ttach(ttach.Compose(list(transforms)), "mine:tta")]


@pytest.mark.parametrize(
    ("transform", "names"),
    [
        (ttach.HorizontalFlip(), ["identity", "hflip"]),
        (ttach.VerticalFlip(), ["identity", "vflip"]),
        (ttach.Rotate90([90, 0, 270, 180]), ["rot90", "identity", "rot270", "rot180"]),
        (ttach.Rotate90([0, 450, -90]), ["identity", "rot90", "rot270"]),
        (ttach.Scale([1, 0.5, 1.25]), ["identity", "scale0.5", "scale1.25"]),
        (ttach.Resize([(4, 6), (8, 8)], original_size=(8, 8)), ["resize4x6", "identity"]),
        (ttach.Resize([(8, 8)]), ["resize8x8"]),
        (ttach.Add([0, -0.5]), ["identity", "add-0.5"]),
        (ttach.Multiply([1, 2]), ["identity", "multiply2"]),
        (ttach.FiveCrops(3, 4), [f"crop_{place}" for place in ("lt", "lb", "rb", "rt", "center")]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)
def test_each_transform_has_the_views_of_its_parameters(
    transform: ttach.base.BaseTransform, names: list[str]
) -> None:
    assert named(transform) == names


@pytest.mark.parametrize(
    "transforms",
    [
        [ttach.FiveCrops(5, 4), ttach.HorizontalFlip()],
        [ttach.Rotate90([0, 90, 180, 270]), ttach.VerticalFlip()],
        [ttach.Resize([(5, 7), (20, 12)]), ttach.Rotate90([0, 270])],
        [ttach.Scale([1, 0.7]), ttach.Scale([1, 1.6])],
    ],
    ids=len,
)
def test_a_product_of_transforms_shows_what_ttach_shows(
    transforms: list[ttach.base.BaseTransform],
) -> None:
    compose, size = ttach.Compose(transforms), Size(10, 8)
    ours = [shown(view, size) for view in parse.from_ttach(compose, "mine:tta")]
    theirs = shown_by_ttach(compose, size)
    assert len(ours) == len(theirs)
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_no_transforms_are_the_image_itself() -> None:
    assert named() == ["identity"]


def test_a_transform_without_a_counterpart_is_named() -> None:
    class Blur(ttach.base.ImageOnlyTransform):
        def __init__(self) -> None:
            super().__init__("sigma", [1])

    with pytest.raises(UsageError) as caught:
        named(Blur())
    assert str(caught.value) == "mine:tta: ttach's Blur has no counterpart in the graph"


def test_an_interpolation_is_named_with_its_transform() -> None:
    with pytest.raises(UsageError, match="mine:tta: Resize with interpolation 'bicubic'; only"):
        named(ttach.Resize([(4, 4)], interpolation="bicubic"))


# ---- texts


@pytest.fixture
def _mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with a Compose, and with what is none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    code = "import ttach\ntta = ttach.aliases.d4_transform()\nodd = [1]\n"
    Path("mine.py").write_text(code)


@pytest.mark.parametrize("name", policy.presets())
def test_a_preset_is_read_by_its_name(name: str) -> None:
    taken = {"five_crop": "(4,4)", "ten_crop": "(4,4)", "jitter": "(0.1)"}
    text = name + taken.get(name, "")
    assert parse.read_policy(text) == policy.preset(text)


@pytest.mark.usefixtures("_mine")
def test_a_compose_of_the_users_own_is_read_by_its_name() -> None:
    assert parse.read_policy("mine:tta") == policy.preset("d4")


@pytest.mark.usefixtures("_mine")
def test_what_is_no_compose_is_told_by_its_type() -> None:
    with pytest.raises(UsageError, match="--tta 'mine:odd' is a list, not a ttach.Compose"):
        parse.read_policy("mine:odd")


@pytest.mark.usefixtures("_mine")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mine:", "--tta 'mine:': expected pkg.mod:name"),
        ("mine:ttaa", "mine has no 'ttaa'. Did you mean tta?"),
        ("d44", "no view preset 'd44'; the presets: none, hflip, .*; or pkg.mod:name"),
    ],
)
def test_a_text_that_names_no_views_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse.read_policy(text)
