"""`ensemble report`."""

import sys
from pathlib import Path
from typing import get_args

import click

from ensemble.cli.options import id_option, label_map_of, label_map_options, label_option
from ensemble.errors import UsageError
from ensemble.files.classes import classes_of
from ensemble.progress_bar import Bar
from ensemble.records import VOTED, IdFrom, Task


@click.command(epilog="Example: ensemble report submissions/first --labels labels.csv")
@click.argument(
    "given",
    metavar="RUN|SUBMISSION|OOF|WEIGHTS|POLICY|CROPS",
    type=click.Path(path_type=Path),
)
@click.option("--labels", type=click.Path(path_type=Path),
              help="A CSV with an id column and the labels: without it no scores.")  # fmt: skip
@label_option
@id_option
@label_map_options
@click.option("--group", help="A column of the labels: its rows are drawn together for intervals.")
@click.option("--classes", help="All classes in order, a,b,c or a file with a class a line, where "
              "it is not that of whole numbers.")  # fmt: skip
@click.option("--task", help="What it predicts.  [default: what the file says, else "
              "classification]", type=click.Choice(VOTED))  # fmt: skip
@click.option("--images", multiple=True, metavar="PATH...", help="Where pictures come from, as for "
              "`ensemble run`.  [default: the images of the RUN]")  # fmt: skip
@click.option("--id-from", type=click.Choice(get_args(IdFrom)), help="What the id of an image is.  "
              "[default: what the RUN says, else stem]")  # fmt: skip
@click.option("--image-col", help="The column of images in Parquet files.")
@click.option("--most", default=8, show_default=True, type=click.IntRange(1, 50),
              help="The most images of a cell of the confusion matrix.")  # fmt: skip
@click.option("--out", "-o", default="report.html", show_default=True,
              type=click.Path(path_type=Path), help="The file to write.")  # fmt: skip
def report_command(
    given: Path,
    labels: Path | None,
    label_column: str,
    id_column: str | None,
    *,
    label_map: Path | None,
    tasks: str,
    group: str | None,
    classes: str | None,
    task: Task | None,
    images: tuple[str, ...],
    id_from: IdFrom | None,
    image_col: str | None,
    most: int,
    out: Path,
) -> None:
    """Make one page of a run, a submission, predictions, weights, a policy or crops.

    Scores with intervals, classes, the confusion matrix whose cells lead to their images,
    reliability, families, the images that are worth a look, what has no prediction, and what it
    cost. One file of HTML, with all that it shows in it; it needs the extra tune.
    """
    from ensemble.pipeline.report import report
    from ensemble.pipeline.report_order import ReportOrder
    from ensemble.reports.scorecard import Labels

    if labels is None and group is not None:
        raise UsageError("--group is a column of the labels: give --labels too")
    names = classes_of(classes) if classes else ()
    truth = Labels(labels, label_column, id_column, group, names) if labels else None
    mapped = label_map_of(label_map, tasks)
    order = ReportOrder(out, truth, mapped, task, images, id_from, id_column, image_col, most)
    with Bar(sys.stderr) as bar:
        click.echo(str(report(given, order, bar)))
