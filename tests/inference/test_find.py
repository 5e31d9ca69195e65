"""The images of a run are found and hashed in order; what is skipped or odd is told."""

from pathlib import Path

import pytest
from fake_workers import Told
from toys import save_images

from ensemble.errors import StoreError, UsageError
from ensemble.images import reading, scan_index
from ensemble.inference.find import find_images
from ensemble.progress import Quiet
from ensemble.recipe.resolve import Inputs, resolve
from ensemble.recipe.settings import Settings


def inputs_of(folder: Path, *, verify: bool = False) -> Inputs:
    return resolve(Settings((), (str(folder),), verify_inputs=verify)).inputs


def read_by(monkeypatch: pytest.MonkeyPatch, inputs: Inputs, store: Path | None) -> list[str]:
    """The names of the files that are read to find the images."""
    read: list[str] = []
    real = reading._read_patiently

    def counted(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(reading, "_read_patiently", counted)
        find_images(inputs, 1, Quiet(), store)
    return read


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
    assert told.said == [f"skipped 1 of the files: {next(iter(skipped))}"]


def test_ids_that_a_spreadsheet_would_run_are_told(tmp_path: Path) -> None:
    folder, told = save_images(tmp_path / "images", 2), Told()
    (folder / "img1.png").rename(folder / "=img1.png")
    find_images(inputs_of(folder), 1, told)
    assert told.said == [
        "1 ids start with = + - or @, such as '=img1': a spreadsheet would run them as formulas"
    ]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        find_images(inputs_of(tmp_path), 1, Quiet())


def test_what_a_store_knows_is_read_only_where_inputs_are_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = save_images(tmp_path / "images", 2), tmp_path / "store"
    monkeypatch.setattr(scan_index, "_TICK", -(10**10))  # as if the files were older
    find_images(inputs_of(folder), 1, Quiet(), store)
    assert read_by(monkeypatch, inputs_of(folder), store) == []
    assert read_by(monkeypatch, inputs_of(folder, verify=True), store) == ["img1.png", "img2.png"]
    assert read_by(monkeypatch, inputs_of(folder), None) == ["img1.png", "img2.png"]


def test_an_index_that_the_disk_refuses_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, told = save_images(tmp_path / "images", 1), Told()

    def full(path: Path, data: bytes) -> None:
        raise StoreError("cannot write: No space left on device")

    monkeypatch.setattr(scan_index, "_TICK", -(10**10))
    monkeypatch.setattr(scan_index, "publish_bytes", full)
    found, _ = find_images(inputs_of(folder), 1, told, tmp_path / "store")
    assert len(found) == 1
    assert told.said == [
        "the next run will hash every image again: cannot write: No space left on device"
    ]
