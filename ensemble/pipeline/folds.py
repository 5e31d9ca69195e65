"""Composing the folds: labels and groups from tables, hashes from images."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ensemble.errors import ImageError, UsageError, few
from ensemble.evaluation.bins import are_values, binned
from ensemble.evaluation.folds import (
    FoldReport,
    folds_of,
    listed_folds,
    refuse_leaks,
    report_folds,
)
from ensemble.evaluation.joint_labels import joint_labels
from ensemble.evaluation.labels import check_filled, check_grouped
from ensemble.evaluation.lookalikes import perceptual_hash, similar_pairs
from ensemble.evaluation.split import make_folds
from ensemble.files.atomic import disk_error, publish_bytes
from ensemble.files.csv_tables import column_of, csv_bytes
from ensemble.files.text_table import TableSource
from ensemble.images.crop_table import with_boxes
from ensemble.images.crops import boxed
from ensemble.images.loader import load_image
from ensemble.images.reading import Hashed, hash_sources
from ensemble.images.sources import Scan, scan
from ensemble.label_map import LabelMap
from ensemble.progress import Progress, Quiet
from ensemble.records import DecodePolicy, IdFrom
from ensemble.runtime.devices import available_threads


def split(
    labels: TableSource,
    label_column: str,
    *,
    k: int,
    group: str | None,
    seed: int,
    check: TableSource | None,
    images: Sequence[str],
    out: Path,
    force: bool = False,
    id_from: IdFrom = "stem",
    id_column: str | None = None,
    image_col: str | None = None,
    label_map: LabelMap | None = None,
    decode: DecodePolicy | None = None,
    crops: TableSource | None = None,
    progress: Progress | None = None,
) -> FoldReport:
    """Make folds and write them to `out`, or look at those in `check`.

    A file that is there and differs is replaced with `force` only: members were trained on it. With
    a label map the folds are stratified by its labels, which columns of tasks make too. Where there
    are `crops`, what looks alike is told by the boxes of the images, as they are.

    Raises:
        UsageError: tables that do not fit together, folds that cannot be made, or another file in
            `out`; then nothing is written.
        StoreError: the disk refused.
    """
    progress = progress or Quiet()
    seen = _seen(images, crops, decode, id_from, id_column, image_col=image_col)
    known = seen.ids if seen else ()
    notes: list[str] = []
    by_id = partial(column_of, id_column=id_column, known=known, tell=notes.append)
    if label_map is None:
        truth: Mapping[str, str] = by_id(labels, label_column)
    else:
        truth = joint_labels(
            labels, label_map, label_column, id_column=id_column, known=known, tell=notes.append
        )
    check_filled(truth, labels)
    truth = _strata(truth, labels, k, notes)
    groups = None if group is None else by_id(labels, group)
    check_grouped(groups or {}, truth, labels)
    listed = None if check is None else listed_folds(check, id_column, truth, notes.append)
    for note in dict.fromkeys(notes):  # of labels and groups once
        progress.warn(note)
    if listed is None:
        folds = make_folds(truth, k, groups=groups, seed=seed)
        data = csv_bytes([("id", "fold"), *folds.items()])
        if not force:
            _check_own(out, data)
        report = _report(truth, folds, groups, seen, progress)
        refuse_leaks(report)
        publish_bytes(out, data)
        return report
    numbers = dict(zip(listed, folds_of(list(listed), listed, check).tolist(), strict=True))
    return _report(truth, numbers, groups, seen, progress)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The images that are looked at, how they are decoded, and which part of each counts."""

    images: Scan
    policy: DecodePolicy
    crops: TableSource | None
    id_column: str | None

    @property
    def ids(self) -> list[str]:
        """The id of each image."""
        return [source.id for source in self.images.images]


def _seen(
    images: Sequence[str],
    crops: TableSource | None,
    decode: DecodePolicy | None,
    id_from: IdFrom,
    id_column: str | None,
    *,
    image_col: str | None,
) -> _Seen | None:
    """Find the images that are to be looked at; None where none are named."""
    if images:
        found = scan(images, id_from, id_column, image_col)
        return _Seen(found, decode or DecodePolicy(), crops, id_column)
    if crops is not None:
        raise UsageError("crops are of images: give these too")
    return None


