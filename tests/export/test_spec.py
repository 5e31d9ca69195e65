"""What an export is told, and what nothing was said of."""

from dataclasses import fields

from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags


def test_a_preprocessing_of_which_nothing_is_said_says_nothing() -> None:
    assert {getattr(PreprocessFlags(), f.name) for f in fields(PreprocessFlags)} == {None}
    spec = ExportSpec("resnet18", (HeadSpec("label", ("a",)),))
    assert (spec.task, spec.in_chans, spec.family, spec.fold) == ("classification", 3, None, None)
