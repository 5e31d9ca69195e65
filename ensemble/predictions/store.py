"""The predictions store: one folder a fingerprint, one part a shard.

A part counts only when its JSON is whole and the hash of its Parquet file matches; whatever else
lies there is computed again. Nothing is ever looked up by position or by name.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeGuard, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ensemble.arrays import Indices, Pooled, Probs
from ensemble.errors import StoreError
from ensemble.files.atomic import (
    SUCCESS,
    locked,
    publish_hashed,
    publish_json,
    remove_temporaries,
    sha256_file,
    sha256_json,
)
from ensemble.files.parquet import list_column, read_lists, text_column
from ensemble.members.card import BOX_COLUMNS
from ensemble.predictions.parsed import (
    list_of,
    mapping_of,
    number_of,
    quarantined_of,
    text_of,
)
from ensemble.records import MemberId, Quarantined

LOCK: Final = ".lock"
"""The file of a key that a run holds while it writes there; it holds the number of the process."""


_PLAIN: Final = {"compression": "none", "use_dictionary": False}
"""How parts are written: numbers gain nothing by either."""

_MAKES: Final = "is making these predictions (another --store keeps runs apart)"


@dataclass(frozen=True, slots=True)
class Scores:
    """What a key holds of a head: the ids in order, float32 (N, C), and the quarantined."""

    ids: tuple[str, ...]
    probs: Probs
    quarantined: tuple[Quarantined, ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeldRows:
    """Which rows a key holds: the ids in order, as Arrow has them, and the quarantined.

    `ends` int64 (S + 1,) are the rows at which the S shards begin, and the end.
    """

    ids: pa.StringArray
    ends: Indices
    quarantined: tuple[Quarantined, ...]


_NOBODY: Final = MemberId()


@dataclass(frozen=True, slots=True)
class Partition:
    """The predictions of one member over one image set, shard by shard.

    `shards` is fixed when the key is first opened and read back afterwards, whatever the flags
    then say. `fingerprint` is what decides the predictions; its "heads" are those of the card.
    `label` is whom a person calls the member: it decides nothing, and is not hashed.
    """

    folder: Path
    key: str
    fingerprint: Mapping[str, object]
    images: int
    shard_size: int
    label: MemberId = _NOBODY

    @property
    def heads(self) -> dict[str, int]:
        """The number of columns of each head."""
        heads = map(mapping_of, list_of(self.fingerprint["heads"]))
        return {text_of(head["name"]): _columns_of(head) for head in heads}

    @property
    def shards(self) -> range:
        """The numbers of the shards."""
        return range(-(-self.images // self.shard_size))

    def rows(self, shard: int) -> slice:
        """Return the rows of a shard, in the order of the ids."""
        start = shard * self.shard_size
        return slice(start, min(start + self.shard_size, self.images))

    def whole(self, shard: int) -> bool:
        """Tell whether a shard's JSON is as it was written, and the hash of its rows matches."""
        return self._record(shard) is not None

    def committed(self, shard: int) -> bool:
        """Tell whether a shard need not be computed: it is whole, and no file of it may be back.

        One in which a file could not be read that was read by the scan is computed again. What the
        scan could not read is another image, of another key, once it can be read.
        """
        record = self._record(shard)
        return record is not None and not any(
            q.stage == "read" and q.sha256 for q in quarantined_of(record["quarantined"])
        )

    def begun(self, shard: int) -> bool:
        """Tell whether a shard has its JSON, be it whole or not."""
        return self.part(shard).with_suffix(".json").exists()

    def torn(self, shard: int) -> bool:
        """Tell whether a shard has its JSON, and yet is not whole."""
        return self.begun(shard) and not self.whole(shard)

    def part(self, shard: int) -> Path:
        """Return where the rows of a shard lie."""
        return self.folder / f"part-{shard:05d}.parquet"

    def commit(
        self,
        shard: int,
        ids: Sequence[str],
        heads: Mapping[str, Probs | Pooled],
        quarantined: Sequence[Quarantined],
    ) -> None:
        """Write a shard: its rows, then the JSON that makes them count.

        Args:
            shard: The number of the shard.
            ids: The ids of the shard that have a row, in order.
            heads: Each head's float32 or float64 (n, C), a row for each id.
            quarantined: The images of the shard that have no row.

        Raises:
            StoreError: the disk refused.
        """
        columns: dict[str, pa.Array] = {"id": text_column(ids)}
        columns |= {name: list_column(heads[name], heads[name].dtype.type) for name in self.heads}
        table = pa.table(columns)
        part = self.part(shard)
        sha256 = publish_hashed(part, lambda file: pq.write_table(table, file, **_PLAIN))
        record = {
            "sha256": sha256,
            "rows": len(ids),
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
            "fingerprint": self.key,
            "quarantined": [asdict(q) for q in quarantined],
        }
        publish_json(part.with_suffix(".json"), {**record, "check": sha256_json(record)})

    def finish(self) -> None:
        """Mark the key as complete."""
        publish_json(self.folder / SUCCESS, {"shards": len(self.shards), "images": self.images})

    def complete(self) -> bool:
        """Tell whether every shard is whole."""
        return all(self.whole(shard) for shard in self.shards)

    def found(self, head: str) -> Scores | None:
        """Read a head of every shard, in order; None where one is missing or torn."""
        try:
            return self.read(head)
        except StoreError:
            return None

    def found_rows(self) -> HeldRows | None:
        """Read which rows every shard holds; None where one is missing or torn."""
        try:
            return self.read_rows()
        except StoreError:
            return None

    def read_rows(self) -> HeldRows:
        """Read which rows every shard holds, and none of their numbers.

        Raises:
            StoreError: a shard is missing or torn.
        """
        tables, lost = self._tables(["id"], self.shards)
        ends = np.cumsum([0, *(table.num_rows for table in tables)], dtype=np.int64)
        ids = pa.concat_tables(tables).column("id").combine_chunks()
        return HeldRows(ids, ends, tuple(lost))

    def read(self, head: str, shards: Sequence[int] | None = None) -> Scores:
        """Read a head of some shards, or of every one, in order; see `read_heads`."""
        return self.read_heads([head], shards)[0]

    def read_heads(self, heads: Sequence[str], shards: Sequence[int] | None = None) -> list[Scores]:
        """Read heads of some shards, or of every one, in order.

        Raises:
            StoreError: a shard is missing or torn.
        """
        tables, lost = self._tables(["id", *heads], self.shards if shards is None else shards)
        table = pa.concat_tables(tables)
        ids, widths = tuple(table.column("id").to_pylist()), self.heads
        return [
            Scores(ids, cast(Probs, read_lists(table.column(head), widths[head])), tuple(lost))
            for head in heads
        ]

    def _tables(
        self, columns: Sequence[str], shards: Sequence[int]
    ) -> tuple[list[pa.Table], list[Quarantined]]:
        """Return columns of shards, a table each, and what they have quarantined."""
        tables: list[pa.Table] = []
        lost: list[Quarantined] = []
        for shard in shards:
            record = self._record(shard)
            if record is None:
                raise StoreError(f"{self.part(shard)} is missing or torn; run again to redo it")
            with pq.ParquetFile(self.part(shard)) as part:  # read_table would import pandas
                tables.append(part.read(list(columns)))
            lost += quarantined_of(record["quarantined"])
        return tables, lost

    def _record(self, shard: int) -> dict[str, object] | None:
        """Return the JSON of a shard that is whole, else None."""
        part = self.part(shard)
        try:
            record = json.loads(part.with_suffix(".json").read_bytes())
            sha256 = sha256_file(part)
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict):
            return None
        check = record.pop("check", None)
        rows = self.rows(shard)
        own = check == sha256_json(record) and record["fingerprint"] == self.key
        same = own and record["rows"] + len(record["quarantined"]) == rows.stop - rows.start
        return record if same and record["sha256"] == sha256 else None


