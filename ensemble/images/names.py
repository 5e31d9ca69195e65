"""The names of images: which are some, what ids are made of them, and that ids are unique."""

import unicodedata
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final, Protocol

from ensemble.errors import UsageError
from ensemble.files.paths import check_utf8
from ensemble.records import EXTENSIONS, IdFrom

ARCHIVES: Final = (".tar", ".zip", ".parquet")
"""What files that hold images end with."""

COMPRESSED_TARS: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")

OTHER: Final = "other extension"
FOLDER: Final = "folder named like an image"
ARRAY: Final = "array (name it, or by a pattern such as *.npy)"
ARCHIVE: Final = "archive (name it, or by a pattern such as *.tar)"


class Identified(Protocol):
    """An image that was found: its id, and where it is."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def path(self) -> object:
        """Where it is, as it is printed."""


def unwanted(name: str) -> str:
    """Return why a file of a folder is no image by its name, "" where it is one."""
    if name.lower() in ("thumbs.db", "desktop.ini", ".ds_store", "__macosx"):
        return "system file"
    if name.startswith("."):
        return "hidden"
    extension = name.rpartition(".")[2].lower() if "." in name else ""  # a Path is slow
    if extension == "npy":
        return ARRAY
    if f".{extension}" in ARCHIVES or name.lower().endswith(COMPRESSED_TARS):
        return ARCHIVE
    return "" if any(extension in known for known in EXTENSIONS.values()) else OTHER


def unwanted_below(parts: Sequence[str]) -> str:
    """Return why the file of a whole tree is no image, by its folders and its name, or ""."""
    for folder in parts[:-1]:
        reason = unwanted(folder)
        if reason not in (OTHER, ARRAY, ARCHIVE):
            return reason or FOLDER
    return unwanted(parts[-1])


def id_of(name: PurePath, id_from: IdFrom) -> str:
    """Return the id of an image by its name, from the folder or archive that was given on."""
    return {"stem": name.stem, "name": name.name, "path": name.as_posix()}[id_from]


def check_ids(images: Sequence[Identified]) -> None:
    """Check that the ids are unique and can be written.

    Raises:
        UsageError: an id twice, or twice but for its Unicode form, or a name that is not UTF-8.
    """
    seen: dict[str, Identified] = {}
    twins = []
    for image in images:
        for text in (str(image.path), image.id):
            check_utf8(text, "the name")
        other = seen.setdefault(unicodedata.normalize("NFC", image.id), image)
        if other.id != image.id:
            raise UsageError(
                f"{str(other.path)!r} and {str(image.path)!r} have ids that differ only in their "
                f"Unicode form ({other.id!a}, {image.id!a}); rename one"
            )
        if other is not image:
            twins.append(f"  {image.id!r}: {other.path} and {image.path}")
    if twins:
        more = f"\n  and {len(twins) - 10} more" if len(twins) > 10 else ""
        raise UsageError(
            f"{len(twins)} ids are given twice; tell them apart with --id-from path (or name), and "
            f"name the folder above them where several were named:\n"
            + "\n".join(twins[:10]) + more
        )  # fmt: skip
