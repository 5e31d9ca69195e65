"""`ensemble store list|verify|gc`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from ensemble.cli.options import runs_option, store_option
from ensemble.cli.terminal import say_audit, say_garbage, say_held, say_places, say_torn

_BROKEN: Final = 5
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
    from ensemble import audit

    found = audit.verify_exit(run, store)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        say_audit(found)
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
    from ensemble import inventory

    held = inventory.inventory(store, runs)
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in held]))
    else:
        say_held(held)


@store_command.command("verify", epilog="Example: ensemble store verify")
@store_option
@_json_option
def verify_command(store: Path, *, as_json: bool) -> int:
    """Hash every part again, and name those that are not as they were written.

    They are never used: the next run computes them again. Exits with 1 where there are any.
    """
    from ensemble import inventory

    parts, torn = inventory.verify(store)
    if as_json:
        bad = [{**asdict(entry), "path": str(entry.path)} for entry in torn]
        click.echo(json.dumps({"parts": parts, "torn": bad}))
    else:
        say_torn(torn, parts)
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
    from ensemble import inventory

    found = inventory.garbage(store, runs)
    if not as_json:
        say_places(found)
    freed = inventory.collect(store, found) if yes else 0
    if as_json:
        keys = [asdict(entry) for entry in found.keys]
        left = [str(path) for path in found.temporaries]
        click.echo(json.dumps({"keys": keys, "temporaries": left, "deleted": yes, "freed": freed}))
    else:
        say_garbage(found, deleted=yes)
