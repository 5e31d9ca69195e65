"""What an export is told, and what nothing was said of."""

from dataclasses import fields, replace
from typing import cast

import pytest

from ensemble.errors import UsageError
from ensemble.export.spec import (
    ExportSpec,
    HeadSpec,
    PreprocessFlags,
    columns_of,
    is_factory,
)
from ensemble.records import InputRange


def test_a_preprocessing_of_which_nothing_is_said_says_nothing() -> None:
    assert {getattr(PreprocessFlags(), f.name) for f in fields(PreprocessFlags)} == {None}
    spec = ExportSpec("resnet18", (HeadSpec("label", ("a",)),))
    assert (spec.task, spec.in_chans, spec.family, spec.fold) == ("classification", 3, None, None)


def test_the_columns_of_a_net_are_the_classes_of_all_its_heads() -> None:
    heads = (HeadSpec("a", ("x", "y")), HeadSpec("b", ("u", "v", "w")))
    assert columns_of(ExportSpec("net", heads)) == 5


@pytest.mark.parametrize(
    ("arch", "expected"),
    [("nets:make", True), ("pkg.mod:net", True), ("resnet18", False), ("hf-hub:timm/x", False)],
)
def test_an_architecture_with_a_colon_is_a_factory(arch: str, expected: bool) -> None:
    assert is_factory(arch) is expected


SCALED = PreprocessFlags(mean=(51, 102), std=(25.5, 255.0), input_range=255)


def test_means_of_bytes_come_to_pixels_from_0_to_1() -> None:
    unit = SCALED.to_unit_range()
    assert (unit.mean, unit.std) == ((0.2, 0.4), (0.1, 1.0))
    assert unit.to_unit_range() == unit


@pytest.mark.parametrize(
    ("flags", "name"), [(replace(SCALED, mean=None), "mean"), (replace(SCALED, std=None), "std")]
)
def test_a_range_is_of_a_mean_and_a_std(flags: PreprocessFlags, name: str) -> None:
    with pytest.raises(UsageError, match=f"--input-range is the scale .* give --{name} too"):
        flags.to_unit_range()


def test_another_range_is_refused() -> None:
    with pytest.raises(UsageError, match="--input-range 127: expected 1 or 255"):
        replace(SCALED, input_range=cast(InputRange, 127)).to_unit_range()
