"""Mutated tars, zips and Parquet files: every row is there, quarantined or told of, and none wrong.

    python benchmarks/campaigns/archives.py --count 5000 --seed 20

Small archives of images are damaged: bytes flipped, overwritten, removed, doubled, cut; headers,
lists and footers among them; and packed wrongly: names twice, hostile names, links, keys mixed.
Each is scanned, hashed and read as a run does, in a child process. Allowed are a usage error that
names the archive, or each image of before: with its bytes, or quarantined, or, of a tar that is
cut short, behind a note that says so. Bytes of a tar, which has no checksum of them, may differ
where the damage lies in them, as in a file of a folder; so may a long name, of which it has none.
"""

import io
import random
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns.trials import Damage, Mutant, Outcome, asked_of, damaged, run_seeded

from ensemble.errors import ImageError, UsageError
from ensemble.images.reading import hash_sources, read
from ensemble.images.sources import scan

KINDS = ("tar", "tar pax", "zip", "zip stored", "parquet", "parquet struct")
COUNT = 12

_HEADERS = 1536
"""Bytes before a member's own in which its name stands; one of pax stands there alone, and the
checksum of a header does not cover it."""


@cache
def images() -> dict[str, bytes]:
    """Return images of several blocks by their names; only their bytes count here."""
    made = {}
    for number in range(COUNT):
        rng = random.Random(number)
        made[f"d{number % 3}/img{number:02d}.png"] = rng.randbytes(rng.randrange(200, 1800))
    return dict(sorted(made.items()))


def ids() -> dict[str, bytes]:
    """Return the bytes by id."""
    return {Path(name).stem: data for name, data in images().items()}


@cache
def seeds() -> dict[str, bytes]:
    """Return a whole archive of each kind."""
    return {
        "tar": _tar(list(images().items()), tarfile.GNU_FORMAT),
        "tar pax": _tar([(f"ü{name}", data) for name, data in images().items()],
                        tarfile.PAX_FORMAT),
        "zip": _zip(zipfile.ZIP_DEFLATED),
        "zip stored": _zip(zipfile.ZIP_STORED),
        "parquet": _parquet(struct=False),
        "parquet struct": _parquet(struct=True),
    }  # fmt: skip


def mutant(seed: int, number: int) -> Mutant:
    """Return the damaged archive of that number; the same for the same seed, always."""
    rng = random.Random(f"{seed}/{number}")
    name = KINDS[number % len(KINDS)]
    if name == "tar" and rng.random() < 0.2:
        return Mutant("tar packed wrongly", rng.choice(_WRONG)(rng))
    data = bytearray(seeds()[name])
    data = damaged(data, _DAMAGES, rng)
    return Mutant(name, bytes(data))


def trial(seed: int, number: int) -> Outcome:
    """Scan, hash and read one mutant."""
    made = mutant(seed, number)
    suffix = made.name.split()[0]
    with tempfile.TemporaryDirectory(prefix="archives-") as folder:
        path = Path(folder) / f"mutant.{suffix}"
        path.write_bytes(made.data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result, detail = outcome(path, made)
        except Exception as error:
            return Outcome(made.name, type(error).__name__, allowed=False, detail=str(error)[:200])
    return Outcome(made.name, result, allowed=not detail, detail=detail)


def outcome(path: Path, made: Mutant) -> tuple[str, str]:
    """Return what became of a mutant, and what is wrong with that, or ""."""
    try:
        found = scan([path])
    except UsageError as error:
        return "usage error", "" if path.name in str(error) else f"names no archive: {error}"
    good, lost = {}, set()
    for hashed in hash_sources(found.images, 2):
        name = hashed.source.id.removeprefix("ü")
        try:
            good[name] = read(hashed)
        except ImageError:
            lost.add(name)
    told = any("cut short" in reason for reason in found.skipped)
    skipped = sum(count for reason, count in found.skipped.items() if "cut short" not in reason)
    missing = ids().keys() - good.keys() - lost
    renamed = (good.keys() | lost) - ids().keys()
    if len(missing) > skipped + len(renamed) and not told:
        return "lost", f"{sorted(missing)} of {dict(found.skipped)}"
    wrong = [name for name, data in good.items() if ids().get(name) != data]
    odd = [name for name in wrong if not _harmed(made, name, good[name])]
    if odd:
        return "wrong", f"{odd[:3]}"
    whole = not (lost or missing or wrong)
    return ("whole" if whole else "quarantined or told"), ""


def _harmed(made: Mutant, name: str, data: bytes) -> bool:
    """Whether a tar, which has no checksum of them, holds these bytes behind that very name."""
    at = made.data.find(data) if made.name.startswith("tar") else -1
    while at >= 0:
        if name.encode() in made.data[max(at - _HEADERS, 0) : at]:
            return True
        at = made.data.find(data, at + 1)
    return False


def main() -> None:
    """Print the tally."""
    asked = asked_of(__doc__, 5000)
    seeds()
    raise SystemExit(bool(run_seeded(trial, asked).faults))


# ---- damage


def _flip(data: bytearray, rng: random.Random) -> bytearray:
    at = _place(data, rng)
    data[at] ^= 1 << rng.randrange(8)
    return data


def _overwrite(data: bytearray, rng: random.Random) -> bytearray:
    at, length = _place(data, rng), rng.choice((1, 2, 4, 16, 200, 512))
    length = min(length, len(data) - at)
    data[at : at + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return data


def _cut(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(1, len(data) + 1)
    return data[:at]


def _remove(data: bytearray, rng: random.Random) -> bytearray:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 20, 300, 700))]
    return data or bytearray(b"\0")


