"""The ledger of submissions: what was published, by what, and what the leaderboard said of it.

`ledger.csv` lies beside the folders of the runs and has one line for each folder and content of
its submission. A line that is written again replaces itself, so the file is rewritten, not
appended to: under a lock, which a process that dies gives back, and atomically.
"""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError, few
from ensemble.files.atomic import locked, publish_bytes, remove_temporaries, sha256_file
from ensemble.files.csv_tables import csv_bytes, read_table
from ensemble.recipe.resolve import Recipe
from ensemble.voting.weights import CONFIDENCE, NO_EVIDENCE, Weights

LEDGER: Final = "ledger.csv"
COLUMNS: Final = (
    "when", "run", "families", "tta", "voting", "weights", "early_exit", "metric", "oof",
    "oof_kind", "rows", "quarantined", "submission_sha256", "public",
)  # fmt: skip
"""What each line holds; columns that the user adds are kept."""

_LATER: Final = ("early_exit",)
"""Columns that a ledger written by an earlier version lacks, and is given."""

_LOCK: Final = ".ledger.lock"
_WRITES: Final = "is writing the ledger"
_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Published:
    """What a run or a vote has published: the family of each member, and its submission.csv."""

    families: Sequence[str]
    rows: int
    quarantined: int
    sha256: str


def note(out: Path, recipe: Recipe, published: Published) -> None:
    """Write the line of the run in the folder `out`; the same submission there keeps one line.

    Raises:
        UsageError: there is a ledger that is none.
        StoreError: the disk refused.
    """
    line = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": out.absolute().name,
        "families": _counted(published.families),
        "tta": recipe.scoring.tta,
        "voting": recipe.fusion.voting,
        "early_exit": recipe.saved,
        "rows": str(published.rows),
        "quarantined": str(published.quarantined),
        "submission_sha256": published.sha256,
        **_weighed(recipe),
    }
    path = out.absolute().parent / LEDGER
    with locked(path.with_name(_LOCK), os.getpid(), _WRITES, _PATIENCE):
        remove_temporaries(path.parent, LEDGER)
        header, lines = _read(path)
        same = [old for old in lines if _names(old) == _names(line)]
        kept = [old for old in lines if _names(old) != _names(line)]
        _write(path, header, [*kept, {**(same[-1] if same else {}), **line}])


def record_public(run: Path, public: float) -> dict[str, str]:
    """Write what the leaderboard said of a run's submission into its line of the ledger.

    Args:
        run: The folder of the run; its ledger lies beside it.
        public: The score, a finite number; it replaces one that was recorded before.

    Returns:
        The line as it was before.

    Raises:
        UsageError: the number is not finite, or the ledger has no line of this submission.
        StoreError: the disk refused.
    """
    if not math.isfinite(public):
        raise UsageError(f"a public score is a finite number; found {public}")
    file, path = run / "submission.csv", run.absolute().parent / LEDGER
    try:
        wanted = (run.absolute().name, sha256_file(file))
    except OSError as error:
        raise UsageError(
            f"{run}: not the folder of a published run; cannot read {file}: {error.strerror}"
        ) from error
    with locked(path.with_name(_LOCK), os.getpid(), _WRITES, _PATIENCE):
        remove_temporaries(path.parent, LEDGER)
        header, lines = _read(path)
        found = [line for line in lines if _names(line) == wanted]
        if not found:
            raise UsageError(
                f"{path}: no line of {wanted[0]} with this submission.csv "
                f"(SHA-256 {wanted[1][:12]}…). Make it with `ensemble run` or `ensemble vote`"
            )
        before = dict(found[-1])
        found[-1]["public"] = repr(float(public))
        _write(path, header, lines)
    return before


def _names(line: Mapping[str, str]) -> tuple[str, str]:
    return line["run"], line["submission_sha256"]


def _counted(families: Sequence[str]) -> str:
    """Name the families, each with its number of members: "resnet x5, vgg x5"."""
    return ", ".join(f"{name} x{count}" for name, count in sorted(Counter(families).items()))


def _weighed(recipe: Recipe) -> dict[str, str]:
    """Say how families were weighed, and what out-of-fold rows said of just that blend."""
    weights = recipe.fusion.weights
    if weights is None:
        return {"weights": "uniform", "metric": "", "oof": "", "oof_kind": ""}
    kind, score = _out_of_fold(weights) if recipe.fusion.voting == "soft" else ("", None)
    return {
        "weights": _summary(weights),
        "metric": weights.metric,
        "oof": "" if score is None else f"{score:.6g}",
        "oof_kind": "" if score is None else kind,
    }


def _summary(weights: Weights) -> str:
    """Return family=number,…, with what is not plain about them in words."""
    numbers = ",".join(f"{name}={weight:.4g}" for name, weight in weights.families.items())
    rule = weights.decision
    words = [weights.pool] * (weights.pool != "linear") + [numbers]
    words += [f"T={weights.temperature:.4g}"] * (weights.temperature != 1)
    words += [f"prior^-{rule.prior_tau:.4g}"] * bool(rule.prior_tau)
    words += ["cut points"] * bool(rule.cut_points)
    return " ".join(words)


def _out_of_fold(weights: Weights) -> tuple[str, float | None]:
    """Return the honest score of the blend that was written, else the optimistic one, by name.

    The honest one is what choosing the blend is worth on rows that the choice did not see
    (`corrected`). Where the plain mean was written, nothing was fitted for it.
    """
    seen = weights.evidence
    kinds = [kind for kind in ("corrected", "nested") if seen.get(kind) is not None]
    kind = kinds[0] if kinds else "apparent"
    if "holdout" in seen and weights.metric in CONFIDENCE:
        return "", None  # its temperature is another than the one that was judged
    if seen.get("written") == "mean" or (kinds and seen.get("verdict") == NO_EVIDENCE):
        kind = "uniform"
    score = seen.get(kind)
    return kind, float(score) if isinstance(score, int | float) else None


def _read(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    if not path.exists():
        return list(COLUMNS), []
    header, body = read_table(path)
    if lacking := [name for name in COLUMNS if name not in {*header, *_LATER}]:
        raise UsageError(
            f"{path}: not a ledger of ensemble: it lacks {few(lacking)}. Move it away, and the "
            f"next run begins a new one"
        )
    lines = [dict(zip(header, row, strict=True)) for row in body]
    for name in _LATER:
        if name not in header:
            header.insert(header.index(COLUMNS[COLUMNS.index(name) - 1]) + 1, name)
    return header, lines


def _write(path: Path, header: Sequence[str], lines: Sequence[Mapping[str, str]]) -> None:
    rows = [[line.get(name, "") for name in header] for line in lines]
    publish_bytes(path, csv_bytes([header, *rows]))
