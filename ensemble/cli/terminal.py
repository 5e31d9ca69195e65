"""What a person sees: summaries on stderr, data alone on stdout."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ensemble.errors import counted, few
from ensemble.voting.weights import CONFIDENCE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ensemble.submission.publish import Submission
    from ensemble.voting.weights import Weights

_PIPED: Final = 1000
"""The width of what is no terminal: tables are as wide as what stands in them."""

_LOST: Final = (
    "lost without it: what the blend that was fitted loses on its own rows when it is fitted anew "
    "without the family; below zero, the family harms it"
)


def say_submission(result: "Submission", *, as_json: bool) -> None:
    """Print where the submission lies, and what became of the images."""
    record = result.record
    counts = f"{len(result.ids)} predicted, {len(result.quarantined)} quarantined"
    seconds = record.get("seconds")
    took = f" in {seconds:.1f} s" if isinstance(seconds, float) else ""
    workers = record.get("workers")
    if isinstance(workers, list) and workers:
        took += f" by {counted(len(workers), 'worker')}"
    exits = record.get("early_exit")
    took += ", all of them from the store" if result.ids and _is_stored(record) else ""
    click.echo(f"{counts}{took}", err=True)
    if isinstance(exits, dict):
        click.echo(f"early exit: {exits['words']}", err=True)
    if result.path is None:
        remedy = (
            "give --fill VALUE for the quarantined images" if result.ids else "nothing is known"
        )
        click.echo(
            f"no submission was written: {remedy} ({result.folder / 'quarantine.csv'})", err=True
        )
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False))
    elif result.path is not None:
        click.echo(str(result.path))


def _is_stored(record: "Mapping[str, Any]") -> bool:
    """Tell whether the store had everything: nothing was made, and all of it has a key there."""
    kept = bool(record.get("early_exit")) or all(member["key"] for member in record["members"])
    return record.get("evaluations") == 0 and kept


def say_weights(weights: "Weights", path: Path) -> None:
    """Print what was found: the families, the scores, the verdict; on stderr where it lies."""
    from rich.table import Table

    seen = weights.evidence
    families = Table("family", "weight", weights.metric, "lost without it")
    for name, weight in weights.families.items():
        losses = seen.get("loss_without", {})
        lost = losses.get(name, losses.get(name.rpartition("/")[0]))
        families.add_row(
            name, f"{weight:.3f}", f"{seen['singles'][name]:.5f}",
            "" if lost is None else f"{lost:+.5f}",
        )  # fmt: skip
    console = open_console()
    console.print(families)
    if "loss_without" in seen:
        console.print(_LOST)
    if "tasks" in seen:
        console.print(_tasks(seen, weights.metric))
    console.print(_candidates(seen, weights.metric))
    if seen["gain"] is not None:
        console.print(f"gain of choosing so {seen['gain']:+.5f}, {_describe_interval(seen)}")
    console.print(f"verdict: {seen['verdict']} (written: {seen['written']})")
    for line in _describe_rule(weights):
        console.print(line)
    click.echo(str(path), err=True)


def _tasks(seen: "Mapping[str, Any]", metric: str) -> "Table":
    """Lay out how each task fares by the mean of its families, and by what is written."""
    from rich.table import Table

    table = Table("task", f"{metric}, mean", "written, nested")
    for name, scores in seen["tasks"].items():
        cells = (scores["uniform"], scores["nested"])
        table.add_row(name, *("" if cell is None else f"{cell:.5f}" for cell in cells))
    return table


def _candidates(seen: "Mapping[str, Any]", metric: str) -> "Table":
    """Lay out the blends that competed, on rows that they did not see."""
    from rich.table import Table

    if not seen["candidates"]:
        table = Table("blend", metric, caption="there are no folds: nothing is proven")
        table.add_row("mean", f"{seen['uniform']:.5f}")
        table.add_row("tuned, on its own rows (optimistic)", f"{seen['apparent']:.5f}")
        return table
    table = Table("blend", f"{metric}, nested", "gain", "± one error", "")
    plain = None
    for each in seen["candidates"]:
        if each["blend"] != seen["written"] and each["score"] == plain:
            continue  # its rule changes no label
        plain = each["score"]
        chosen = "written" if each["blend"] == seen["written"] else ""
        cells = f"{each['score']:.5f}", f"{each['gain']:+.5f}", f"{each['error']:.5f}"
        table.add_row(each["blend"], *cells, chosen)
    return table


def _describe_rule(weights: "Weights") -> "Iterator[str]":
    """Yield what is to be said of the temperature and of the decision rule."""
    if held := weights.evidence.get("holdout"):
        yield (
            f"temperature {weights.temperature:.3f} by {held['n']} hold-out rows: their log-loss "
            f"goes from {held['log_loss_before']:.5f} to {held['log_loss']:.5f}"
        )
    elif weights.metric in CONFIDENCE and weights.pool != "rank":
        yield (
            "confidence is that of single folds; the mean of folds may want another temperature, "
            "which --holdout fits"
        )
    if (alone := weights.evidence.get("alone")) is not None:
        yield (
            f"of the nested score {weights.evidence['nested']:.5f}, the weights alone have "
            f"{alone:.5f}; the rest is the decision rule's"
        )
    rule = weights.decision
    if rule.prior_tau:
        yield f"labels are the argmax of p / prior^{rule.prior_tau:.3f}"
    if rule.thresholds:
        yield (
            f"labels are given from {min(rule.thresholds):.3f} to "
            f"{max(rule.thresholds):.3f} on, a threshold each"
        )


def _describe_interval(seen: "Mapping[str, Any]") -> str:
    """Say the interval of a nested gain and its p, or that there is none."""
    if seen["gain_ci95"] is None:
        return "without an interval: too few rows (or groups) of a class"
    low, high = seen["gain_ci95"]
    return f"95 % interval {low:+.5f} to {high:+.5f}, p {seen['p']:.3f}"


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
            f"{member['member']}, --tta {member['tta']}: "
            f"{counted(member['evaluations'], 'evaluation')}, "
            f"{member['evaluations_stored']} in the store; {counted(member['shards'], 'shard')}, "
            f"{member['shards_stored']} in the store; {_describe_duration(member['seconds'])} on "
            f"{member['provider']}"
        )
    for task, families in plan.get("answered", {}).items():
        click.echo(f"{task}: {', '.join(families) or 'no family alone'}")
    if exits := plan.get("early_exit"):
        some = "a few" if exits["calibrated"] is None else exits["calibrated"]
        click.echo(
            f"early exit: {some} images get all {exits['stages']} evaluations, the others as few "
            f"as will do; the members' are the most that can come; {exits['shards_stored']} of "
            f"{counted(exits['shards'], 'shard')} in the store"
        )
    parts = [*plan["members"], exits] if exits else plan["members"]
    needed = sum(part["bytes"] for part in parts)
    free = describe_size(plan["free"])
    click.echo(f"the store needs about {describe_size(needed)}; {free} are free")
    if workers := plan["workers"]:
        click.echo(f"{len(workers)} workers would score: {few(workers)}")
    if "form" in plan:  # of out-of-fold predictions there is no submission
        click.echo(f"the submission is of the form {plan['form']}: columns {few(plan['columns'])}")
    click.echo(f"it would write to {plan['out']}; nothing was written", err=True)
    if needed > plan["free"]:
        click.secho("the disk is too small for it", fg="red", err=True)


def _describe_duration(seconds: float) -> str:
    """Write an estimated time for a person."""
    if seconds < 1:
        return "under a second" if seconds else "no time"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 2:
        return f"about {seconds:.0f} s"
    return f"about {minutes:.0f} min" if hours < 2 else f"about {hours:.1f} h"


def describe_size(count: float) -> str:
    """Write a number of bytes for a person."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.3g} {units[0]}"


def open_console(*, stderr: bool = False) -> "Console":
    """Open a console that prints names as they are: [x] is no markup.

    What goes to a file or a pipe has no width that it must be cut to, but that of `COLUMNS`.
    """
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED
    return console
