"""The name of a checkpoint's file tells its family and its fold."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.export.spec import family_and_fold


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
