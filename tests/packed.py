"""A folder of images, and the same images in a tar, a zip and a Parquet file."""

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their names in it, in plain order."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def to_tar(path: Path, files: dict[str, bytes] | Sequence[tuple[str, bytes]]) -> Path:
    """Write a tar, in the order given; a name may stand there twice."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items() if isinstance(files, dict) else files:
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return path


def to_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip."""
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def to_parquet(path: Path, files: dict[str, bytes], rows: int = 5, page: int = 1024) -> Path:
    """Write a Parquet file with a struct of bytes and their path, so many rows a group and page."""
    images = [{"bytes": data, "path": name} for name, data in files.items()]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(images, kind)})
    pq.write_table(
        table, path, row_group_size=rows, write_page_checksum=True, write_batch_size=page,
        use_dictionary=False,
    )  # fmt: skip
    return path


def packed(folder: Path, kind: str) -> Path:
    """Pack a folder of images beside it: as a "tar", a "zip" or a "parquet"."""
    write = {"tar": to_tar, "zip": to_zip, "parquet": to_parquet}[kind]
    return write(folder.with_suffix(f".{kind}"), files_of(folder))
