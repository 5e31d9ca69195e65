"""`ensemble score` and `ensemble diff`."""

import json
from pathlib import Path

import click

from ensemble.cli.options import label_option
from ensemble.cli.terminal import say_difference, say_scores


@click.command(epilog="Example: ensemble score submissions/first/submission.csv labels.csv")
@click.argument("submission", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path))
@label_option
@click.option("--json", "as_json", is_flag=True, help="Print the scores on stdout as JSON.")
def score_command(submission: Path, labels: Path, label_column: str, *, as_json: bool) -> None:
    """Score a SUBMISSION against LABELS, both CSV files, joined by id.

    Every metric that the submission allows is printed with a 95 % bootstrap interval, and the
    confusion matrix.
    """
    from ensemble.scorecard import score_submission

    card = score_submission(submission, labels, label_column)
    if not as_json:
        say_scores(card)
        return
    scores = {
        line.metric: {"score": line.score, "ci95": [line.low, line.high]} for line in card.lines
    }
    counts = card.counts.astype(int).tolist()
    record = {
        "rows": card.rows,
        "rescaled": card.rescaled,
        "scores": scores,
        "classes": card.classes,
        "confusion": counts,
    }
    click.echo(json.dumps(record))


@click.command(epilog="Example: ensemble diff first/submission.csv second/submission.csv")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print every changed id on stdout as JSON.")
def diff_command(first: Path, second: Path, *, as_json: bool) -> None:
    """Show where two submissions differ, joined by id."""
    from ensemble.compare import compare

    found = compare(first, second)
    if not as_json:
        say_difference(found)
        return
    moves = [{"from": a, "to": b, "rows": n} for (a, b), n in found.moves.items()]
    record = {"rows": found.rows, "changed": found.changed, "moves": moves}
    click.echo(json.dumps({**record, "largest": found.largest}))
