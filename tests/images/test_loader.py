"""How many threads decode: one where the files are tiny, as many as are given elsewhere."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ensemble.images.loader import decoders
from ensemble.images.reading import Hashed
from ensemble.images.sources import Source


def images(size: int) -> list[Hashed]:
    return [Hashed(Source(f"{n}", Path(f"{n}.png")), "", size) for n in range(3)]


def threads_of(pool: ThreadPoolExecutor, asked: int) -> int:
    with pool:
        met = threading.Barrier(asked)

        def meet() -> int:
            met.wait(0.2)
            return threading.get_ident()

        futures = [pool.submit(meet) for _ in range(asked)]
        return len({f.result() for f in futures if f.exception() is None})


def test_tiny_files_are_decoded_by_one_thread() -> None:
    assert threads_of(decoders(images(500), 3), 3) == 0  # no two of them ever meet


def test_larger_files_are_decoded_by_all_threads() -> None:
    assert threads_of(decoders(images(50_000), 3), 3) == 3
