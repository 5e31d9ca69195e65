"""The name of a checkpoint's file tells its family and its fold."""

from dataclasses import fields, replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags, family_and_fold
from ensemble.files.paths import SUFFIXES
from ensemble.records import InputRange


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet-f0.safetensors", ("resnet", 0)),
        ("resnet-fold12.pt", ("resnet", 12)),
        ("resnet_fold-3.pth.tar", ("resnet", 3)),
        ("effnet_b0_fold_3_best.ckpt", ("effnet_b0_best", 3)),
        ("fold0.ckpt", ("", 0)),
        ("F1_vit.pt", ("vit", 1)),
        ("vit_f16_fold2.pt", ("vit_f16", 2)),
        ("resnet50.pt", ("resnet50", None)),
        ("scaffold0.pt", ("scaffold0", None)),
        ("v1.5-f0.pt", ("v1.5", 0)),
    ],
)
def test_family_and_fold_come_from_the_name(name: str, expected: tuple[str, int | None]) -> None:
    assert family_and_fold(Path("folds") / name) == expected


def test_two_folds_in_a_name_are_refused() -> None:
    with pytest.raises(UsageError, match="several folds: f0, f1"):
        family_and_fold(Path("a-f0-f1.pt"))


NAMES = st.from_regex(r"[a-eg-z][a-eg-z0-9]{0,5}([_.-][a-eg-z]{2,5})?", fullmatch=True).filter(
    lambda name: "fold" not in name and Path(name).suffix.lower() not in SUFFIXES
)
FOLDS = st.integers(0, 99)
LAW = settings(deadline=None, max_examples=30)


@LAW
@given(family=NAMES, fold=FOLDS, word=st.sampled_from(["f", "fold", "fold_", "fold-", "Fold="]),
       suffix=st.sampled_from(SUFFIXES))  # fmt: skip
def test_a_fold_behind_a_family_is_read_however_it_is_written(
    family: str, fold: int, word: str, suffix: str
) -> None:
    assert family_and_fold(Path(f"{family}-{word}{fold}{suffix}")) == (family, fold)


@LAW
@given(family=NAMES, fold=FOLDS)
def test_a_fold_before_a_family_is_read_too(family: str, fold: int) -> None:
    assert family_and_fold(Path(f"fold{fold}_{family}.pt")) == (family, fold)


@LAW
@given(family=NAMES)
def test_a_name_without_a_fold_is_the_family(family: str) -> None:
    assert family_and_fold(Path(f"{family}.pt")) == (family, None)


@LAW
@given(family=NAMES, fold=FOLDS, folder=st.sampled_from(["f1", "fold2", "a-f3/b", "."]))
def test_folders_say_nothing_of_the_fold(family: str, fold: int, folder: str) -> None:
    assert family_and_fold(Path(folder) / f"{family}_f{fold}.pt") == (family, fold)


@pytest.mark.parametrize("name", ["net-f0.PT", "net-f0.pth.tar", "net-f0.pt.ckpt"])
def test_all_suffixes_of_checkpoints_are_taken_off(name: str) -> None:
    assert family_and_fold(Path(name)) == ("net", 0)


@pytest.mark.parametrize("name", ["half0.pt", "net-fx.pt", "net-fold.pt", "netf0.pt", "f-0.pt"])
def test_what_only_looks_like_a_fold_is_part_of_the_name(name: str) -> None:
    assert family_and_fold(Path(name)) == (name.removesuffix(".pt"), None)


def test_the_message_of_several_folds_names_the_file_and_the_flags() -> None:
    with pytest.raises(UsageError) as told:
        family_and_fold(Path("runs/fold1_fold2.pt"))
    expected = "its name holds several folds: fold1, fold2. Give --family and --fold"
    assert str(told.value) == f"{Path('runs/fold1_fold2.pt')}: {expected}"


def test_a_preprocessing_of_which_nothing_is_said_says_nothing() -> None:
    assert {getattr(PreprocessFlags(), f.name) for f in fields(PreprocessFlags)} == {None}
    spec = ExportSpec("resnet18", (HeadSpec("label", ("a",)),))
    assert (spec.task, spec.in_chans, spec.family, spec.fold) == ("classification", 3, None, None)


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
