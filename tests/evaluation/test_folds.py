"""Folds are balanced, keep groups together, and leaks between them are found."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import ensemble, save_images

from ensemble.errors import UsageError
from ensemble.evaluation.folds import make_folds, report_folds
from ensemble.files.csv_tables import column_of

RNG = np.random.default_rng(0)
LABELS = {f"r{n}": str(c) for n, c in enumerate(RNG.choice(["cat", "dog", "eel"], 300))}
GROUPS = {name: f"g{n // 4}" for n, name in enumerate(LABELS)}


def test_each_fold_has_its_share_of_every_class() -> None:
    report = report_folds(LABELS, make_folds(LABELS, 5))
    assert report.counts.sum() == 300
    assert (report.counts.max(0) - report.counts.min(0)).max() <= 1


def test_a_group_stays_in_one_fold() -> None:
    folds = make_folds(LABELS, 5, groups=GROUPS)
    report = report_folds(LABELS, folds, groups=GROUPS)
    assert not report.leaks
    assert len(report.folds) == 5


def test_the_seed_decides_and_nothing_else() -> None:
    assert make_folds(LABELS, 5) == make_folds(LABELS, 5)
    assert make_folds(LABELS, 5) != make_folds(LABELS, 5, seed=1)


def test_groups_across_folds_are_found() -> None:
    report = report_folds(LABELS, make_folds(LABELS, 5), groups=GROUPS)
    assert report.leaks
    assert "g0" in report.straddling


def test_the_same_image_in_two_folds_is_found() -> None:
    folds = {"a": 0, "b": 1, "c": 1, "d": 1}
    digests = {"a": "x", "b": "x", "c": "y", "d": "y"}
    report = report_folds(dict.fromkeys(folds, "cat"), folds, digests=digests)
    assert report.twins == (("a", "b"),)


@pytest.mark.parametrize(
    ("k", "groups", "message"),
    [
        (1, None, "1 folds: expected 2 or more"),
        (200, None, "too few of cat, dog, eel"),
        (5, dict.fromkeys(LABELS, "one"), "1 groups for 5 folds"),
        (5, {"r0": "g"}, "no group for r1"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    k: int, groups: dict[str, str] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_folds(LABELS, k, groups=groups)


def test_no_rows_make_no_folds() -> None:
    with pytest.raises(UsageError, match="no rows"):
        make_folds({}, 2)


def test_ids_without_a_fold_are_refused() -> None:
    with pytest.raises(UsageError, match="r299"):
        report_folds(LABELS, {n: 0 for n in LABELS if n != "r299"})


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f"img{n},{'cat' if n % 2 else 'dog'},p{n // 2}" for n in range(1, 13)]
    Path("train.csv").write_text("\n".join(["id,label,patient", *rows]))
    return Path("train.csv")


def test_the_command_writes_folds(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("folds", labels, "--k", "3", "--out", "folds.csv") == 0
    assert set(column_of(Path("folds.csv"), "fold").values()) == {"0", "1", "2"}
    assert list(column_of(Path("folds.csv"), "fold")) == list(column_of(labels, "label"))
    assert "folds.csv" in capsys.readouterr().out


def test_other_folds_are_not_replaced(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("folds", labels, "--k", "3") == 0
    before = Path("folds.csv").read_bytes()
    assert ensemble("folds", labels, "--k", "3", "--seed", "1") == 2
    assert "--out folds.csv holds other folds" in capsys.readouterr().err
    assert Path("folds.csv").read_bytes() == before


def test_the_same_folds_may_be_written_again(labels: Path) -> None:
    for _ in range(2):
        assert ensemble("folds", labels, "--k", "3") == 0


def test_other_folds_are_replaced_on_request(labels: Path) -> None:
    Path("folds.csv").write_text("id,fold\n")
    assert ensemble("folds", labels, "--k", "3", "--force") == 0
    assert len(column_of(Path("folds.csv"), "fold")) == 12


def test_the_labels_are_not_replaced_by_their_folds(labels: Path) -> None:
    before = labels.read_bytes()
    assert ensemble("folds", labels, "--k", "3", "--out", labels) == 2
    assert labels.read_bytes() == before


def test_the_command_checks_folds_that_are_there(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    (images / "img2.png").write_bytes((images / "img1.png").read_bytes())
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    check = ["folds", labels, "--check", "mine.csv", "--images", images, "--group", "patient"]
    assert ensemble(*check) == 2
    said = capsys.readouterr()
    assert "img1, img2" in said.err
    assert "p1" in said.err
    assert ensemble("folds", labels, "--check", "mine.csv") == 0


def test_images_that_look_alike_in_two_folds_are_a_note(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    Image.open(images / "img1.png").save(images / "img2.png", compress_level=0)
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    assert ensemble("folds", labels, "--check", "mine.csv", "--images", images) == 0
    assert "look alike lie in several folds: (img1, img2)" in capsys.readouterr().err


def test_the_whole_report_is_printed_as_json(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = save_images(Path("images"), 12)
    for n in range(2, 13):
        (images / f"img{n}.png").write_bytes((images / "img1.png").read_bytes() + b"x" * n)
    rows = [f"img{n},{n % 2}" for n in range(1, 13)]
    Path("mine.csv").write_text("\n".join(["id,fold", *rows]))
    check = ["folds", labels, "--check", "mine.csv", "--images", images, "--json"]
    assert ensemble(*check) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert (report["folds"], report["twins"]) == ([0, 1], [])
    assert len(report["near"]) == 6 * 6
    assert "and 31 more (all: --json)" in said.err


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
