"""Composing the folds: labels and groups from tables, hashes from images."""

from collections.abc import Sequence
from pathlib import Path

from ensemble.errors import UsageError, few
from ensemble.files import publish_bytes
from ensemble.folds import FoldReport, make_folds, report_folds
from ensemble.images import hash_sources, scan
from ensemble.oof import folds_of
from ensemble.session import available_threads
from ensemble.tables import column_of, csv_bytes


def split(
    labels: Path,
    label_column: str,
    *,
    k: int,
    group: str | None,
    seed: int,
    check: Path | None,
    images: Sequence[str],
    out: Path,
) -> FoldReport:
    """Make folds and write them to `out`, or look at those in `check`.

    Raises:
        UsageError: tables that do not fit together, or folds that cannot be made.
        StoreError: the disk refused.
    """
    truth = column_of(labels, label_column)
    groups = None if group is None else column_of(labels, group)
    if check is None:
        folds = make_folds(truth, k, groups=groups, seed=seed)
        publish_bytes(out, csv_bytes([("id", "fold"), *folds.items()]))
        return report_folds(truth, folds, groups=groups)
    listed = column_of(check, "fold")
    numbers = dict(zip(listed, folds_of(list(listed), listed, check).tolist(), strict=True))
    digests = {}
    if images:
        found = hash_sources(scan(images).images, available_threads())
        digests = {each.source.id: each.sha256 for each in found if each.sha256}
    return report_folds(truth, numbers, groups=groups, digests=digests)


def refuse_leaks(report: FoldReport) -> None:
    """Raise where a fold knows rows of another.

    Raises:
        UsageError: names groups and images.
    """
    faults = []
    if report.straddling:
        faults.append(f"groups in several folds: {few(report.straddling)}")
    if report.twins:
        shown = [f"({', '.join(ids)})" for ids in report.twins]
        faults.append(f"the same image in several folds: {few(shown)}")
    if faults:
        raise UsageError(f"these folds leak: {'; '.join(faults)}. Split anew with --group")
