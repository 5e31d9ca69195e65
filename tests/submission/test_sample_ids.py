"""The ids of the sample and of the images are alike, or both differences are listed."""

import pytest

from ensemble.errors import ContractError
from ensemble.submission.sample import Sample, plain_sample
from ensemble.submission.sample_ids import check_ids_match


def test_ids_that_differ_are_listed_both_ways() -> None:
    sample = Sample("id", ("a", "b"), "label", ("label",), False)
    told = (
        r"differ: 1 ids of the sample have no image \(a\); 1 images are not in the sample \(c\)\."
    )
    with pytest.raises(ContractError, match=told):
        check_ids_match(sample, ["b", "c"])


def test_ids_that_lack_on_one_side_are_told_of_that_side_alone() -> None:
    sample = Sample("id", ("a", "b"), "label", ("label",), False)
    with pytest.raises(ContractError, match=r"differ: 1 images are not in the sample \(c\)\."):
        check_ids_match(sample, ["a", "b", "c"])


@pytest.mark.parametrize(
    ("wanted", "found", "hint"),
    [("25", "025", "Leading zeros"), ("a.jpg", "a", "--id-from name"), ("x", "y", "--id-from")],
)
def test_ids_that_differ_come_with_a_guess(wanted: str, found: str, hint: str) -> None:
    with pytest.raises(ContractError, match=hint):
        check_ids_match(plain_sample([wanted], ("cat", "dog"), "labels", "auto"), [found])
