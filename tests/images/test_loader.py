"""Shards hold the pixels of a slow loop, whatever the threads, and say what they lack and why."""

import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import save_images

from ensemble.files.remote import RemoteFile
from ensemble.images.loader import Shard, Wanted, decoded_ahead, decoders
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.resize import resize
from ensemble.images.sources import Source, scan
from ensemble.records import DecodePolicy, Geometry, Size
from ensemble.worker import Watch

NOBODY = Watch()


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


def test_images_far_away_are_read_by_more_threads_than_there_are_cores() -> None:
    far = [Hashed(Source("a", RemoteFile("s3://photos/a.png", 500, 0)), "", 500)]
    assert threads_of(decoders(far, 1), 3) == 3


def test_larger_files_are_decoded_by_all_threads() -> None:
    assert threads_of(decoders(images(50_000), 3), 3) == 3


# ---- shards


COLOUR = Geometry(Size(8, 10), "crop", 1.0, "bilinear", 3, ())
GREY = Geometry(Size(6, 6), "squash", 1.0, "nearest", 1, ())
STRICT = DecodePolicy()


def found_in(folder: Path) -> list[Hashed]:
    return hash_sources(scan([folder]).images, threads=1)


def loaded(
    wanted: Sequence[Wanted], *, policy: DecodePolicy = STRICT, watch: Watch = NOBODY,
    threads: int = 3,
) -> list[Shard]:  # fmt: skip
    """Every shard that is wanted, waited for."""
    with ThreadPoolExecutor(threads) as pool:
        return list(decoded_ahead(pool, wanted, policy, watch))


def one(found: Sequence[Hashed], *geometries: Geometry, **more: Any) -> Shard:
    return loaded([Wanted(found, geometries or (COLOUR,))], **more)[0]


@pytest.fixture
def found(tmp_path: Path) -> list[Hashed]:
    """Twenty images, of which the third ends early and the fifth is gone."""
    folder = save_images(tmp_path / "images", 20)
    (folder / "img3.png").write_bytes((folder / "img3.png").read_bytes()[:-20])
    images = found_in(folder)
    (folder / "img5.png").unlink()
    return images


def test_pixels_are_those_of_a_slow_loop(found: list[Hashed]) -> None:
    shard = one(found, COLOUR, GREY)
    whole = shard.whole()
    for row, image in enumerate(found):
        for geometry in (COLOUR, GREY):
            picture = Image.open(image.source.path) if whole[row] else None
            expected = resize(picture.convert("RGB"), geometry) if picture else 0
            np.testing.assert_array_equal(shard.pixels[geometry][row], expected)


def test_each_geometry_has_an_array_of_its_own(found: list[Hashed]) -> None:
    shapes = {g: array.shape for g, array in one(found, COLOUR, GREY).pixels.items()}
    assert shapes == {COLOUR: (20, 8, 10, 3), GREY: (20, 6, 6, 1)}


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_shards_and_threads_change_no_pixel(found: list[Hashed], threads: int, size: int) -> None:
    cut = [Wanted(found[start : start + size], (COLOUR,)) for start in range(0, 20, size)]
    shards = loaded(cut, threads=threads)
    assert [name for shard in shards for name in shard.ids] == [f.source.id for f in found]
    pixels = np.concatenate([shard.pixels[COLOUR] for shard in shards])
    np.testing.assert_array_equal(pixels, one(found).pixels[COLOUR])


def test_what_is_lost_is_named_with_its_stage_and_kind(found: list[Hashed]) -> None:
    lost = one(found).quarantined(COLOUR)
    assert [(q.id, q.stage, q.error_class) for q in lost] == [
        ("img3", "decode", "truncated"), ("img5", "read", "unreadable"),
    ]  # fmt: skip
    assert [(q.sha256, q.bytes) for q in lost] == [
        (found[n].sha256, found[n].bytes) for n in (2, 4)
    ]


def test_predicted_and_quarantined_are_all_there_is(found: list[Hashed]) -> None:
    shard = one(found)
    lost = [q.id for q in shard.quarantined(COLOUR)]
    assert sorted([*shard.predicted(COLOUR), *lost]) == sorted(shard.ids)
    assert shard.whole() == [name not in lost for name in shard.ids]


@pytest.mark.parametrize(
    "rows", [slice(0, 0), slice(2, 3), slice(1, 19), slice(None), slice(18, 99)]
)
def test_rows_are_told_of_by_their_own_place(found: list[Hashed], rows: slice) -> None:
    shard = one(found)
    assert shard.good(rows, COLOUR) == shard.whole()[rows]