def _double(data: bytearray, rng: random.Random) -> bytearray:
    at, length = _place(data, rng), rng.choice((8, 512, 1024))
    return data[: at + length] + data[at : at + length] + data[at + length :]


def _add(data: bytearray, rng: random.Random) -> bytearray:
    more = rng.choice((rng.randbytes(100), bytes(512), bytes(data)))
    return data + more


_DAMAGES: Sequence[Damage] = (
    _flip, _flip, _overwrite, _overwrite, _cut, _remove, _double, _add,
)  # fmt: skip


def _place(data: bytearray, rng: random.Random) -> int:
    """Choose a byte; half of the time one of the last, where lists and footers are."""
    last = min(len(data), 1500)
    return rng.randrange(len(data)) if rng.random() < 0.5 else len(data) - 1 - rng.randrange(last)


# ---- archives, whole or packed wrongly


def _tar(members: Sequence[tuple[str, bytes]], form: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for name, data in members:
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return stream.getvalue()


def _zip(method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as packed:
        for name, data in images().items():
            packed.writestr(name, data)
    return stream.getvalue()


def _parquet(*, struct: bool) -> bytes:
    stream = io.BytesIO()
    if struct:
        rows = [{"bytes": data, "path": name} for name, data in images().items()]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(rows, kind), "label": [0] * COUNT})
    else:
        table = pa.table({"id": list(ids()), "jpeg": list(ids().values())})
    pq.write_table(table, stream, row_group_size=5, write_page_checksum=True)
    return stream.getvalue()


def _twice(rng: random.Random) -> bytes:
    members = list(images().items())
    return _tar([*members, rng.choice(members)], tarfile.GNU_FORMAT)


def _hostile(rng: random.Random) -> bytes:
    names = ("../x.png", "/etc/x.png", "a/../../x.png", "..", "", "x" * 300 + "/../../y.png")
    odd = [(rng.choice(names), b"x") for _ in range(3)]
    members = [*images().items(), *odd]
    rng.shuffle(members)
    return _tar(members, tarfile.GNU_FORMAT)


def _linked(rng: random.Random) -> bytes:
    stream = io.BytesIO(_tar(list(images().items()), tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=stream, mode="a") as tar:
        about = tarfile.TarInfo("link.png")
        about.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE))
        about.linkname = "/etc/passwd"
        tar.addfile(about)
    return stream.getvalue()


def _mixed(rng: random.Random) -> bytes:
    texts = [(str(Path(name).with_suffix(".txt")), b"x") for name in images()]
    rng.shuffle(texts)
    return _tar([*images().items(), *texts], tarfile.GNU_FORMAT)


_WRONG = (_twice, _hostile, _linked, _mixed)


if __name__ == "__main__":
    main()
