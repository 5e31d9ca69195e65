"""`ensemble doctor`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from ensemble.cli.options import store_option
from ensemble.cli.terminal import say_findings


@click.command(epilog="Example: ensemble doctor")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings on stdout as JSON.")
def doctor_command(store: Path, *, as_json: bool) -> int:
    """Say what is installed and what really starts, and how to mend what is wrong.

    Exits with 4 where something is wrong. A machine without a GPU is not.
    """
    from ensemble import checkup

    findings = checkup.examine(store)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        say_findings(findings)
    return 4 if any(finding.level == "problem" for finding in findings) else 0
