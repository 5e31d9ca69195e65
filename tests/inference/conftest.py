"""Images of which one is broken."""

from pathlib import Path

import pytest
from toys import save_images

from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import scan


@pytest.fixture
def hashed(tmp_path: Path) -> list[Hashed]:
    """Eleven images; the fifth is cut short."""
    folder = save_images(tmp_path / "images", 11)
    broken = folder / "img5.png"
    broken.write_bytes(broken.read_bytes()[:100])
    return hash_sources(scan([folder]).images, 1)
