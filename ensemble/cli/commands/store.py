"""`ensemble store list|verify|gc`, and `ensemble verify-exit`."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ensemble.cli.options import runs_option, store_option
from ensemble.cli.terminal import describe_size, open_console
from ensemble.errors import counted, few

if TYPE_CHECKING:
    from rich.table import Table

    from ensemble.early_exit.verify import Audit
    from ensemble.predictions.garbage import Garbage
    from ensemble.predictions.inventory import StoredKey, TornPart

_BROKEN: Final = 5
_WIDE: Final = 140
"""Columns of a terminal on which a key of the store is told whole."""

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


@click.command("verify-exit", epilog="Example: ensemble verify-exit submissions/first")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Where the run's predictions are kept.  [default: where it put them]",
)
@_json_option
def verify_exit_command(run: Path, store: Path | None, *, as_json: bool) -> int:
    """Replay the exits of a RUN from its partial sums, and its certificate from the calibration.

    Exits with 5 where an image ended before its rule allowed it, or a label is not what its sums
    give.
    """
    from ensemble.early_exit import verify

    found = verify.verify_exit(run, store)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        _say_audit(found)
    return _BROKEN if found.faults else 0


@click.group("store")
def store_command() -> None:
    """Show what is kept, whether it is whole, and what can go."""


@store_command.command("list", epilog="Example: ensemble store list --store .ensemble")
@store_option
@runs_option
@_json_option
def list_command(store: Path, runs: tuple[Path, ...], *, as_json: bool) -> None:
    """List what is kept: members, image sets, sizes, and the runs that refer to it."""
    from ensemble.predictions import inventory

    held = inventory.inventory(store, runs)
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in held]))
    else:
        _say_held(held)


@store_command.command("verify", epilog="Example: ensemble store verify")
@store_option
@_json_option
def verify_command(store: Path, *, as_json: bool) -> int:
    """Hash every part again, and name those that are not as they were written.

    They are never used: the next run computes them again. Exits with 1 where there are any.
    """
    from ensemble.predictions import inventory

    parts, torn = inventory.verify(store)
    if as_json:
        bad = [{**asdict(entry), "path": str(entry.path)} for entry in torn]
        click.echo(json.dumps({"parts": parts, "torn": bad}))
    else:
        _say_torn(torn, parts)
    return 1 if torn else 0


@store_command.command("gc", epilog="Example: ensemble store gc --runs submissions --yes")
@store_option
@runs_option
@click.option("--yes", is_flag=True, help="Delete. Without it, only what would go is listed.")
@_json_option
def gc_command(store: Path, runs: tuple[Path, ...], *, yes: bool, as_json: bool) -> None:
    """List, or delete, predictions that no run refers to, and temporary files left behind.

    Runs are looked for in --runs, and where the store was told of them when they were written.
    Predictions made by `ensemble oof` belong to no run, and are listed too.
    """
    from ensemble.predictions.garbage import collect, garbage

    found = garbage(store, runs)
    if not as_json:
        _say_places(found)
    freed = collect(store, found) if yes else 0
    if as_json:
        keys = [asdict(entry) for entry in found.keys]
        left = [str(path) for path in found.temporaries]
        click.echo(json.dumps({"keys": keys, "temporaries": left, "deleted": yes, "freed": freed}))
    else:
        _say_garbage(found, deleted=yes)


def _say_audit(found: "Audit") -> None:
    """Print what a check of early exits found."""
    for fault in found.faults:
        click.secho(fault, fg="red", err=True)
    if found.faults:
        checked = counted(found.rows, "row")
        click.echo(f"{checked} checked: {counted(len(found.faults), 'fault')}")
        return
    click.echo(
        f"{counted(found.rows, 'row')}: every exit was allowed, and every label is that of its sums"
    )
    click.echo(found.words)


def _say_held(held: "Sequence[StoredKey]") -> None:
    """Print what the store holds, a line a key: a table on a terminal, else fields with tabs."""
    if held and sys.stdout.isatty():
        console = open_console()
        console.print(_table_of(held, wide=console.width >= _WIDE))
    elif held:
        click.echo("\n".join(map(_fields_of, held)))
    total = describe_size(sum(key.bytes for key in held))
    click.echo(f"{counted(len(held), 'key')}, {total}", err=True)


def _fields_of(entry: "StoredKey") -> str:
    """Write a key as one line: docs/store.md names the fields."""
    fold = "" if entry.fold is None else entry.fold
    fields = (
        entry.key, entry.fault or entry.member, entry.family, fold, entry.views, entry.merge,
        entry.precision, entry.provider, entry.images, entry.image_set,
        f"{entry.shards}/{entry.total}", entry.bytes, _date(entry, "%Y-%m-%dT%H:%M"),
        ", ".join(entry.runs),
    )  # fmt: skip
    return "\t".join(" ".join(str(field).split()) or "-" for field in fields)


def _table_of(held: "Sequence[StoredKey]", *, wide: bool) -> "Table":
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


def _short_of(entry: "StoredKey") -> tuple[str, ...]:
    how = " ".join(filter(None, (entry.merge, entry.precision, entry.views)))
    day, runs = _date(entry, "%Y-%m-%d"), str(len(entry.runs) or "none")
    images, size = str(entry.images), describe_size(entry.bytes)
    return entry.fault or entry.member, how, images, size, day, runs


def _whole_of(entry: "StoredKey") -> tuple[str, ...]:
    fold = "" if entry.fold is None else f", fold {entry.fold}"
    about = entry.fault or f"{entry.member} ({entry.family or 'unnamed'}{fold})"
    how = " ".join(filter(None, (entry.merge, entry.precision, entry.provider, entry.views)))
    images = f"{entry.images} of set {entry.image_set}, {entry.shards}/{entry.total} shards"
    moment, runs = _date(entry, "%Y-%m-%d %H:%M"), few(entry.runs) or "none"
    return about, how, images, describe_size(entry.bytes), moment, runs


def _date(entry: "StoredKey", form: str) -> str:
    return time.strftime(form, time.localtime(entry.modified))


def _say_torn(torn: "Sequence[TornPart]", parts: int) -> None:
    """Print the parts that are not as they were written."""
    for entry in torn:
        click.echo(f"{entry.path}  {entry.member}: {entry.message}")
    click.echo(f"{counted(parts, 'part')} hashed, {len(torn)} bad", err=True)


def _say_places(found: "Garbage") -> None:
    """Print where runs were looked for, before anything is deleted."""
    if found.keys:
        click.echo(
            f"no run under {few(found.places)} refers to what is kept under "
            f"{counted(len(found.keys), 'key')}; --runs names other folders",
            err=True,
        )


def _say_garbage(found: "Garbage", *, deleted: bool) -> None:
    """Print what was deleted, or would be."""
    _say_held(found.keys)
    for path in found.temporaries:
        click.echo(str(path))
    what = "deleted" if deleted else "nothing was deleted; --yes deletes them"
    keys, files = len(found.keys), len(found.temporaries)
    counts = f"{counted(keys, 'key')} without a run, {counted(files, 'temporary file')}"
    click.echo(f"{counts}: {what}", err=True)
