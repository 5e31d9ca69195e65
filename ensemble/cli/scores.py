"""`ensemble score` and `ensemble diff`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click

from ensemble.cli.options import label_option, typed_flags
from ensemble.cli.terminal import say_difference, say_scores
from ensemble.errors import UsageError
from ensemble.paths import submission_at
from ensemble.spec import Task

if TYPE_CHECKING:
    from ensemble.scorecard import Scorecard

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
    from ensemble.scorecard import score_submission, score_values

    if public is not None:
        _record_public(submission, public)
        return
    if labels is None:
        raise UsageError(
            "LABELS is missing: ensemble score SUBMISSION LABELS, or ensemble score --public "
            "NUMBER RUN"
        )
    submission = submission_at(submission)
    if task == "classification":
        card = score_submission(submission, labels, label_column)
    elif png is not None:
        raise UsageError(f"--png draws the confusion matrix of classes; {task} has none")
    else:
        card = score_values(submission, labels, task, label_column)
    if png is not None:
        from ensemble.picture import draw_scores

        draw_scores(card, png)
        click.echo(str(png), err=True)
    if as_json:
        click.echo(json.dumps(_record(card), allow_nan=False))
    else:
        say_scores(card)


def _record_public(run: Path, public: float) -> None:
    from ensemble.ledger import LEDGER, record_public

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
    from ensemble.compare import compare

    found = compare(first, second)
    if not as_json:
        say_difference(found)
        return
    moves = [{"from": a, "to": b, "rows": n} for (a, b), n in found.moves.items()]
    record = {"rows": found.rows, "changed": found.changed, "moves": moves}
    click.echo(json.dumps({**record, "largest": found.largest}, allow_nan=False))
