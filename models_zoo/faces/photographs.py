"""scikit-image's photographs, with faces and without, and pictures made of one of them."""

from pathlib import Path
from typing import Final

import skimage
from PIL import Image

PHOTOGRAPHS: Final = {
    "astronaut": "astronaut.png",
    "cameraman": "camera.png",
    "cat": "chelsea.png",
    "clock": "clock_motion.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "motorcycle": "motorcycle_left.png",
    "rocket": "rocket.jpg",
}

_ORIENTATION: Final = 0x0112
_TURN_RIGHT: Final = 6
_FACE_MIDDLE: Final = 226
"""The column of the astronaut's nose."""


def write_photographs(folder: Path) -> None:
    """Write the photographs as PNG files, and beside them three made of the astronaut.

    `two` has her twice, side by side; of `half` the left edge runs through her face; `turned` is
    stored on its side, and its EXIF orientation turns it upright.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = Path(skimage.__file__).parent / "data"
    for name, file in PHOTOGRAPHS.items():
        with Image.open(source / file) as image:
            image.convert("RGB").save(folder / f"{name}.png")
    with Image.open(folder / "astronaut.png") as astronaut:
        width, height = astronaut.size
        two = Image.new("RGB", (2 * width, height))
        two.paste(astronaut)
        two.paste(astronaut, (width, 0))
        two.save(folder / "two.png")
        astronaut.crop((_FACE_MIDDLE, 0, width, height)).save(folder / "half.png")
        exif = Image.Exif()
        exif[_ORIENTATION] = _TURN_RIGHT
        turned = astronaut.transpose(Image.Transpose.ROTATE_90)
        turned.save(folder / "turned.png", exif=exif)
