"""An S3 server on loopback, which a test may make fail."""

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.request import Request, urlopen

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from packed import files_of
from pyarrow import fs
from werkzeug.serving import make_server

from ensemble.files import remote

BUCKET = "photos"

FAILURE = """<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>"""


class Server:
    """moto behind a door that counts requests, and answers some with a status instead."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.requests: list[tuple[str, str]] = []
        self.failing: list[tuple[str, int, int]] = []
        self.pauses: list[float] = []
        self.server = make_server("127.0.0.1", 0, self, threaded=True)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __call__(self, environ: Mapping[str, str], start: object) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        self.requests.append((method, path))
        if method == "GET" and self.pauses:
            time.sleep(self.pauses.pop())
        for number, (part, status, times) in enumerate(self.failing):
            if part in path and times:
                self.failing[number] = (part, status, times - 1)
                code = {403: "AccessDenied", 404: "NoSuchKey"}.get(status, "ServiceUnavailable")
                start(f"{status} Failing", [("Content-Type", "application/xml")])  # type: ignore[operator]
                return [] if method == "HEAD" else [FAILURE.format(code=code).encode()]
        answer: Iterable[bytes] = self.moto(environ, start)  # type: ignore[arg-type]
        return answer

    def fail(self, part: str, status: int, times: int = 10**6) -> None:
        """Answer requests of paths with this part by a status, so many times."""
        self.failing.append((part, status, times))

    def gets(self) -> list[str]:
        """The paths whose bytes were asked for."""
        return [path for method, path in self.requests if method == "GET"]


def filesystem(url: str) -> fs.S3FileSystem:
    return fs.S3FileSystem(
        endpoint_override=url.removeprefix("http://"), scheme="http", region="us-east-1",
        access_key="key", secret_key="secret", allow_bucket_creation=True,
    )  # fmt: skip


def put(server: Server, name: str, data: bytes) -> str:
    """Write an object; return its address."""
    with filesystem(server.url).open_output_stream(f"{BUCKET}/{name}") as stream:
        stream.write(data)
    return f"s3://{BUCKET}/{name}"


def upload(server: Server, folder: Path, prefix: str) -> str:
    """Write the files of a folder below a prefix; return its address."""
    for name, data in files_of(folder).items():
        put(server, f"{prefix}/{name}", data)
    return f"s3://{BUCKET}/{prefix}"


@contextmanager
def served() -> Iterator[Server]:
    """Serve a bucket that is empty."""
    server = Server()
    urlopen(Request(f"{server.url}/moto-api/reset", method="POST")).close()  # it is one a process
    filesystem(server.url).create_dir(BUCKET)
    server.requests.clear()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()


def signed_in(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Say where the server is, and who asks."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    told = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": server.url}  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    remote._connected.cache_clear()
    remote._blocks.cache_clear()
