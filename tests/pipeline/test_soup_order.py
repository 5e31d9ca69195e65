"""What a soup is made of is checked first; its name is what its checkpoints have in common."""

from dataclasses import replace
from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags
from ensemble.pipeline.soup_order import SoupOrder, check_soup, soup_identity

SPEC = ExportSpec("resnet10t", (HeadSpec("label", ("cat", "dog")),))
ORDER = SoupOrder((Path("net-f0.pt"), Path("run/net-f0.pt")), SPEC, ("images",))


def identity(*names: str, **told: object) -> tuple[str, int | None]:
    spec = replace(SPEC, **told)  # type: ignore[arg-type]
    return soup_identity([Path(name) for name in names], spec)


def test_a_soup_of_one_run_has_its_fold_and_a_family_of_its_own() -> None:
    assert identity("net/fold_2/epoch=8.ckpt", "net/fold_2/epoch=9.ckpt") == ("resnet10t-soup", 2)
    assert identity("a/net-f1.pt", "b/net-f1.pt") == ("net-soup", 1)


def test_a_soup_of_several_folds_has_none() -> None:
    assert identity("net-f0.pt", "net-f1.pt") == ("net-soup", None)
    assert identity("net-f0.pt", "net.pt") == ("net-soup", None)


def test_what_is_told_of_family_and_fold_holds() -> None:
    assert identity("a-f0.pt", "b-f1.pt", family="mine", fold=3) == ("mine", 3)


def test_families_that_differ_need_a_name() -> None:
    with pytest.raises(UsageError, match="--soup of the families a, b: .* name it by --family"):
        identity("a-f0.pt", "b-f0.pt")
    assert identity("a-f0.pt", "b-f0.pt", family="mine") == ("mine", 0)


def test_an_order_that_is_whole_passes() -> None:
    check_soup(ORDER)
    check_soup(replace(ORDER, labels=Path("labels.csv")))


TWO = (HeadSpec("age", ("young", "old")), HeadSpec("sex", ("f", "m")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": ()}, "--soup: give --images like those to predict"),
        ({"checkpoints": ORDER.checkpoints[:1]}, "net-f0.pt: expected two checkpoints or more"),
        ({"spec": replace(SPEC, heads=())}, "expected different names"),
        ({"spec": replace(SPEC, preprocess=PreprocessFlags(margin=0.1))}, "trained on boxes"),
        ({"spec": replace(SPEC, heads=TWO), "labels": Path("labels.csv")},
         r"several heads \(age, sex\): leave --labels out"),
    ],
)  # fmt: skip
def test_what_makes_no_soup_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_soup(replace(ORDER, **changes))  # type: ignore[arg-type]
