"""`ensemble score` and `ensemble diff`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ensemble.cli.options import (
    id_option,
    label_map_of,
    label_map_options,
    label_option,
    track_option,
)
from ensemble.cli.origins import typed_flags
from ensemble.cli.terminal import open_console
from ensemble.errors import UsageError, few
from ensemble.files.classes import classes_of
from ensemble.progress_bar import Bar
from ensemble.recipe.track import tracks_of
from ensemble.records import VOTED, Task

if TYPE_CHECKING:
    from rich.table import Table

    from ensemble.reports.compare import Difference
    from ensemble.reports.scorecard import Scorecard

_WIDEST: Final = 12
_SCORING: Final = (
    "labels",
    "label_column",
    "id_column",
    "label_map",
    "tasks",
    "group",
    "classes",
    "task",
    "as_json",
    "png",
    "track",
)
"""What goes with scoring only, and not with --public."""


@click.command(epilog="Example: ensemble score submissions/first/submission.csv labels.csv")
@click.argument("submission", metavar="SUBMISSION|RUN|OOF", type=click.Path(path_type=Path))
@click.argument("labels", required=False, type=click.Path(path_type=Path))
@label_option
@id_option
@label_map_options
@click.option("--group", help="A column of LABELS: its rows are drawn together for the intervals.")
@click.option("--classes", help="All classes in order, a,b,c or a file with a class a line, where "
              "it is not that of whole numbers.")  # fmt: skip
@click.option("--task", help="What it predicts.  [default: what RUN says, else classification]",
              type=click.Choice(VOTED))  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the scores on stdout as JSON.")
@click.option("--png", type=click.Path(path_type=Path),
              help="Draw the confusion matrix and the scores into this file.")  # fmt: skip
@track_option
@click.option("--public", type=float, help="What the leaderboard said of RUN, the folder of a run: "
              "recorded in the ledger.csv beside it. Goes alone, without LABELS.")  # fmt: skip
def score_command(
    submission: Path,
    labels: Path | None,
    label_column: str,
    id_column: str | None,
    *,
    label_map: Path | None,
    tasks: str,
    group: str | None,
    classes: str | None,
    task: Task | None,
    as_json: bool,
    png: Path | None,
    track: tuple[str, ...],
    public: float | None,
) -> None:
    """Score a SUBMISSION, a CSV file or that of a RUN's folder, against LABELS, joined by id.

    An OOF Parquet, or a file of predictions from elsewhere, is scored as well. Every metric that is
    allowed is printed with a 95 % bootstrap interval; then precision, recall and F1 of each class,
    and the confusion matrix, or of many classes the most confused.

    The other form, `ensemble score --public 0.812 RUN`, scores nothing: it records the public
    score of a run's folder in the ledger.
    """
    from ensemble.pipeline.scores import score
    from ensemble.reports.scorecard import Labels
    from ensemble.submission.folder import submission_at

    if public is not None:
        _record_public(submission, public)
        return
    if labels is None:
        raise UsageError(
            "LABELS is missing: ensemble score SUBMISSION LABELS, or ensemble score --public "
            "NUMBER RUN"
        )
    names = classes_of(classes) if classes else ()
    said = Labels(labels, label_column, id_column, group, names)
    mapped = label_map_of(label_map, tasks)
    with Bar(sys.stderr) as bar:
        card = score(
            submission_at(submission), said, bar,
            task=task, png=png, label_map=mapped, tracks=tracks_of(track),
        )  # fmt: skip
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
    record: dict[str, object] = {
        "rows": card.rows,
        "rescaled": card.rescaled,
        "scores": scores,
        "classes": card.classes,
        "by_class": [asdict(each) for each in card.by_class],
        "notes": card.notes,
        "confusion": card.counts.astype(int).tolist(),
    }
    tasks = {name: _record(each) for name, each in card.tasks.items()}
    return record | ({"tasks": tasks} if tasks else {})


@click.command(epilog="Example: ensemble diff first/submission.csv second/submission.csv")
@click.argument("first", metavar="FIRST|RUN", type=click.Path(path_type=Path))
@click.argument("second", metavar="SECOND|RUN", type=click.Path(path_type=Path))
@id_option
@click.option("--json", "as_json", is_flag=True, help="Print every changed id on stdout as JSON.")
def diff_command(first: Path, second: Path, *, id_column: str | None, as_json: bool) -> None:
    """Show where two submissions, files or those of runs' folders, differ, joined by id."""
    from ensemble.reports.compare import compare

    found = compare(first, second, id_column)
    if not as_json:
        _say_difference(found)
        return
    moves = [{"from": a, "to": b, "rows": n} for (a, b), n in found.moves.items()]
    record = {"rows": found.rows, "changed": found.changed, "moves": moves}
    told = {"largest": found.largest, "notes": found.notes}
    click.echo(json.dumps({**record, **told}, allow_nan=False))


