"""Mutated tables: the exact ids out, or a usage error, and never another exception.

    python benchmarks/campaigns/tables.py --count 20000 --seed 20

A trial writes a table of hostile ids (zeros, NA, spaces, quotes, line breaks) as some tool would:
with a BOM, CRLF, another separator, all quoted, in UTF-16. Most are damaged as well. Each is read
as what it stands for: a sample is read and written out again, labels and folds become columns, and
predictions of elsewhere become arrays. What comes out has the ids that went in, byte for byte.
"""

import csv
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from campaigns.trials import Outcome, asked_of, print_tally, run_trials

from ensemble.errors import UsageError
from ensemble.evaluation.folds import folds_from
from ensemble.evaluation.split import make_folds
from ensemble.files.csv_tables import column_of
from ensemble.files.spool import spooled
from ensemble.predictions import formats
from ensemble.predictions import table as oof
from ensemble.predictions.oof_file import write
from ensemble.reports.scorecard import Labels, score_submission
from ensemble.submission.cells import Filling, cells_of
from ensemble.submission.lines import lines_of
from ensemble.submission.reading import read_sample

CLASSES = ("cat", "dog", "eel")
HOSTILE = (
    "007", "7", "NA", "null", "nan", "1e5", " 8 ", "", "a,b", 'a"b', "a\nb", "a\r\nb", "a\rb",
    "=1+1", "-x", "@x", "é", "e\u0301", "日本", "\ufeffx", "a\0b", "a;b", "\t", "0x1F", "True",
    "1_000", "'", "x" * 300, "id", "  ", "\u2028", "\x1a", "\x85",
)  # fmt: skip

Table = list[list[str]]


def table(rng: random.Random, columns: Sequence[str], fill: Callable[[], list[str]]) -> Table:
    """Return a header and rows with ids of their own."""
    ids = [rng.choice(HOSTILE) or "plain" for _ in range(rng.randrange(1, 8))]
    if rng.random() < 0.9:
        ids = list(dict.fromkeys(ids))
    return [list(columns), *([name, *fill()] for name in ids)]


def written(rows: Table, rng: random.Random) -> tuple[bytes, bool]:
    """Write a table as some tool would, and tell whether it must be readable."""
    stream = io.StringIO(newline="")
    form = {
        "delimiter": rng.choice(",,,,,,;\t|"),
        "quoting": rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
        "lineterminator": rng.choice(("\n", "\n", "\r\n", "\r")),
    }
    csv.writer(stream, **form).writerows(rows)
    encoding = rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "utf-16-le", "latin-1"))
    data = stream.getvalue().encode(encoding, "replace")
    broken = form["quoting"] == csv.QUOTE_MINIMAL and any(
        "\r" in c or "\n" in c for r in rows for c in r
    )
    return data, form["delimiter"] == "," and encoding in ("utf-8", "utf-8-sig") and not broken


def damaged(rows: Table, rng: random.Random) -> Table:
    """Damage a table as people do: a cell, a row's length, the header, a row twice."""
    rows = [list(row) for row in rows]
    row = rng.choice(rows)
    match rng.randrange(7):
        case 0:
            row[rng.randrange(len(row))] = rng.choice((*HOSTILE, "x" * 200_000, "9" * 5000))
        case 1:
            row.append("more")
        case 2:
            row.pop()
        case 3:
            rows[0][-1] = rng.choice(rows[0])
        case 4:
            rows.append(list(row))
        case 5:
            rows = rows[: rng.randrange(len(rows))]
        case _:
            rng.shuffle(rows)
    return rows


def bytes_damaged(data: bytes, rng: random.Random) -> bytes:
    """Damage bytes: one flipped, a stretch lost, a quote or an end too many."""
    at = rng.randrange(len(data) + 1)
    match rng.randrange(4):
        case 0:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at]
        case 2:
            return data[:at] + rng.choice((b'"', b"\n\n", b"\0", b"\xff\xfe", b"\r")) + data[at:]
    return data[:at] + data[at + rng.randrange(1, 20) :]


# ---- what each table stands for: read it; return the ids that came out


def sample_ids(path: Path) -> list[str]:
    """Read a sample, fill it, and read the ids of the submission as a stranger would."""
    sample = read_sample(path, CLASSES, "name")
    ids, count = sample.ids, len(sample.ids)
    filling = Filling(ids, ["cat"] * count, np.tile((0.2, 0.3, 0.5), (count, 1)))
    with spooled(path) as sink:
        with lines_of(sample, ids, (), [], sink) as lines:
            lines.add(cells_of(sample, filling, CLASSES))
            lines.finish()
        text = sink.piece(0, sink.tell()).decode()
    return [row[0] for row in csv.reader(io.StringIO(text, newline=""), strict=True)][1:]


def label_ids(path: Path) -> list[str]:
    """Read labels, and split them where they can be."""
    labels = column_of(path, "label")
    try:
        return list(make_folds(labels, 2))
    except UsageError:
        return list(labels)


def fold_ids(path: Path) -> list[str]:
    """Read folds."""
    ids = list(column_of(path, "fold"))
    return ids if len(folds_from(path, ids)) == len(ids) else []


