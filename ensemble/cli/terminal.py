"""What a person sees: progress and summaries on stderr, data alone on stdout."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

import click

from ensemble.errors import few
from ensemble.weights import CONFIDENCE, NO_EVIDENCE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ensemble.audit import Audit
    from ensemble.card import Card
    from ensemble.compare import Difference
    from ensemble.doctor import Finding
    from ensemble.export import Exported
    from ensemble.folds import FoldReport
    from ensemble.inventory import Garbage, Held, Torn
    from ensemble.publish import Submission
    from ensemble.quantizing import Quantized
    from ensemble.scorecard import Scorecard
    from ensemble.weights import Weights

FRESH_LINE: Final = "\r\x1b[K"
"""What wipes the line of a terminal that a bar may stand in."""

_WIDEST: Final = 12
_WIDE: Final = 140
"""Columns of a terminal on which a key of the store is told whole."""

_EVERY: Final = 10.0
_REDRAW: Final = 0.2


class Bar:
    """Progress of a run: a bar on a terminal, elsewhere a line every ten seconds.

    A run over one image and several members is one image: rates are in images.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Report on `stream`."""
        self._stream = stream
        self._terminal = stream.isatty()
        self._clock = clock
        self._total = self._done = 0
        self._members, self._unit = 1, "images"
        self._began = self._shown = clock()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal on a fresh line."""
        if self._terminal and self._total:
            self._stream.write(FRESH_LINE)
            self._stream.flush()

    def start(self, total: int, members: int, unit: str = "images") -> None:
        """Begin a count: evaluations in all, of so many members, that make `unit`."""
        self._unit = unit
        self._total, self._done, self._members = total, 0, max(members, 1)
        self._began = self._clock()
        self._shown = self._began

    def advance(self, evaluations: int) -> None:
        """Count evaluations, and show them when it is time."""
        self._done += evaluations
        now = self._clock()
        if now - self._shown >= (_REDRAW if self._terminal else _EVERY):
            self._shown = now
            self._show(now)

    def warn(self, message: str) -> None:
        """Print a line of warning."""
        if self._terminal and self._total:
            self._stream.write(FRESH_LINE)
        click.echo(f"{click.style('note:', fg='yellow')} {message}", file=self._stream)

    def _show(self, now: float) -> None:
        share = self._done / self._total
        seconds = max(now - self._began, 1e-9)
        rate = self._done / self._members / seconds
        left = round(seconds * (1 - share) / max(share, 1e-9))
        text = f"{share:4.0%}  {rate:.1f} {self._unit}/s  {left // 60}:{left % 60:02d} left"
        if not self._terminal:
            click.echo(text, file=self._stream)
            return
        filled = round(30 * share)
        self._stream.write(f"{FRESH_LINE}[{'#' * filled}{'.' * (30 - filled)}] {text}")
        self._stream.flush()


def say_submission(result: "Submission", *, as_json: bool) -> None:
    """Print where the submission lies, and what became of the images."""
    record = result.record
    counts = f"{len(result.ids)} predicted, {len(result.quarantined)} quarantined"
    seconds = record.get("seconds")
    took = f" in {seconds:.1f} s" if isinstance(seconds, float) else ""
    exits = record.get("early_exit")
    took += ", all of them from the store" if _is_stored(record) else ""
    click.echo(f"{counts}{took}", err=True)
    if isinstance(exits, dict):
        click.echo(f"early exit: {exits['words']}", err=True)
    if result.path is None:
        click.echo(
            f"no submission was written: give --fill VALUE for the quarantined images "
            f"({result.folder / 'quarantine.csv'})",
            err=True,
        )
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False))
    elif result.path is not None:
        click.echo(str(result.path))


def _is_stored(record: "Mapping[str, Any]") -> bool:
    """Tell whether the store had everything: nothing was made, and all of it has a key there."""
    kept = bool(record.get("early_exit")) or all(member["key"] for member in record["members"])
    return record.get("evaluations") == 0 and kept


def say_export(exported: "Exported") -> None:
    """Print the member that was written, and how far it differs from torch."""
    card = exported.card
    stripped = f", prefix {exported.stripped!r} stripped" if exported.stripped else ""
    click.echo(
        f"{card.name}: family {card.family}, {_fold(card)}, {_pixels(card)}, "
        f"largest difference from torch {exported.max_abs_diff:.1e}{stripped}",
        err=True,
    )
    click.echo(str(exported.path))


