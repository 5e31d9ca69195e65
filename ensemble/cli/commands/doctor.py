"""`ensemble doctor`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ensemble.cli.options import store_option

if TYPE_CHECKING:
    from ensemble.runtime.wheels import Finding


@click.command(epilog="Example: ensemble doctor")
@store_option
@click.option("--json", "as_json", is_flag=True, help="Print the findings on stdout as JSON.")
def doctor_command(store: Path, *, as_json: bool) -> int:
    """Say what is installed and what really starts, and how to mend what is wrong.

    Exits with 4 where something is wrong. A machine without a GPU is not.
    """
    from ensemble.pipeline import doctor

    findings = doctor.examine(store)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _say_findings(findings)
    return 4 if any(finding.level == "problem" for finding in findings) else 0


def _say_findings(findings: "Sequence[Finding]") -> None:
    """Print what the doctor found, and below each fault the line that mends it."""
    colours = {"ok": "green", "note": "yellow", "problem": "red"}
    for finding in findings:
        level = click.style(f"{finding.level:8}", fg=colours[finding.level])
        click.echo(f"{level}{finding.topic:12} {finding.text}")
        if finding.remedy:
            click.echo(f"{'':20} {finding.remedy}")