def open_partition(
    store: Path,
    fingerprint: Mapping[str, object],
    *,
    images: int,
    shard_size: int,
    label: MemberId = _NOBODY,
) -> Partition:
    """Open the folder of a fingerprint, making it where it is new.

    Args:
        store: The store's folder.
        fingerprint: What decides the predictions, as JSON. See docs/store.md.
        images: The number of images of the image set.
        shard_size: Images a shard, where the key is new.
        label: What a person calls the member, where the key is new.

    Raises:
        StoreError: the folder cannot be made, or its key.json belongs to something else.
    """
    key = key_of(fingerprint)
    partition = load_partition(store, key)
    if partition is None:
        record = {"fingerprint": fingerprint, "images": images, "shard_size": shard_size}
        told = {"name": label.name, "family": label.family, "fold": label.fold}
        publish_json(store / "predictions" / key / "key.json", {**record, "label": told})
        return Partition(store / "predictions" / key, key, fingerprint, images, shard_size, label)
    if partition.images != images:
        raise _edited(partition.folder)
    return partition


@contextmanager
def hold(store: Path, keys: Collection[str], pid: int) -> Iterator[None]:
    """Keep other runs from keys while the block runs, and clear away what dead ones left there.

    Args:
        store: The store's folder.
        keys: The keys that are to be opened and written.
        pid: The process to name to other runs.

    Raises:
        UsageError: another run writes to one of them; says which process.
        StoreError: the disk refused.
    """
    with ExitStack() as held:
        for key in sorted(set(keys)):
            folder = store / "predictions" / key
            held.enter_context(locked(folder / LOCK, pid, _MAKES))
            remove_temporaries(folder)
        yield