def test_an_image_that_one_geometry_cannot_take_keeps_its_other_pixels(tmp_path: Path) -> None:
    Image.new("L", (50_000, 1), 9).save(tmp_path / "thin.png")
    wide = replace(COLOUR, size=Size(224, 224))
    shard = one(found_in(tmp_path), wide, GREY)
    assert (shard.predicted(wide), shard.predicted(GREY)) == ([], ["thin"])
    assert (shard.pixels[GREY] == 9).all()
    assert not shard.pixels[wide].any()
    assert [q.error_class for q in shard.lost()] == ["too large"]
    assert shard.whole() == [False]


def test_oddities_of_files_are_counted(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 9), c) for c in ("red", "blue")]
    for name in ("a.gif", "b.gif", "c.png"):
        frames[0].save(tmp_path / name, "GIF", save_all=True, append_images=frames[1:])
    assert one(found_in(tmp_path)).warnings() == {"frames": 3, "extension": 1}


def test_the_policy_reaches_the_decoder(found: list[Hashed]) -> None:
    shard = one(found, policy=replace(STRICT, allow_truncated=True))
    assert [q.id for q in shard.lost()] == ["img5"]
    assert shard.warnings() == {"truncated": 1}


def test_no_shard_is_wanted_and_none_comes() -> None:
    assert loaded([]) == []


def test_a_shard_without_images_is_empty() -> None:
    shard = one([])
    assert (shard.ids, shard.whole(), shard.lost()) == ([], [], [])
    assert shard.pixels[COLOUR].shape == (0, 8, 10, 3)


def test_one_shard_is_decoded_ahead_and_no_more(found: list[Hashed]) -> None:
    begun: list[int] = []

    class Counting(list[Hashed]):
        def __len__(self) -> int:
            begun.append(id(self))
            return super().__len__()

    cut = [Counting(found[:2]) for _ in range(4)]
    with ThreadPoolExecutor(1) as pool:
        shards = decoded_ahead(pool, [Wanted(c, (GREY,)) for c in cut], STRICT, NOBODY)
        for done in range(3):
            next(shards)
            assert set(begun) == {id(c) for c in cut[: done + 2]}


# ---- what a supervisor is told


def told(found: Sequence[Hashed], **more: Any) -> tuple[Shard, list[list[str]]]:
    """A shard, and the lines that its loading told a supervisor."""
    read_end, write_end = os.pipe()
    try:
        shard = one(found, GREY, watch=Watch(write_end, **more), threads=1)
        lines = os.read(read_end, 65_536).splitlines()
    finally:
        os.close(read_end)
        os.close(write_end)
    return shard, [json.loads(line) for line in lines]


def test_each_image_is_told_of_before_it_is_decoded(found: list[Hashed]) -> None:
    _, lines = told(found)
    names = [f.source.id for f in found]
    assert [line[2] for line in lines if line[2]] == names
    assert [line[1] for line in lines if line[1]] == names
    assert {line[0] for line in lines} == {"next"}


def test_an_image_that_crashes_the_decoder_is_not_decoded_again(found: list[Hashed]) -> None:
    shard, lines = told(found[:2], poison=frozenset({"img2"}))
    (lost,) = shard.lost()
    assert (lost.id, lost.stage, lost.error_class) == ("img2", "decode", "crash")
    assert ["poison", "img2"] in lines
    assert shard.predicted(GREY) == ["img1"]


def test_a_suspect_that_is_harmless_is_decoded(found: list[Hashed]) -> None:
    shard, lines = told(found[:2], suspects=frozenset({"img2"}))
    assert shard.lost() == []
    assert [line[0] for line in lines] == ["next"] * len(lines)
    np.testing.assert_array_equal(shard.pixels[GREY], one(found[:2], GREY).pixels[GREY])


@pytest.mark.parametrize(("sizes", "threads"), [((2399,), 1), ((2400,), 4), ((1, 4799), 4)])
def test_files_are_tiny_by_their_mean(sizes: tuple[int, ...], threads: int) -> None:
    files = [Hashed(Source(f"{n}", Path(f"{n}.png")), "", size) for n, size in enumerate(sizes)]
    with decoders(files, 4) as pool:
        assert pool._max_workers == threads  # type: ignore[attr-defined]