def _strata(
    truth: Mapping[str, str], labels: TableSource, k: int, notes: list[str]
) -> Mapping[str, str]:
    """Return the labels, of values their bins, which is noted."""
    if not are_values(truth):
        return truth
    bins = binned(truth, k)
    notes.append(
        f"{labels}: the labels are {len(set(truth.values()))} different numbers, as of a "
        f"regression: the folds are stratified by {len(set(bins.values()))} quantile bins of them"
    )
    return bins


def _check_own(out: Path, data: bytes) -> None:
    """Refuse a file that holds anything but these bytes."""
    try:
        same = out.read_bytes() == data
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk_error("read", out, error) from error
    if not same:
        raise UsageError(
            f"--out {out} holds other folds, or something else, and members may be trained on "
            f"them; name another file, or say --force"
        )


def _report(
    truth: Mapping[str, str],
    folds: Mapping[str, int],
    groups: Mapping[str, str] | None,
    seen: _Seen | None,
    progress: Progress,
) -> FoldReport:
    digests, near = _looked_at(seen, folds, progress)
    report = report_folds(truth, folds, groups=groups, digests=digests)
    for note in _uneven(report):
        progress.warn(note)
    return replace(report, near=tuple(near))


def _uneven(report: FoldReport) -> list[str]:
    """Tell of each fold that has no row of some class."""
    return [
        f"fold {fold} has no row of {few([report.classes[c] for c in np.flatnonzero(row == 0)])}"
        for fold, row in zip(report.folds, report.counts, strict=True)
        if (row == 0).any()
    ]


def _looked_at(
    seen: _Seen | None, folds: Mapping[str, int], progress: Progress
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the hash of each image, and the pairs that look alike across folds, and warn."""
    if seen is None:
        return {}, []
    threads = available_threads()
    hashed = hash_sources(seen.images.images, threads)
    found = [each for each in hashed if each.sha256 and each.source.id in folds]
    if len(found) < len(folds):
        progress.warn(f"{len(folds) - len(found)} ids of the folds have no readable image")
    if seen.crops is not None:
        found = with_boxes(found, seen.crops, seen.policy, threads, seen.id_column)
    digests = {each.source.id: each.sha256 for each in found}
    near = _near(_looks(found, seen.policy, progress), folds, digests)
    if near:
        shown = few([f"({a}, {b})" for a, b in near])
        progress.warn(f"images that look alike lie in several folds: {shown} (all: --json)")
    return digests, near


def _looks(
    images: Sequence[Hashed], policy: DecodePolicy, progress: Progress
) -> dict[str, NDArray[np.bool_]]:
    """Return the perceptual hash of each image that can be decoded, by id, and warn of others."""
    progress.start(len(images), 1)
    looks: dict[str, NDArray[np.bool_]] = {}
    with ThreadPoolExecutor(available_threads()) as pool:
        found = pool.map(partial(_look, policy=policy), images)
        for image, look in zip(images, found, strict=True):
            progress.advance(1)
            if look is not None:
                looks[image.source.id] = look
    if len(looks) < len(images):
        progress.warn(
            f"{len(images) - len(looks)} images cannot be decoded: what they show is unknown"
        )
    return looks


def _near(
    looks: Mapping[str, NDArray[np.bool_]], folds: Mapping[str, int], digests: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Return the pairs that look alike across folds; copies of one file are told of elsewhere."""
    if not looks:
        return []
    names = list(looks)
    pairs = similar_pairs(np.array(list(looks.values())), np.array([folds[n] for n in names]))
    return [(names[a], names[b]) for a, b in pairs if digests[names[a]] != digests[names[b]]]


def _look(image: Hashed, policy: DecodePolicy) -> NDArray[np.bool_] | None:
    try:
        return perceptual_hash(boxed(load_image(image, policy).image, image.box))
    except ImageError:
        return None