def load_partition(store: Path, key: str) -> Partition | None:
    """Return the partition of a key, or None where the store has none.

    Raises:
        StoreError: its key.json was edited, or belongs to something else.
    """
    folder = store / "predictions" / key
    try:
        record = json.loads((folder / "key.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / 'key.json'} cannot be read; delete {folder}") from error
    if not isinstance(record, dict) or key_of(record.get("fingerprint")) != key:
        raise _edited(folder)
    size, images = record.get("shard_size"), record.get("images")
    if not isinstance(size, int) or not isinstance(images, int) or size < 1:
        raise _edited(folder)
    return Partition(folder, key, record["fingerprint"], images, size, _label(record))


def _columns_of(head: Mapping[str, object]) -> int:
    """Return how many values of an image a head of a fingerprint has; see `Head.columns`."""
    if "boxes" not in head:
        return len(list_of(head["classes"]))
    return BOX_COLUMNS * number_of(mapping_of(head["boxes"])["count"])


def key_of(fingerprint: object) -> str:
    """Return the key of a fingerprint: 16 hex digits of the SHA-256 of its canonical JSON."""
    return sha256_json(fingerprint)[:16]


def _label(record: Mapping[str, object]) -> MemberId:
    """Return the label of a key.json; an empty one where there is none, or none that is right."""
    found = record.get("label")
    label = found if isinstance(found, dict) else {}
    name, family, fold = (label.get(key) for key in ("name", "family", "fold"))
    return MemberId(
        name if isinstance(name, str) else "",
        family if isinstance(family, str) else "",
        fold if isinstance(fold, int) else None,
    )


def _edited(folder: Path) -> StoreError:
    return StoreError(f"{folder / 'key.json'} was edited; delete {folder}")


def is_key(key: object) -> TypeGuard[str]:
    """Tell whether something is a key of the store: 16 hex digits."""
    return isinstance(key, str) and len(key) == 16 and set(key) <= set("0123456789abcdef")
