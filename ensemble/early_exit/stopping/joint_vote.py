"""A vote on several tasks as an early exit has it: which family answers what, and how it counts."""

from dataclasses import dataclass
from itertools import accumulate, pairwise

from ensemble.errors import few
from ensemble.label_map import LabelMap
from ensemble.voting.decision import Decision
from ensemble.voting.weights import Weights


@dataclass(frozen=True, slots=True)
class JointColumn:
    """What a family answers: `name`, `family` and `task` as `TaskColumn` has them.

    `value` tells that it is a value, which the task's cuts make classes of; it is off by `spread`,
    and cut hard without one. A class is the sum of up to `merged` classes of the head.
    """

    name: str
    family: str
    task: str | None
    value: bool = False
    spread: float | None = None
    merged: int = 1


@dataclass(frozen=True, slots=True)
class JointVote:
    """A vote on several tasks: the columns by name, and weights, without `joint` where untuned."""

    label_map: LabelMap
    columns: tuple[JointColumn, ...]
    weights: Weights

    @property
    def families(self) -> list[str]:
        """The families by name."""
        return sorted({each.family for each in self.columns})

    @property
    def parts(self) -> list[slice]:
        """Where each column stands in a row."""
        wide = [1 if each.value else self.classes(each.task) for each in self.columns]
        return [slice(*ends) for ends in pairwise([0, *accumulate(wide)])]

    @property
    def width(self) -> int:
        """How wide a row is: W."""
        return int(self.parts[-1].stop)

    def of(self, task: str | None) -> list[int]:
        """Return the places of the columns that answer a task, or the label."""
        return [place for place, each in enumerate(self.columns) if each.task == task]

    def family_weights(self) -> dict[str, float]:
        """Return how much each family has to say of the label, which orders the evaluations.

        Tuned numbers, summed over its columns. In the product of the tasks' means each task counts
        as one, and a family of the label as that product.
        """
        found = dict.fromkeys(self.families, 0.0)
        for each in self.columns:
            alike = 1 / len(self.of(each.task)) if each.task else len(self.label_map.tasks)
            found[each.family] += alike if self.product else self.weights.families[each.name]
        return found

    @property
    def product(self) -> bool:
        """Whether it is the product of the tasks' means, whatever the columns' numbers are."""
        several = len(self.label_map.tasks) > 1
        return self.weights.joint is None or (several and self.weights.pool == "linear")

    def classes(self, name: str | None) -> int:
        """Return how many classes a task has, or how many labels there are."""
        task = self.label_map.task(name or "")
        return len(task.classes if task else self.label_map.labels)


def why_not_by_task(vote: JointVote) -> str:
    """Return why no exit of this vote keeps every label, with the alternative; else ""."""
    certified = "Use a certified exit such as 0.5%"
    if not vote.product:
        return (
            f"tuned weights of several tasks are exponents, which have no bound: one member near 0 "
            f"vetoes a label. {certified}, or leave out --weights where no family says the label"
        )
    if vote.weights.decision != Decision():
        return f"a decision rule over the labels decides no task by itself. {certified}"
    whole = vote.of(None)
    if whole and len(whole) < len(vote.columns):
        families = few([vote.columns[place].family for place in whole])
        return (
            f"families of the label itself ({families}) stand beside the product of the tasks, so "
            f"no task is decided by itself. {certified}"
        )
    return ""