def say_quantized(quantized: "Quantized") -> None:
    """Print how an int8 member compares with its float32 member, and where it lies."""
    click.echo(f"{quantized.card.name}: {quantized.speed:.1f} times the images/s", err=True)
    for agreement in quantized.agreements:
        click.echo(f"  {agreement}", err=True)
    click.echo(str(quantized.path))


def say_weights(weights: "Weights", path: Path) -> None:
    """Print what was found: the families, the scores, the verdict; on stderr where it lies."""
    from rich.table import Table

    seen = weights.evidence
    families = Table("family", "weight", weights.metric, "lost without it")
    for name, weight in weights.families.items():
        lost = seen.get("loss_without", {}).get(name)
        families.add_row(
            name, f"{weight:.3f}", f"{seen['singles'][name]:.5f}",
            "" if lost is None else f"{lost:+.5f}",
        )  # fmt: skip
    scores = Table("blend", weights.metric)
    best = seen["best_single"]
    scores.add_row(f"best single family, {best['family']}", f"{best['score']:.5f}")
    scores.add_row("uniform", f"{seen['uniform']:.5f}")
    scores.add_row("tuned, on the rows it was tuned on (optimistic)", f"{seen['apparent']:.5f}")
    if seen["nested"] is not None:
        scores.add_row("tuned, nested: on rows it did not see", f"{seen['nested']:.5f}")
    console = _console()
    console.print(families)
    console.print(scores)
    if seen["gain"] is not None:
        console.print(f"nested gain over uniform {seen['gain']:+.5f}, {_ends_of(seen)}")
    plain = seen["nested"] is not None and seen["verdict"] == NO_EVIDENCE
    written = "(the plain mean is written)" if plain else ""
    console.print(f"verdict: {seen['verdict']} {written}".rstrip())
    if held := seen.get("holdout"):
        console.print(
            f"temperature {weights.temperature:.3f} by {held['n']} hold-out rows: their log-loss "
            f"goes from {held['log_loss_before']:.5f} to {held['log_loss']:.5f}"
        )
    elif weights.metric in CONFIDENCE and weights.pool != "rank":
        console.print(
            "confidence is that of single folds; the mean of folds may want another temperature, "
            "which --holdout fits"
        )
    rule = weights.decision
    if rule.prior_tau:
        console.print(f"labels are the argmax of p / prior^{rule.prior_tau:.3f}")
    if rule.thresholds:
        console.print(
            f"labels are given from {min(rule.thresholds):.3f} to "
            f"{max(rule.thresholds):.3f} on, a threshold each"
        )
    click.echo(str(path), err=True)


def _ends_of(seen: "Mapping[str, Any]") -> str:
    """Say the interval of a nested gain and its p, or that there is none."""
    if seen["gain_ci95"] is None:
        return "without an interval: too few rows (or groups) of a class"
    low, high = seen["gain_ci95"]
    return f"95 % interval {low:+.5f} to {high:+.5f}, p {seen['p']:.3f}"


def say_folds(report: "FoldReport", *, as_json: bool) -> None:
    """Print how many rows of each class each fold has; as JSON, all there is to say."""
    if as_json:
        click.echo(json.dumps({**asdict(report), "counts": report.counts.tolist()}))
        return
    from rich.table import Table

    table = Table("fold", "rows", "fewest and most of a class, in percent of the fold")
    for fold, counts in zip(report.folds, report.counts, strict=True):
        shares = 100 * counts / max(counts.sum(), 1)
        table.add_row(
            str(fold),
            str(counts.sum()),
            f"{report.classes[shares.argmin()]} {shares.min():.2f}, "
            f"{report.classes[shares.argmax()]} {shares.max():.2f}",
        )
    _console(stderr=True).print(table)


def say_scores(card: "Scorecard") -> None:
    """Print scores with their intervals, and the confusion matrix."""
    from rich.table import Table

    scores = Table("metric", "score", "95 % interval", title=f"{card.rows} rows")
    for line in card.lines:
        ends = "{:.5f} to {:.5f}".format(*line.interval) if line.interval else "none"
        scores.add_row(line.metric, f"{line.score:.5f}", ends)
    console = _console()
    if card.rescaled:
        click.echo(f"{card.rescaled} rows do not sum to 1: divided by their sum", err=True)
    console.print(scores)
    if not all(line.interval for line in card.lines):
        console.print("no interval: too few rows of a class")
    if not card.counts.size:
        return
    if len(card.classes) > _WIDEST:
        console.print(f"{len(card.classes)} classes: --json has the confusion matrix")
        return
    matrix = Table("truth, and predicted as", *map(str, range(len(card.classes))))
    for number, row in enumerate(card.counts.astype(int)):
        matrix.add_row(f"{number} {card.classes[number]}", *map(str, row))
    console.print(matrix)


