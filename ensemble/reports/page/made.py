"""How predictions were made: what they cost, what early exits did, what has none, the recipe."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from ensemble.arrays import Indices
from ensemble.predictions.run_record import RunRecord
from ensemble.records import Quarantined
from ensemble.reports.page.blocks import (
    Block,
    Cell,
    Chart,
    Fact,
    Facts,
    Note,
    Table,
    count_cell,
    name_cell,
    score_cell,
    shown_name,
)
from ensemble.reports.page.density import bar_chart

LISTED: Final = 100
"""The most images without a prediction that are listed."""

_MESSAGE: Final = 160


def cost_blocks(record: RunRecord, evaluations: Indices | None) -> list[Block]:
    """Return what a run cost, and what an early exit saved."""
    told, facts = record.facts, []
    for name, key, unit in (("seconds", "seconds", "s"), ("evaluations", "evaluations", "")):
        value = told.get(key)
        if isinstance(value, int | float):
            facts.append(Fact(name, Cell(f"{value:g} {unit}".strip(), str(value)), _below(key)))
    if isinstance(provider := told.get("provider"), str):
        facts.append(Fact("computed by", Cell(provider.removesuffix("ExecutionProvider"))))
    facts.append(Fact("members", count_cell(len(record.members))))
    return [Facts(tuple(facts)), *_exits(record, evaluations), *_odd(told)]


def quarantine_blocks(lost: Sequence[Quarantined]) -> list[Block]:
    """Return the images without a prediction, and why, at most `LISTED` of them."""
    if not lost:
        return [Note("Every image has a prediction.")]
    rows = tuple(
        (name_cell(each.id), Cell(each.stage), Cell(each.error_class),
         Cell(shown_name(each.message, _MESSAGE)))
        for each in lost[:LISTED]
    )  # fmt: skip
    left = len(lost) - len(rows)
    more = f"; {left} more stand in quarantine.csv" if left else ""
    kinds = Counter(each.error_class for each in lost)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    caption = f"{len(lost)} without a prediction: {told}{more}"
    return [Table(caption, ("image", "stage", "kind", "why"), rows)]


def crop_blocks(told: Mapping[str, object]) -> list[Block]:
    """Return how many boxes each rule chose."""
    counts = {name: count for name, count in told.items() if isinstance(count, int)}
    most = max([1, *counts.values()])
    rows = tuple(
        (Cell(name, tone="label"), count_cell(count, share=count / most))
        for name, count in counts.items()
    )
    return [Table("How boxes were chosen", ("rule", "images"), rows)] if rows else []


def recipe_blocks(record: RunRecord) -> list[Block]:
    """Return the settings that are not empty, the members with their hashes, and the versions."""
    settings = tuple(
        (Cell(name, tone="label"), Cell(shown_name(_plain(value), _MESSAGE)))
        for name, value in sorted(record.settings.items())
        if value not in (None, "", [], {}, False)
    )
    members = tuple(
        (name_cell(each.member.name), name_cell(each.member.family, tone=""),
         Cell("" if each.member.fold is None else str(each.member.fold)),
         Cell(each.member.sha256[:12], tone="muted", said=each.member.sha256))
        for each in record.members
    )  # fmt: skip
    versions = tuple(
        (Cell(name, tone="label"), Cell(text)) for name, text in record.versions.items()
    )
    return [
        Table("The members", ("member", "family", "fold", "SHA-256"), members),
        Table("The settings", ("setting", "value"), settings),
        Table("The versions", ("package", "version"), versions),
    ]


def _below(key: str) -> str:
    return "new ones; the rest was in the store" if key == "evaluations" else ""


def _exits(record: RunRecord, evaluations: Indices | None) -> list[Block]:
    told = record.early_exit
    if told is None:
        return []
    blocks: list[Block] = [Note(f"Early exit: {told.get('words', '')}.")]
    mean, stages = told.get("evaluations_per_image"), told.get("stages")
    if isinstance(mean, int | float) and isinstance(stages, int):
        blocks.append(Facts((
            Fact("evaluations an image", score_cell(float(mean), 2), f"of {stages}"),
            Fact("rule", Cell(str(told.get("rule", "")))),
        )))  # fmt: skip
    if evaluations is not None and len(evaluations):
        counts = {
            int(n): int(c) for n, c in zip(*np.unique(evaluations, return_counts=True), strict=True)
        }
        about = "How many images ended after how many evaluations"
        blocks.append(Chart(bar_chart(counts, "evaluations", about), f"{about}."))
    return blocks


def _odd(told: Mapping[str, object]) -> list[Block]:
    """Return notes of what was odd: files, members that were dropped, files that were skipped."""
    found: list[Block] = []
    for key, before in (("odd_files", "Odd files"), ("skipped_files", "Skipped files")):
        counts = told.get(key)
        if isinstance(counts, dict) and counts:
            words = ", ".join(f"{count} {shown_name(str(name))}" for name, count in counts.items())
            found.append(Note(f"{before}: {words}."))
    if dropped := told.get("dropped_members"):
        found.append(Note(f"Members that were dropped: {shown_name(_plain(dropped))}.", warns=True))
    return found


def _plain(value: object) -> str:
    """Write a setting as a person would."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_plain(each)}" for name, each in value.items()
                         if each not in (None, "", [], {}))  # fmt: skip
    return str(value)
