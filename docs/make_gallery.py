"""Make the pictures of docs/gallery from the zoos: a report, a frontier, a contact sheet.

    python docs/make_gallery.py

The report is photographed by Chromium (`apt-get install chromium`), the frontier is of garments of
Debian's package dataset-fashion-mnist, and the contact sheet is that of the faces zoo (`make zoo`).
What is not there leaves its picture as it was, which is said. Costs are measured, so the frontier
is another one each time.
"""

import csv
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import ensemble

GALLERY = Path(__file__).parent / "gallery"
ZOOS = Path(__file__).parents[1] / "models_zoo"
sys.path.insert(0, str(ZOOS / "fashion"))

from data import CLASSES, DATA, FOLDS, ids_of, read_split  # noqa: E402

FASHION, SHEET = ZOOS / "fashion", ZOOS / "faces" / "work" / "crops.png"
MEMBERS = sorted(FASHION.glob("*.onnx"))
WIDTH, HEIGHT = 1060, 2560
GARMENTS = 3000
COLOURS = 128
VIEWS = "views(plain;hflip;vflip;rot90(1))"


def main() -> None:
    GALLERY.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        made = {
            "report.png": report(scratch),
            "frontier.png": frontier(scratch),
            "sheet.png": SHEET if SHEET.exists() else None,
        }
        for picture, found in made.items():
            if found is None:
                print(f"{picture} is left as it was: see the head of this script")
            else:
                keep(found, GALLERY / picture)


def report(scratch: Path) -> Path | None:
    """Photograph the page of a run over the test images of the fashion zoo."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        return None
    done = ensemble.run(
        MEMBERS, FASHION / "images", tta="hflip", out=scratch / "fashion", store=scratch / "store",
        device="cpu", progress=None,
    )  # fmt: skip
    page = ensemble.report(done, FASHION / "labels.csv", scratch / "report.html")
    picture = scratch / "report.png"
    subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}", page.resolve().as_uri()],
        check=True, capture_output=True,
    )  # fmt: skip
    return picture


def frontier(scratch: Path) -> Path | None:
    """Choose views and folds on test images, which no member has seen: any fold will do."""
    if not DATA.exists():
        return None
    images, labels = read_split(DATA, "t10k")
    folder, folds = scratch / "garments", scratch / "folds.csv"
    folder.mkdir()
    with folds.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "label", "fold"])
        for number, name in enumerate(ids_of("t10k", GARMENTS)):
            Image.fromarray(images[number]).save(folder / f"{name}.png")
            rows.writerow([name, CLASSES[labels[number]], number % FOLDS])
    kept = ensemble.predict_oof(
        MEMBERS, folder, folds, tta=VIEWS, keep_views=True, store=scratch / "store", device="cpu",
        progress=None,
    )  # fmt: skip
    policy = scratch / "policy.json"
    ensemble.choose(kept, folds, metric="log_loss", out=policy, progress=None)
    return policy.with_name("frontier.png")


def keep(found: Path, picture: Path) -> None:
    """Write a picture with few colours, no wider than a page."""
    with Image.open(found) as opened:
        image = opened.convert("RGB")
    image.thumbnail((WIDTH, HEIGHT))
    image.quantize(COLOURS).save(picture, optimize=True)
    print(f"{picture.name}: {picture.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