def _say_scores(card: "Scorecard") -> None:
    """Print scores with their intervals, each class's own, and which are confused."""
    console = open_console()
    if card.rescaled:
        click.echo(f"{card.rescaled} rows do not sum to 1: divided by their sum", err=True)
    for note in card.notes:
        click.echo(note, err=True)
    console.print(_by_metric(card))
    if card.tasks:
        console.print(_by_task(card))
    if not all(line.interval for line in card.lines):
        console.print("no interval: too few rows of a class, or too few groups")
    if card.by_class:
        console.print(_by_class(card))
    if card.counts.size:
        console.print(_confusion(card) if len(card.classes) <= _WIDEST else _confused(card))


def _by_metric(card: "Scorecard") -> "Table":
    """Lay out each score with its interval."""
    from rich.table import Table

    table = Table("metric", "score", "95 % interval", title=f"{card.rows} rows")
    for line in card.lines:
        ends = "{:.5f} to {:.5f}".format(*line.interval) if line.interval else "none"
        table.add_row(line.metric, f"{line.score:.5f}", ends)
    return table


def _by_task(card: "Scorecard") -> "Table":
    """Lay out what each task scores, and the label that they make."""
    from rich.table import Table

    cards = {**card.tasks, "label": card}
    metrics = list(dict.fromkeys(line.metric for each in cards.values() for line in each.lines))
    table = Table("task", *metrics)
    for name, each in cards.items():
        scores = {line.metric: f"{line.score:.5f}" for line in each.lines}
        table.add_row(name, *(scores.get(metric, "") for metric in metrics))
    return table


def _by_class(card: "Scorecard") -> "Table":
    from rich.table import Table

    table = Table("class", "precision", "recall", "F1", "support")
    for each in card.by_class:
        shares = (f"{share:.4f}" for share in (each.precision, each.recall, each.f1))
        table.add_row(each.name, *shares, str(each.support))
    return table


def _confusion(card: "Scorecard") -> "Table":
    from rich.table import Table

    matrix = Table("truth, and predicted as", *map(str, range(len(card.classes))))
    for number, row in enumerate(card.counts.astype(int)):
        matrix.add_row(f"{number} {card.classes[number]}", *map(str, row))
    return matrix


def _confused(card: "Scorecard") -> "Table":
    """The most confused pairs of many classes; --json has the whole matrix."""
    from rich.table import Table

    table = Table("truth", "predicted as", "rows", title="most confused; --json has the matrix")
    for pair in card.confused[:_WIDEST]:
        table.add_row(pair.truth, pair.predicted, str(pair.rows))
    return table


def _say_difference(found: "Difference") -> None:
    """Print how many rows changed, and from which label to which."""
    from rich.table import Table

    console = open_console()
    for note in found.notes:
        click.echo(note, err=True)
    share = len(found.changed) / found.rows
    console.print(
        f"{len(found.changed)} of {found.rows} rows have another {found.what} ({share:.2%})"
    )
    if found.largest is not None:
        of = "value" if found.what == "value" else "probability"
        console.print(f"the largest difference of a {of} is {found.largest:.3g}")
    if not found.moves:
        return
    table = Table("from", "to", "rows")
    for (before, after), rows in list(found.moves.items())[:_WIDEST]:
        table.add_row(before, after, str(rows))
    console.print(table)
    if len(found.moves) > _WIDEST:
        console.print(f"and {len(found.moves) - _WIDEST} rarer changes")
    console.print(f"for instance {few(found.changed)}")
