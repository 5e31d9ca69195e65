"""Members see the crops that they were trained on, or a run is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import save_member, toy_card, toy_model

from ensemble.boxes import Crop
from ensemble.errors import MemberError, UsageError
from ensemble.members.crop import with_crops
from ensemble.members.member import Member, open_member

WIDE = Crop(0.25, square=True)


def member(folder: Path, crop: Crop | None) -> Member:
    card = toy_card()
    card = replace(card, preprocess=replace(card.preprocess, crop=crop))
    return open_member(save_member(folder, card, toy_model(card)))


def crop_of(folder: Path, own: Crop | None, told: Crop | None, *, cropped: bool) -> Crop | None:
    (found,) = with_crops([member(folder, own)], told, cropped=cropped)
    return found.card.preprocess.crop


def test_without_flags_it_is_as_the_card_says(tmp_path: Path) -> None:
    assert crop_of(tmp_path, WIDE, None, cropped=True) == WIDE


def test_a_card_that_says_nothing_takes_the_flags(tmp_path: Path) -> None:
    assert crop_of(tmp_path, None, WIDE, cropped=True) == WIDE


def test_flags_that_say_the_same_agree(tmp_path: Path) -> None:
    assert crop_of(tmp_path, WIDE, WIDE, cropped=True) == WIDE


def test_without_crops_a_member_of_whole_images_is_as_it_was(tmp_path: Path) -> None:
    whole = member(tmp_path, None)
    assert with_crops([whole], None, cropped=False) == [whole]


@pytest.mark.parametrize("told", [Crop(0.2, square=True), Crop(0.25, square=False)])
def test_a_run_that_contradicts_the_card_is_refused(tmp_path: Path, told: Crop) -> None:
    with pytest.raises(MemberError, match=r"trained on crops with --margin 0.25 --square"):
        crop_of(tmp_path, WIDE, told, cropped=True)


def test_a_member_of_crops_is_not_run_on_whole_images(tmp_path: Path) -> None:
    with pytest.raises(MemberError, match=r"give the boxes of the images by --crops"):
        crop_of(tmp_path, WIDE, None, cropped=False)


def test_a_margin_that_nobody_says_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say --margin"):
        crop_of(tmp_path, None, None, cropped=True)
