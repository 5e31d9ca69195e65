"""The images of a run are found and hashed in order; what is skipped or odd is told."""

from pathlib import Path

import pytest
from toys import save_images

from ensemble.errors import UsageError
from ensemble.inference.find import find_images
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Inputs, resolve
from ensemble.recipe.settings import Settings


class Told(Quiet):
    """A progress that keeps its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def inputs_of(folder: Path) -> Inputs:
    return resolve(Settings((), (str(folder),))).inputs


def test_images_come_in_the_order_of_their_ids_with_their_hashes(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "images", 12)
    found, skipped = find_images(inputs_of(folder), 1, Quiet())
    assert [image.source.id for image in found] == [f"img{n}" for n in range(1, 13)]
    assert (all(image.sha256 for image in found), dict(skipped)) == (True, {})


def test_what_is_skipped_is_counted_and_told(tmp_path: Path) -> None:
    folder, told = save_images(tmp_path / "images", 2), Told()
    (folder / "notes.txt").write_text("no image")
    _, skipped = find_images(inputs_of(folder), 1, told)
    assert list(skipped.values()) == [1]
    assert told.warnings == [f"skipped 1 of the files: {next(iter(skipped))}"]


def test_ids_that_a_spreadsheet_would_run_are_told(tmp_path: Path) -> None:
    folder, told = save_images(tmp_path / "images", 2), Told()
    (folder / "img1.png").rename(folder / "=img1.png")
    find_images(inputs_of(folder), 1, told)
    assert told.warnings == [
        "1 ids start with = + - or @, such as '=img1': a spreadsheet would run them as formulas"
    ]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        find_images(inputs_of(tmp_path), 1, Quiet())
