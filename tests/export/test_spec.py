"""What an export is told, and what nothing was said of."""

from dataclasses import fields

import pytest

from ensemble.export.spec import (
    ExportSpec,
    HeadSpec,
    PreprocessFlags,
    columns_of,
    is_factory,
)


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
