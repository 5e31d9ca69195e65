"""The sample: the ids in order, the columns, and what they ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ensemble.errors import UsageError, few
from ensemble.files.text_table import TableSource
from ensemble.records import LabelsAs, SampleForm
from ensemble.submission.forms import Kind
from ensemble.submission.melted import Pairs
from ensemble.submission.tasks import TaskForm

SHAPES: Final[Mapping[SampleForm, str]] = {
    "label": "the id and one column",
    "wide": "the id and a column for each class or target",
    "tasks": "the id and a column for each task",
    "melted": "ids of an image and a class, target or task, or a column for each of the two, and "
    "one for the value",
    "list": "the id and one column",
}
"""What each form of a sample looks like."""

_FORMS: Final[Mapping[Kind, SampleForm]] = {
    "label": "label", "probs": "wide", "binary": "wide", "list": "list", "top": "list",
    "tasks": "tasks",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copied:
    """A column of the sample that is written as it stands: its place, name, and cell by row."""

    place: int
    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample submission: the header, the ids in order, and what the other columns ask for.

    `kind` is "label" (one column), "probs" (a column a class, or one of a class of two), "binary"
    (such columns, of 0 and 1), "list" (the labels that are given, in one cell), "top" (the best
    `top` of them, the best first) or "tasks" (a column a task). `index_labels` tells whether labels
    are written as class indices; `id_place` is the place of the id among the columns. `of` are the
    classes of the columns, where these are called otherwise; `written` are ids that are written
    otherwise than the images' own; `rounding` is how values are written, see `forms.Wanted`.
    `tasks` are how each task is written. `pairs` are the rows of a melted sample, whose `ids` are
    those of its images; `copied` are columns that are no part of what is asked for.
    """

    id_column: str
    ids: tuple[str, ...]
    kind: Kind
    columns: tuple[str, ...]
    index_labels: bool
    id_place: int = 0
    of: tuple[str, ...] = ()
    top: int = 0
    written: Mapping[str, str] = field(default_factory=dict)
    rounding: str = "off"
    tasks: Mapping[str, TaskForm] = field(default_factory=dict)
    pairs: Pairs | None = None
    copied: tuple[Copied, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the columns of numbers, or the tasks."""
        return self.of or self.columns

    @property
    def form(self) -> SampleForm:
        """The form: "label", "wide", "tasks", "melted" or "list"."""
        return "melted" if self.pairs else _FORMS[self.kind]

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        if self.pairs:
            return self.pairs.header
        at, header = self.id_place, list(self.columns)
        header.insert(at, self.id_column)
        for column in self.copied:
            header.insert(column.place, column.name)
        return tuple(header)


def plain_sample(
    ids: Sequence[str], classes: Sequence[str], output: str, labels_as: LabelsAs
) -> Sample:
    """Return the sample that stands in where none is given: every image in order, `id,label`."""
    if output == "probs":
        return Sample("id", tuple(ids), "probs", tuple(classes), False)
    return Sample("id", tuple(ids), "label", ("label",), labels_as == "index")


def check_output(path: TableSource, sample: Sample, output: str) -> None:
    """Check that a sample asks for the output that was asked for.

    `output` is "auto", "labels", "probs", or "binary" in the columns of probabilities.

    Raises:
        UsageError: it asks for the other one.
    """
    asked = "probs" if sample.kind == "probs" else "labels"
    if output not in ("auto", asked) and (output, asked) != ("binary", "probs"):
        raise UsageError(
            f"--output {output}: the sample {path} asks for {asked}, by its columns "
            f"{few(sample.columns)}; leave out --output, or give another sample"
        )
