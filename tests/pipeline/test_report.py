"""A page is whole, small and the same for the same input, whatever names and sizes come."""

from pathlib import Path

import numpy as np
import pytest
from pages import Read
from pictures import picture

from ensemble.errors import UsageError
from ensemble.files.csv_tables import csv_bytes
from ensemble.pipeline.report import report
from ensemble.pipeline.report_order import ReportOrder
from ensemble.predictions.table import Oof
from ensemble.reports.scorecard import Labels

ODD = ("<img src=x onerror=alert(1)>", "\"'&<b>", "\u05e9\u05dc\u05d5\u05dd \u202eabc", "x" * 3000)
LABELS = Labels(Path("labels.csv"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(ids: list[str], classes: tuple[str, ...], seed: int = 0) -> None:
    """Write out-of-fold predictions, and labels of these rows."""
    rng = np.random.default_rng(seed)
    families = {name: rng.dirichlet(np.ones(len(classes)), len(ids)) for name in ("one", "two")}
    Oof(tuple(ids), classes, families, rng.integers(0, 5, len(ids))).save("oof.parquet")
    rows = [(name, classes[n % len(classes)]) for n, name in enumerate(ids)]
    Path("labels.csv").write_bytes(csv_bytes([("id", "label"), *rows]))


def made(**more: object) -> bytes:
    order = ReportOrder(Path("report.html"), **more)  # type: ignore[arg-type]
    return report(Path("oof.parquet"), order).read_bytes()


def test_hostile_names_of_classes_and_images_are_text() -> None:
    ids = [f"{name}{n}" for n in range(10) for name in ODD]
    write(ids, ODD)
    read = Read(made(labels=LABELS))
    assert "img" not in read.tags
    assert "script" not in read.tags
    assert not [name for _, name, _ in read.attributes if name.startswith("on")]
    assert "<img src=x onerror=alert(1)>" in read.text
    assert "\u202e" not in read.text
    assert "x" * 100 not in read.text


def test_ten_thousand_images_make_a_page_below_10_mb() -> None:
    Path("images").mkdir()
    ids = [f"i{n:05}" for n in range(10_000)]
    noise = picture(130, 130)
    for name in ids[:300]:
        noise.save(Path("images", f"{name}.png"), compress_level=0)
    write(ids, tuple("abc"))
    page = made(labels=LABELS, images=("images",), most=50)
    assert len(page) < 10_000_000
    read = Read(page)
    assert read.sources
    assert "No image was found for 9700 predictions" in read.text


def test_the_same_predictions_give_the_same_bytes() -> None:
    Path("images").mkdir()
    ids = [f"i{n}" for n in range(30)]
    for number, name in enumerate(ids):
        picture(40, 40, seed=number).save(Path("images", f"{name}.png"))
    write(ids, ("x", "y"))
    page = made(labels=LABELS, images=("images",))
    assert b"data:image/jpeg" in page
    assert made(labels=LABELS, images=("images",)) == page


def test_a_thousand_classes_stay_readable() -> None:
    classes = tuple(f"class-{n}" for n in range(1000))
    write([f"i{n}" for n in range(1500)], classes)
    page = made()
    read = Read(page)
    assert len(page) < 1_000_000
    assert read.tags.count("tr") < 300
    assert "940 rarer ones are left out" in read.text


def test_without_labels_the_page_says_what_is_missing() -> None:
    write(["a", "b"], ("x", "y"))
    text = Read(made()).text
    assert "--labels gives the truth" in text
    assert "--images says where images lie" in text


def test_a_page_is_called_html() -> None:
    write(["a", "b"], ("x", "y"))
    with pytest.raises(UsageError, match=r"ends in \.html"):
        report(Path("oof.parquet"), ReportOrder(Path("a.pdf")))