def say_difference(found: "Difference") -> None:
    """Print how many rows changed, and from which label to which."""
    from rich.table import Table

    console = _console()
    share = len(found.changed) / found.rows
    console.print(f"{len(found.changed)} of {found.rows} rows have another label ({share:.2%})")
    if found.largest is not None:
        console.print(f"the largest difference of a probability is {found.largest:.3g}")
    if not found.moves:
        return
    table = Table("from", "to", "rows")
    for (before, after), rows in list(found.moves.items())[:_WIDEST]:
        table.add_row(before, after, str(rows))
    console.print(table)
    if len(found.moves) > _WIDEST:
        console.print(f"and {len(found.moves) - _WIDEST} rarer changes")
    console.print(f"for instance {few(found.changed)}")


def say_cards(members: "Sequence[tuple[Path, Card]]", *, as_json: bool) -> None:
    """Print cards as a table, or as JSON."""
    from ensemble.card import to_json

    if as_json:
        click.echo(json.dumps({str(p): json.loads(to_json(c)) for p, c in members}, indent=1))
        return
    from rich.table import Table

    table = Table("member", "family, fold, arch", "pixels", "heads", show_lines=True)
    for _, card in members:
        heads = "\n".join(f"{h.name} ({h.activation}): {few(h.classes)}" for h in card.heads)
        about = f"{card.family}, {_fold(card)}\n{card.arch}"
        about += f", {card.source['quantized']}" if "quantized" in card.source else ""
        table.add_row(card.name, about, _pixels(card).replace("; ", "\n"), heads)
    _console().print(table)


def say_config(settings: "Sequence[Mapping[str, object]]", *, as_json: bool) -> None:
    """Print each setting, its value, and where it is from."""
    if as_json:
        click.echo(json.dumps(settings))
        return
    for entry in settings:
        value = json.dumps(entry["value"], ensure_ascii=False)
        click.echo(f"{entry['setting']!s:16} {value:32} {entry['origin']}")


def say_plan(plan: "Mapping[str, Any]", *, as_json: bool) -> None:
    """Print what a run would do."""
    if as_json:
        click.echo(json.dumps({**plan, "out": str(plan["out"])}))
        return
    for member in plan["members"]:
        click.echo(
            f"{member['member']}: {member['evaluations']} evaluations, "
            f"{member['evaluations_stored']} in the store; {member['shards']} shards, "
            f"{member['shards_stored']} in the store; {_duration(member['seconds'])} on "
            f"{member['provider']}"
        )
    if exits := plan.get("early_exit"):
        some = "a few" if exits["calibrated"] is None else exits["calibrated"]
        click.echo(
            f"early exit: {some} images get all {exits['stages']} evaluations, the others as few "
            f"as will do; the members' are the most that can come; {exits['shards_stored']} of "
            f"{exits['shards']} shards in the store"
        )
    parts = [*plan["members"], exits] if exits else plan["members"]
    needed = sum(part["bytes"] for part in parts)
    click.echo(f"the store needs about {_size(needed)}; {_size(plan['free'])} are free")
    click.echo(f"it would write to {plan['out']}; nothing was written", err=True)
    if needed > plan["free"]:
        click.secho("the disk is too small for it", fg="red", err=True)


def say_findings(findings: "Sequence[Finding]") -> None:
    """Print what the doctor found, and below each fault the line that mends it."""
    colours = {"ok": "green", "note": "yellow", "problem": "red"}
    for finding in findings:
        level = click.style(f"{finding.level:8}", fg=colours[finding.level])
        click.echo(f"{level}{finding.topic:12} {finding.text}")
        if finding.remedy:
            click.echo(f"{'':20} {finding.remedy}")


def say_audit(found: "Audit") -> None:
    """Print what a check of early exits found."""
    for fault in found.faults:
        click.secho(fault, fg="red", err=True)
    if found.faults:
        count = len(found.faults)
        click.echo(f"{found.rows} rows were checked: {count} fault{'s' * (count > 1)}")
        return
    click.echo(f"{found.rows} rows: every exit was allowed, and every label is that of its sums")
    click.echo(found.words)


def say_held(held: "Sequence[Held]") -> None:
    """Print what the store holds, a line a key: a table on a terminal, else fields with tabs."""
    if held and sys.stdout.isatty():
        console = _console()
        console.print(_table_of(held, wide=console.width >= _WIDE))
    elif held:
        click.echo("\n".join(map(_fields_of, held)))
    click.echo(f"{len(held)} keys, {_size(sum(h.bytes for h in held))}", err=True)


