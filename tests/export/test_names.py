"""The name of a checkpoint's file, or of its folder, tells its family and its fold."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.export.names import family_and_fold
from ensemble.files.paths import SUFFIXES


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
    lambda name: (
        "fold" not in name
        and Path(name).suffix.lower() not in SUFFIXES
        and name not in ("best", "val", "macro", "micro")
    )  # best_f1 is a score
)
FOLDS = st.integers(0, 99).filter(lambda fold: fold not in (16, 32, 64))
"""f16, f32 and f64 are precisions; fold16 is a fold, as a test below says."""
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain-fold=0-epoch=13-val_acc=0.77.ckpt", ("plain", 0)),
        ("plain-fold=4-epoch=7-val_acc=0.81.ckpt", ("plain", 4)),
        ("fold=3-epoch=02-val_loss=-0.35.ckpt", ("", 3)),
        ("resnet-f0-epoch=1-val_loss=1.5e-05-v2.ckpt", ("resnet", 0)),
        ("resnet_epoch=3_val_macro_f1=0.8_fold_2.ckpt", ("resnet", 2)),
        ("net-f1=0.93-fold=2.ckpt", ("net", 2)),
        ("vit-lr=0.001-wd=.05-f4.pt", ("vit", 4)),
        ("net-epoch=12.ckpt", ("net", None)),
    ],
)
def test_pairs_of_a_key_and_a_value_are_no_part_of_the_family(
    name: str, expected: tuple[str, int | None]
) -> None:
    assert family_and_fold(Path(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("net_kfold2.pt", ("net", 2)),
        ("kfold=3-epoch=2.ckpt", ("", 3)),
        ("resnet_5fold_0.pth", ("resnet", 0)),
        ("10-fold-7_vit.pt", ("vit", 7)),
        ("fold0of5_resnet.pt", ("resnet", 0)),
        ("resnet_fold4of5.pt", ("resnet", 4)),
        ("Fold 1.pth", ("", 1)),
        ("resnet Fold 1/best.pth", ("resnet", 1)),
        ("model_best_fold=0.pth", ("model_best", 0)),
        ("scaffold_k2.pt", ("scaffold_k2", None)),
        ("manifold0.pt", ("manifold0", None)),
    ],
)
def test_a_fold_may_say_of_how_many_it_is(name: str, expected: tuple[str, int | None]) -> None:
    assert family_and_fold(Path(name)) == expected


def test_the_best_epochs_of_five_folds_are_one_family() -> None:
    names = [f"plain-fold={k}-epoch={9 * k}-val_acc=0.7{k}.ckpt" for k in range(5)]
    assert [family_and_fold(Path(name)) for name in names] == [("plain", k) for k in range(5)]


@pytest.mark.parametrize(
    "name", ["net_f16", "net-f32", "vit.f64", "best_f1", "effnet_f1_0.93", "macro-f1", "a_val_f1"]
)
def test_a_precision_and_a_score_are_no_folds(name: str) -> None:
    assert family_and_fold(Path(f"{name}.onnx")) == (name, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("net-f160.pt", 160), ("net-fold16.pt", 16), ("net_f1.pt", 1), ("net_f1-last.pt", 1),
     ("net-f10.pt", 10), ("f32-fold_1.pt", 1)],
)  # fmt: skip
def test_a_fold_that_looks_like_them_stays_one(name: str, expected: int) -> None:
    assert family_and_fold(Path(name))[1] == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("fold_0/best.pth", ("", 0)),
        ("runs/resnet_fold_1/best_model.pth", ("resnet", 1)),
        ("fold2/resnet.pt", ("resnet", 2)),
        ("exp/f3/checkpoints/epoch=3-step=12-v1.ckpt", ("", 3)),
        ("fold4/version_0/checkpoints/last.ckpt", ("", 4)),
        ("fold0/a/b/c/net.pt", ("net", None)),
        ("fold0-fold1/net.pt", ("net", None)),
    ],
)
def test_a_name_without_a_fold_takes_that_of_its_folder(
    path: str, expected: tuple[str, int | None]
) -> None:
    assert family_and_fold(Path(path)) == expected
