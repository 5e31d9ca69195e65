"""`ensemble score` and `ensemble diff`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click

from ensemble.cli.options import label_option
from ensemble.cli.origins import typed_flags
from ensemble.cli.terminal import open_console
from ensemble.errors import UsageError, few
from ensemble.records import Task

if TYPE_CHECKING:
    from ensemble.reports.compare import Difference
    from ensemble.reports.scorecard import Scorecard

_WIDEST: Final = 12
_SCORING: Final = ("labels", "label_column", "task", "as_json", "png")
"""What goes with scoring only, and not with --public."""


@click.command(epilog="Example: ensemble score submissions/first/submission.csv labels.csv")
@click.argument("submission", metavar="SUBMISSION|RUN", type=click.Path(path_type=Path))
@click.argument("labels", required=False, type=click.Path(path_type=Path))
@label_option
@click.option("--task", default="classification", show_default=True, help="What it predicts.",
              type=click.Choice(get_args(Task)))  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the scores on stdout as JSON.")
@click.option("--png", type=click.Path(path_type=Path),
              help="Draw the confusion matrix and the scores into this file.")  # fmt: skip
@click.option("--public", type=float, help="What the leaderboard said of RUN, the folder of a run: "
              "recorded in the ledger.csv beside it. Goes alone, without LABELS.")  # fmt: skip
def score_command(
    submission: Path,
    labels: Path | None,
    label_column: str,
    *,
    task: Task,
    as_json: bool,
    png: Path | None,
    public: float | None,
) -> None:
    """Score a SUBMISSION, a CSV file or that of a RUN's folder, against LABELS, joined by id.

    Every metric that the submission allows is printed with a 95 % bootstrap interval, and the
    confusion matrix.

    The other form, `ensemble score --public 0.812 RUN`, scores nothing: it records the public
    score of a run's folder in the ledger.
    """
    from ensemble.pipeline.scores import score
    from ensemble.submission.folder import submission_at

    if public is not None:
        _record_public(submission, public)
        return
    if labels is None:
        raise UsageError(
            "LABELS is missing: ensemble score SUBMISSION LABELS, or ensemble score --public "
            "NUMBER RUN"
        )
    card = score(submission_at(submission), labels, label_column, task=task, png=png)
    if png is not None:
        click.echo(str(png), err=True)
    if as_json:
        click.echo(json.dumps(_record(card), allow_nan=False))
    else:
        _say_scores(card)


def _record_public(run: Path, public: float) -> None:
    from ensemble.submission.ledger import LEDGER, record_public

    if beside := typed_flags(_SCORING):
        raise UsageError(f"--public takes RUN alone; leave out {', '.join(beside)}")
    before = record_public(run, public)["public"]
    was = f" (was {before})" if before else ""
    click.echo(f"{run}: public score {public}{was}", err=True)
    click.echo(str(run.absolute().parent / LEDGER))


def _record(card: "Scorecard") -> dict[str, object]:
    scores = {line.metric: {"score": line.score, "ci95": line.interval} for line in card.lines}
    return {
        "rows": card.rows,
        "rescaled": card.rescaled,
        "scores": scores,
        "classes": card.classes,
        "confusion": card.counts.astype(int).tolist(),
    }


@click.command(epilog="Example: ensemble diff first/submission.csv second/submission.csv")
@click.argument("first", metavar="FIRST|RUN", type=click.Path(path_type=Path))
@click.argument("second", metavar="SECOND|RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print every changed id on stdout as JSON.")
def diff_command(first: Path, second: Path, *, as_json: bool) -> None:
    """Show where two submissions, files or those of runs' folders, differ, joined by id."""
    from ensemble.reports.compare import compare

    found = compare(first, second)
    if not as_json:
        _say_difference(found)
        return
    moves = [{"from": a, "to": b, "rows": n} for (a, b), n in found.moves.items()]
    record = {"rows": found.rows, "changed": found.changed, "moves": moves}
    click.echo(json.dumps({**record, "largest": found.largest}, allow_nan=False))


def _say_scores(card: "Scorecard") -> None:
    """Print scores with their intervals, and the confusion matrix."""
    from rich.table import Table

    scores = Table("metric", "score", "95 % interval", title=f"{card.rows} rows")
    for line in card.lines:
        ends = "{:.5f} to {:.5f}".format(*line.interval) if line.interval else "none"
        scores.add_row(line.metric, f"{line.score:.5f}", ends)
    console = open_console()
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


def _say_difference(found: "Difference") -> None:
    """Print how many rows changed, and from which label to which."""
    from rich.table import Table

    console = open_console()
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
