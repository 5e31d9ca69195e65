"""The same images in a folder, a tar, a Parquet file, and on an S3 server of loopback."""

import argparse
import logging
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BUCKET = "photos"


@dataclass(frozen=True, slots=True)
class Packed:
    """Where the images are, by what holds them; the environment that S3 needs; its server."""

    places: Mapping[str, str]
    environment: Mapping[str, str]
    server: int

    def server_seconds(self) -> float:
        """Return the processor seconds that the server has taken so far."""
        told = Path(f"/proc/{self.server}/stat").read_text().rpartition(")")[2].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def packed(files: Sequence[Path], scratch: Path) -> Iterator[Packed]:
    """Write files as each kind into a folder that is empty, and serve them."""
    import pyarrow as pa
    from pyarrow import parquet

    folder, archive, table = scratch / "images", scratch / "images.tar", scratch / "images.parquet"
    folder.mkdir()
    for file in files:
        (folder / file.name).write_bytes(file.read_bytes())
    with tarfile.open(archive, "w") as tar:
        for file in files:
            tar.add(file, file.name)
    rows = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    parquet.write_table(pa.table({"image": rows}), table, row_group_size=1000)
    environment = {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, __file__, str(folder), str(archive)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    ) as server:  # fmt: skip
        try:
            environment["AWS_ENDPOINT_URL"] = server.stdout.readline().strip()
            places = {"a folder": str(folder), "a tar": str(archive), "Parquet": str(table),
                      "S3, an object an image": f"s3://{BUCKET}/{folder.name}",
                      "S3, a tar": f"s3://{BUCKET}/{archive.name}"}  # fmt: skip
            yield Packed(places, environment, server.pid)
        finally:
            server.terminate()


def serve(folder: Path, archive: Path) -> None:
    """Serve the files of a folder and an archive by moto, and print where."""
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    bucket = s3_backends["123456789012"]["aws"]
    bucket.create_bucket(BUCKET, "us-east-1")
    for file in sorted(folder.iterdir()):
        bucket.put_object(BUCKET, f"{folder.name}/{file.name}", file.read_bytes())
    bucket.put_object(BUCKET, archive.name, archive.read_bytes())
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    while True:
        time.sleep(60)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("archive", type=Path)
    args = parser.parse_args()
    serve(args.folder, args.archive)


if __name__ == "__main__":
    main()
