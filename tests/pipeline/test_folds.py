"""The command writes folds once, checks those that are there, and says what leaks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import ensemble, save_images

from ensemble.files.csv_tables import column_of


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f"img{n},{'cat' if n % 2 else 'dog'},p{n // 2}" for n in range(1, 13)]
    Path("train.csv").write_text("\n".join(["id,label,patient", *rows]))
    return Path("train.csv")


def test_other_folds_are_not_replaced(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("folds", labels, "--k", "3") == 0
    before = Path("folds.csv").read_bytes()
    assert ensemble("folds", labels, "--k", "3", "--seed", "1") == 2
    assert "--out folds.csv holds other folds" in capsys.readouterr().err
    assert Path("folds.csv").read_bytes() == before


def test_the_same_folds_may_be_written_again(labels: Path) -> None:
    for _ in range(2):
        assert ensemble("folds", labels, "--k", "3") == 0


def test_values_are_stratified_by_their_bins_and_groups_stay_together(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"img{n},{n / 7},p{n // 2}" for n in range(200)]
    labels.write_text("\n".join(["id,angle,patient", *rows]))
    assert ensemble("folds", labels, "--label-col", "angle", "--group", "patient") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "200 different numbers, as of a regression: the folds are stratified by 10 quant" in told
    folds = column_of(Path("folds.csv"), "fold")
    means = [np.mean([int(n[3:]) for n, f in folds.items() if f == k]) for k in "01234"]
    assert np.ptp(means) < 15
    assert all(folds[f"img{n}"] == folds[f"img{n + 1}"] for n in range(0, 200, 2))


def test_a_class_that_a_fold_lacks_is_noted(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.csv").write_text("\n".join(["id,fold", *(f"img{n},{n % 2}" for n in range(1, 13))]))
    assert ensemble("folds", labels, "--check", "mine.csv") == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "fold 0 has no row of cat" in told
    assert "fold 1 has no row of dog" in told


def test_other_folds_are_replaced_on_request(labels: Path) -> None:
    Path("folds.csv").write_text("id,fold\n")
    assert ensemble("folds", labels, "--k", "3", "--force") == 0
    assert len(column_of(Path("folds.csv"), "fold")) == 12


def test_the_labels_are_not_replaced_by_their_folds(labels: Path) -> None:
    before = labels.read_bytes()
    assert ensemble("folds", labels, "--k", "3", "--out", labels) == 2
    assert labels.read_bytes() == before


def test_images_that_look_alike_in_two_folds_are_a_note(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    Image.open(images / "img1.png").save(images / "img2.png", compress_level=0)
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    assert ensemble("folds", labels, "--check", "mine.csv", "--images", images) == 0
    assert "look alike lie in several folds: (img1, img2)" in capsys.readouterr().err


def test_ids_of_images_are_made_as_a_run_makes_them(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    text = labels.read_text()
    for n in range(1, 13):
        text = text.replace(f"img{n},", f"img{n}.png,")
    labels.write_text(text)
    check = ["folds", labels, "--k", "3", "--images", images]
    assert ensemble(*check, "--id-from", "name", "--out", "names.csv") == 0
    assert "no readable image" not in capsys.readouterr().err
    assert ensemble(*check) == 0
    assert "'img1.png' for 'img1'" in " ".join(capsys.readouterr().err.split())
    labels.write_text(text.replace("img", "other"))
    assert ensemble(*check, "--out", "others.csv") == 0
    assert "12 ids of the folds have no readable image" in capsys.readouterr().err


def test_folds_that_part_the_same_image_are_not_written(labels: Path) -> None:
    images = save_images(Path("images"), 12)
    for n in range(2, 13):
        (images / f"img{n}.png").write_bytes((images / "img1.png").read_bytes())
    assert ensemble("folds", labels, "--k", "3", "--images", images) == 2
    assert not Path("folds.csv").exists()


def test_an_image_that_cannot_be_looked_at_is_told(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    (images / "img3.png").write_bytes((images / "img3.png").read_bytes()[:-20])
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    assert ensemble("folds", labels, "--check", "mine.csv", "--images", images) == 0
    assert "1 images cannot be decoded" in capsys.readouterr().err


def test_images_are_looked_at_as_the_user_says_they_are_decoded(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    check = ["folds", labels, "--check", "mine.csv", "--images", images]
    Path("ensemble.toml").write_text("max_pixels = 1")
    assert ensemble(*check) == 0
    assert "12 images cannot be decoded" in capsys.readouterr().err
    assert ensemble(*check, "--max-pixels", "1000") == 0
    assert "cannot be decoded" not in capsys.readouterr().err


def test_crops_decide_what_looks_alike(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = save_images(Path("images"), 12)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 40, 80, 3), dtype=np.uint8)
    noise[1, :, :40] = noise[0, :, :40]  # one face before two backgrounds
    for name, pixels in zip(("img1", "img2"), noise, strict=True):
        Image.fromarray(pixels).save(images / f"{name}.png")
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    boxes = [f"img{n},0,0,{40 if n < 3 else 5},{40 if n < 3 else 5}" for n in range(1, 13)]
    Path("crops.csv").write_text("\n".join(["id,left,top,right,bottom", *boxes]))
    command = ("folds", labels, "--check", "mine.csv", "--images", images)
    assert ensemble(*command) == 0
    assert "(img1, img2)" not in capsys.readouterr().err
    assert ensemble(*command, "--crops", "crops.csv") == 0
    assert "(img1, img2)" in capsys.readouterr().err


def test_crops_without_images_are_refused(labels: Path) -> None:
    assert ensemble("folds", labels, "--crops", "crops.csv") == 2


def test_labels_and_folds_with_an_extension_are_joined_with_the_images_and_told(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    Image.open(images / "img1.png").save(images / "img2.png", compress_level=0)
    labels.write_text("".join(_named(line) for line in labels.read_text().splitlines(True)))
    rows = [f"images/img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    assert ensemble("folds", labels, "--check", "mine.csv", "--images", images) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "'img1.png' for 'img1'" in told
    assert "'images/img1' for 'img1'" in told
    assert "look alike lie in several folds: (img1, img2)" in told


def test_groups_that_are_blank_are_refused(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels.write_text(labels.read_text().replace(",p3", ","))
    assert ensemble("folds", labels, "--group", "patient") == 2
    assert "the group is blank for 2 rows, such as img6, img7" in capsys.readouterr().err


def _named(line: str) -> str:
    name, comma, rest = line.partition(",")
    return line if name == "id" else f"{name}.png{comma}{rest}"