def _fields_of(entry: "Held") -> str:
    """Write a key as one line: docs/store.md names the fields."""
    fold = "" if entry.fold is None else entry.fold
    fields = (
        entry.key, entry.fault or entry.member, entry.family, fold, entry.views, entry.merge,
        entry.precision, entry.provider, entry.images, entry.image_set,
        f"{entry.shards}/{entry.total}", entry.bytes, _date(entry, "%Y-%m-%dT%H:%M"),
        ", ".join(entry.runs),
    )  # fmt: skip
    return "\t".join(" ".join(str(field).split()) or "-" for field in fields)


def _table_of(held: "Sequence[Held]", *, wide: bool) -> "Table":
    """Draw keys, a line each where the terminal is narrow: then what is long is cut, or counted."""
    from rich.table import Column, Table

    rest = (Column(name, no_wrap=True) for name in ("images", "size", "modified"))
    member = Column("member", overflow="ellipsis", no_wrap=True, max_width=None if wide else 12)
    views = Column("merge, views", overflow="ellipsis", no_wrap=not wide, ratio=1)
    runs = Column("runs", overflow="fold", no_wrap=not wide)
    key = Column("key", no_wrap=True)  # whole: a key is a folder
    table = Table(key, member, views, *rest, runs, box=None, padding=(0, 1, 0, 0), expand=True)
    for entry in held:
        table.add_row(entry.key, *(_whole_of(entry) if wide else _short_of(entry)))
    return table


def _short_of(entry: "Held") -> tuple[str, ...]:
    how = " ".join(filter(None, (entry.merge, entry.precision, entry.views)))
    day, runs = _date(entry, "%Y-%m-%d"), str(len(entry.runs) or "none")
    return entry.fault or entry.member, how, str(entry.images), _size(entry.bytes), day, runs


def _whole_of(entry: "Held") -> tuple[str, ...]:
    fold = "" if entry.fold is None else f", fold {entry.fold}"
    about = entry.fault or f"{entry.member} ({entry.family or 'unnamed'}{fold})"
    how = " ".join(filter(None, (entry.merge, entry.precision, entry.provider, entry.views)))
    images = f"{entry.images} of set {entry.image_set}, {entry.shards}/{entry.total} shards"
    moment, runs = _date(entry, "%Y-%m-%d %H:%M"), few(entry.runs) or "none"
    return about, how, images, _size(entry.bytes), moment, runs


def _date(entry: "Held", form: str) -> str:
    return time.strftime(form, time.localtime(entry.modified))


def say_torn(torn: "Sequence[Torn]", parts: int) -> None:
    """Print the parts that are not as they were written."""
    for entry in torn:
        click.echo(f"{entry.path}  {entry.member}: {entry.message}")
    click.echo(f"{parts} parts hashed, {len(torn)} bad", err=True)


def say_places(found: "Garbage") -> None:
    """Print where runs were looked for, before anything is deleted."""
    if found.keys:
        click.echo(
            f"no run under {few(found.places)} refers to these {len(found.keys)} keys; --runs "
            f"names other folders",
            err=True,
        )


def say_garbage(found: "Garbage", *, deleted: bool) -> None:
    """Print what was deleted, or would be."""
    say_held(found.keys)
    for path in found.temporaries:
        click.echo(str(path))
    what = "deleted" if deleted else "nothing was deleted; --yes deletes them"
    counts = f"{len(found.keys)} keys without a run, {len(found.temporaries)} temporary files"
    click.echo(f"{counts}: {what}", err=True)


def _duration(seconds: float) -> str:
    """Write an estimated time for a person."""
    if seconds < 1:
        return "under a second" if seconds else "no time"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 2:
        return f"about {seconds:.0f} s"
    return f"about {minutes:.0f} min" if hours < 2 else f"about {hours:.1f} h"


def _size(count: float) -> str:
    """Write a number of bytes for a person."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.3g} {units[0]}"


def _console(*, stderr: bool = False) -> "Console":
    """A console that prints names as they are: [x] is no markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False)


def _fold(card: "Card") -> str:
    return "no fold" if card.fold is None else f"fold {card.fold}"


def _pixels(card: "Card") -> str:
    """Say what the member wants to see: size, fit, and normalisation."""
    pre = card.preprocess
    colours = "grey" if len(pre.mean) == 1 else "RGB"
    size = f"{pre.size}{' or any' if card.dynamic_size else ''}, {colours}"
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (pre.mean, pre.std))
    return f"{size}; {pre.fit} {pre.crop_pct:g}, {pre.interpolation}; mean {mean}; std {std}"
