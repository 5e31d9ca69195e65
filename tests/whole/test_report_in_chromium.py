"""The pages of both zoos, opened in headless Chromium: seen as a person would see them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pages import Read
from toys import ensemble

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FASHION = ROOT / "models_zoo" / "fashion"
GARMENTS = ROOT / "models_zoo" / "garments"
LARGEST = 10_000_000

LOOK = """<script>
addEventListener("load", () => {
  const pictures = [...document.images];
  const loaded = performance.getEntriesByType("resource").map(each => each.name);
  const links = [...document.querySelectorAll("a[href]")].map(a => a.getAttribute("href"));
  document.documentElement.dataset.found = JSON.stringify({
    pictures: pictures.length,
    seen: pictures.filter(each => each.complete && each.naturalWidth > 0).length,
    lost: links.filter(href => !document.getElementById(href.slice(1))).length,
    links: links.length,
    wide: document.documentElement.scrollWidth - innerWidth,
    fetched: loaded.filter(name => !name.startsWith("data:")).length,
  });
});
</script>"""
"""What is asked of the page once it is loaded; the page itself has no script."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return Debian's Chromium, installed where it is missing."""
    if (found := shutil.which("chromium")) is None:
        for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *command], check=True, capture_output=True)
        found = shutil.which("chromium")
    assert found is not None, "apt-get installs chromium"
    return found


@pytest.fixture
def zoos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[str], Path]]:
    """Run both zoos; return how each page is asked for, and its labels."""
    monkeypatch.chdir(tmp_path)
    assert ensemble("run", "--members", *sorted(FASHION.glob("*.onnx")), "--tta", "hflip",
                    "--images", FASHION / "images", "--out", "fashion") == 0  # fmt: skip
    members = sorted((GARMENTS / "members").glob("*.onnx"))
    assert ensemble("run", "--members", *members, "--label-map", GARMENTS / "label_map.csv",
                    "--images", GARMENTS / "images", "--out", "garments") == 0  # fmt: skip
    mapped = ["--label-map", str(GARMENTS / "label_map.csv")]
    return {
        "fashion": ([], FASHION / "labels.csv"),
        "garments": (mapped, GARMENTS / "test_labels.csv"),
    }


def opened(chromium: str, page: Path, width: int) -> tuple[dict[str, int], str]:
    """Open a page; return what `LOOK` found and what the browser had to say."""
    done = subprocess.run(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--window-size={width},1000", "--dump-dom",
         page.resolve().as_uri()],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    told = re.search(r'data-found="([^"]*)"', done.stdout)
    assert told is not None
    said = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(told[1].replace("&quot;", '"')), said


def test_pages_are_seen_whole_and_every_cell_leads_to_its_images(
    chromium: str, zoos: dict[str, tuple[list[str], Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, (more, labels) in zoos.items():
        made = Path(f"{name}.html")
        asked = ("report", name, "--labels", labels, "--out", made)
        assert ensemble(*asked) == 0
        page = made.read_bytes()
        assert len(page) < LARGEST
        assert ensemble(*asked) == 0
        assert made.read_bytes() == page
        capsys.readouterr()
        assert ensemble("score", name, labels, *more, "--json") == 0
        _check_numbers(page, json.loads(capsys.readouterr().out))
        asking = page.replace(b"</body>", LOOK.encode() + b"</body>")
        asking = re.sub(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", asking)
        looked = Path(f"{name}-looked.html")
        looked.write_bytes(asking)
        for width in (400, 1200):
            found, said = opened(chromium, looked, width)
            assert said == ""
            assert found["pictures"] == found["seen"] > 50
            assert (found["lost"], found["fetched"]) == (0, 0)
            assert found["links"] > 20
            assert found["wide"] <= 0


def test_the_page_as_it_is_says_nothing_on_the_console(
    chromium: str, zoos: dict[str, tuple[list[str], Path]]
) -> None:
    assert ensemble("report", "fashion", "--labels", zoos["fashion"][1], "--out", "a.html") == 0
    done = subprocess.run(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         "--dump-dom", Path("a.html").resolve().as_uri()],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert "Images to look at" in done.stdout


def _check_numbers(page: bytes, told: dict[str, object]) -> None:
    """Check that every figure that `ensemble score` tells stands in the page."""
    numbers = Read(page).numbers
    for card in (told, *told.get("tasks", {}).values()):  # type: ignore[attr-defined]
        lines = card["scores"].values()
        scores = {each for line in lines for each in (line["score"], *(line["ci95"] or ()))}
        classes = {each[key] for each in card["by_class"] for key in ("precision", "recall", "f1")}
        cells = {cell for row in card["confusion"] for cell in row}
        assert scores | classes | cells <= numbers