def oof_ids(path: Path) -> list[str]:
    """Read predictions of elsewhere, and write and read them as our own."""
    found = formats.read(path)
    again = path.with_suffix(".parquet")
    write(again, found)
    return list(formats.read(again).ids)


def scored_ids(path: Path) -> list[str]:
    """Score a submission against itself."""
    ids = list(column_of(path, "label"))
    score_submission(path, Labels(path))
    return ids


def _labels(rng: random.Random) -> Table:
    return table(rng, ("id", "label"), lambda: [rng.choice(CLASSES)])


def _folds(rng: random.Random) -> Table:
    return table(rng, ("id", "fold"), lambda: [rng.choice(("0", "1", "2", "12", "0", "9" * 30))])


def _probs(rng: random.Random) -> Table:
    columns = ("id", *rng.sample(CLASSES, 3))

    def fill() -> list[str]:
        return [str(p) for p in np.random.default_rng(rng.randrange(9)).dirichlet((1, 1, 1))]

    return table(rng, columns, fill)


KINDS: dict[str, tuple[Callable[[random.Random], Table], Callable[[Path], list[str]]]] = {
    "sample, labels": (_labels, sample_ids),
    "sample, probabilities": (_probs, sample_ids),
    "labels": (_labels, label_ids),
    "folds": (_folds, fold_ids),
    "predictions": (_probs, oof_ids),
    "scores": (_labels, scored_ids),
}
"""How a table of each kind is made, and how it is read."""


def trial(seed: int, number: int) -> Outcome:
    """Write a table, damage it, read it, and compare the ids."""
    rng = random.Random(f"{seed}/{number}")
    kind = rng.choice(list(KINDS))
    make, read = KINDS[kind]
    rows = make(rng)
    good = is_good(rows)
    if rng.random() < 0.5:
        rows, good = damaged(rows, rng), False
    data, readable = written(rows, rng)
    if rough := rng.random() < 0.3:
        data = bytes_damaged(data, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(data)
        try:
            ids = read(path)
        except UsageError as error:
            named = "table" in str(error) and (rough or not (good and readable))
            return Outcome(kind, "usage error", named, detail=str(error)[:200])
        except Exception as error:
            return Outcome(kind, type(error).__name__, allowed=False, detail=str(error)[:200])
    if rough or ids == expected_ids(rows, data):
        return Outcome(kind, "read", allowed=True)
    return Outcome(kind, "other ids", allowed=False, detail=f"{ids} for {data[:200]!r}")


def is_good(rows: Table) -> bool:
    """Tell whether a table holds what it should: ids that differ, no NUL, folds of a size."""
    ids = [row[0] for row in rows[1:]]
    cells = [cell for row in rows for cell in row]
    return len(set(ids)) == len(ids) and not any("\0" in c or c == "9" * 30 for c in cells)


def packed_trial(seed: int, number: int) -> Outcome:
    """Damage the bytes of predictions in Parquet or npz, and read them."""
    rng = random.Random(f"{seed}/packed/{number}")
    kind = rng.choice(("parquet", "npz"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table.{kind}"
        path.write_bytes(bytes_damaged(packed(kind), rng))
        try:
            formats.read(path)
        except UsageError as error:
            return Outcome(kind, "usage error", "table" in str(error), detail=str(error)[:200])
        except Exception as error:
            return Outcome(kind, type(error).__name__, allowed=False, detail=str(error)[:200])
    return Outcome(kind, "read", allowed=True)


@cache
def packed(kind: str) -> bytes:
    """Return clean predictions of 40 rows."""
    probs = np.random.default_rng(20).dirichlet((1, 1, 1), 40)
    ids = [f"img{n}" for n in range(40)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table.{kind}"
        if kind == "npz":
            np.savez(path, ids=ids, probs=probs, classes=CLASSES, fold=np.arange(40) % 5)
        else:
            folds = np.arange(40) % 5
            write(path, oof.Oof(tuple(ids), CLASSES, {"a": probs, "b": probs}, folds))
        return path.read_bytes()


def expected_ids(rows: Table, data: bytes) -> list[str]:
    """Return the ids that a table holds; a text that latin-1 lacks was written as `?`."""
    encoded = data.decode("utf-8-sig")
    key = rows[0].index("id") if "id" in rows[0] else 0
    ids = [row[key] for row in rows[1:]]
    return (
        ids
        if all(csv_has(encoded, name) for name in ids)
        else [name.encode("latin-1", "replace").decode("latin-1") for name in ids]
    )


def csv_has(text: str, name: str) -> bool:
    """Tell whether a text of a CSV holds a cell, quoted or not."""
    return name in text or name.replace('"', '""') in text


def main() -> None:
    """Print the tally."""
    asked = asked_of(__doc__, 20_000)
    began = time.perf_counter()
    tally = run_trials(lambda n: trial(asked.seed, n), asked.count, workers=asked.workers)
    more = run_trials(lambda n: packed_trial(asked.seed, n), asked.count // 10, workers=1)
    tally.join(more)
    print_tally(tally, seed=asked.seed, seconds=time.perf_counter() - began)
    raise SystemExit(bool(tally.faults))


if __name__ == "__main__":
    main()
