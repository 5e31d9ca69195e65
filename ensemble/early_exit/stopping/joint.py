"""Several tasks, one label: what is summed of their heads, and what it means so far.

A row of scores has what each column says, side by side in the order of their names: the classes of
its task, the labels, or one value; zeros where the member does not answer. Values are summed as
they are, since the folds of a family are averaged before they are cut into classes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensemble.arrays import Indices, Pooled, Probs, Vector
from ensemble.early_exit.stopping.joint_vote import JointColumn, JointVote, why_not_by_task
from ensemble.early_exit.stopping.order import Evaluation, shares
from ensemble.early_exit.stopping.rules import Flags, leads, rule_of, slack
from ensemble.early_exit.stopping.standing import Standing, statistic
from ensemble.voting.joint import fuse_tasks
from ensemble.voting.lift import TaskColumn, class_places, value_probs
from ensemble.voting.pools import Stack


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """The label of several tasks: one sum of rows, each evaluation as often as it has views.

    `family` int64 (K,) is the place of each evaluation's family among those of the vote by name,
    and `units` (K,) how many views it stands for. After k evaluations each column stands for its
    mean so far; a task that nobody has answered yet is answered alike for every class. The
    lossless rule is that of each task: it is decided when its leader's lead exceeds what is still
    open of its columns, and an image when all are and their classes make a label. A value counts
    once all of its evaluations are done.
    """

    weights: Vector
    family: Indices
    units: Vector
    vote: JointVote
    noise: float

    @property
    def depth(self) -> int:
        """One sum."""
        return 1

    def add(self, sums: Stack, stage: int, probs: Probs | Pooled) -> None:
        """Add a row as often as it has views."""
        sums[0] += self.units[stage] * probs.astype(np.float64)

    def standing(self, sums: Stack, done: int) -> Standing:
        """Return the labels of the vote on what each column says so far, and z."""
        spent, total = self._spent(done), self._spent(len(self.weights))
        said = {
            place: self._said(place, sums[0], spent[place])
            for place in np.flatnonzero(spent).tolist()
        }
        probs, labels = self._fused(said)
        rule = rule_of(self.vote.weights.decision, 1.0, probs.shape[1])
        certain = np.zeros(len(labels), bool)
        if not why_not_by_task(self.vote):
            certain = self._certain(said, spent / total, labels)
        z = statistic(self.weights, done, rule.margins(probs), certain)
        return Standing(labels[:, None], z)

    def off(self, sums: Stack, done: int) -> Vector:
        """Return how far the sums are from those of so many evaluations, as a share, (n,)."""
        spent, found = self._spent(done), np.zeros(sums.shape[1])
        for place, part in enumerate(self.vote.parts):
            total = sums[0, :, part].sum(1)
            if not spent[place] or not self.vote.columns[place].value:
                found = np.maximum(found, abs(total - spent[place]) / max(spent[place], 1.0))
        return np.asarray(found, np.float64)

    def _spent(self, done: int) -> Vector:
        """Return how many views of each column are done, (J,)."""
        names = self.vote.families
        units = np.bincount(self.family[:done], self.units[:done], len(names))
        places = [names.index(each.family) for each in self.vote.columns]
        return np.asarray(units[places], np.float64)

    def _said(self, place: int, sums: Pooled, spent: float) -> TaskColumn:
        """Return what a column says by its mean so far."""
        column, mean = self.vote.columns[place], sums[:, self.vote.parts[place]] / spent
        if not column.value:
            return TaskColumn(column.name, column.family, column.task, mean)
        found = self._cut(column, mean[:, 0])
        return TaskColumn(column.name, column.family, column.task, found, mean[:, 0])

    def _cut(self, column: JointColumn, values: Vector) -> Pooled:
        task = self.vote.label_map.task(column.task or "")
        return value_probs(values, task.cuts if task else (), column.spread)

    def _fused(self, said: Mapping[int, TaskColumn]) -> tuple[Pooled, Indices]:
        """Return the probabilities (n, K) and labels (n,) of the vote on the columns begun."""
        vote, columns = self.vote, list(said.values())
        answered, weights = {each.task for each in columns}, None
        if None not in answered:  # else what those of the label say of a task stands for it
            columns += [
                _uniform(name, (len(columns[0].probs), vote.classes(name)))
                for name in vote.label_map.names
                if name not in answered
            ]
        if vote.weights.joint is not None:
            told = dict.fromkeys([each.name for each in columns], 0.0) | self._raised(said)
            weights = replace(vote.weights, families=told)
        fused = fuse_tasks(columns, (), vote.label_map, "soft", weights)
        return fused.probs, fused.labels

    def _raised(self, said: Mapping[int, TaskColumn]) -> dict[str, float]:
        """Return the numbers of the columns begun, raised to the sum of all.

        Those of a task first, for its columns stand in for one another; then all alike.
        """
        if self.vote.product:
            return {each.name: 1.0 for each in said.values()}
        full, begun = self._numbers(self.vote.columns), self._numbers(said.values())
        reached = sum(full[t] for t in full if begun[t] > 0)
        raised = {t: sum(full.values()) / reached * full[t] / (begun[t] or 1.0) for t in full}
        numbers = self.vote.weights.families
        return {c.name: numbers[c.name] * raised[c.task] for c in said.values()}

    def _numbers(self, columns: Iterable[JointColumn | TaskColumn]) -> dict[str | None, float]:
        """Return the sum of the numbers of columns for the label, and for each task."""
        numbers, tasks = self.vote.weights.families, (None, *self.vote.label_map.names)
        given = list(columns)
        return {task: sum(numbers[c.name] for c in given if c.task == task) for task in tasks}

    def _certain(self, said: Mapping[int, TaskColumn], shares: Vector, labels: Indices) -> Flags:
        """Tell where each task is decided and their classes make the label."""
        found = np.ones(len(labels), bool)
        places = class_places(self.vote.label_map)
        asked: Sequence[str | None] = [None] if self.vote.of(None) else self.vote.label_map.names
        for number, task in enumerate(asked):
            leader, decided = self._decided(task, said, shares)
            found &= decided & (leader == (labels if task is None else places[labels, number]))
        return found

    def _decided(
        self, task: str | None, said: Mapping[int, TaskColumn], shares: Vector
    ) -> tuple[Indices, Flags]:
        """Return the leading class of a task, (n,), and whether no outcome changes it."""
        own, rows = self.vote.of(task), len(next(iter(said.values())).probs)
        sums, rest = np.zeros((rows, self.vote.classes(task))), np.ones((rows, 1))
        for place in (place for place in own if place in said):
            known = np.full((rows, 1), shares[place])
            if said[place].values is not None:
                known = known * (shares[place] == 1) * self._firm(place, said[place])[:, None]
            sums += known / len(own) * said[place].probs
            rest -= known / len(own)
        merged = max(self.vote.columns[place].merged for place in own)
        eta = slack(self.noise * merged)
        return sums.argmax(1), leads(sums, sums + np.maximum(rest, 0.0), eta)

    def _firm(self, place: int, said: TaskColumn) -> Flags:
        """Tell which values say the same of their classes where they are off by the noise."""
        column, eta = self.vote.columns[place], slack(self.noise)
        if said.values is None:
            return np.ones(len(said.probs), bool)
        low, high = (self._cut(column, said.values + away) for away in (-eta, eta))
        return np.asarray((abs(high - low) <= eta).all(1))


def _uniform(task: str, shape: tuple[int, int]) -> TaskColumn:
    """Return a column that says every class alike; no family has its name."""
    return TaskColumn(f"\0{task}", "", task, np.full(shape, 1 / shape[1]))


def joint_accumulator(
    evaluations: Sequence[Evaluation], vote: JointVote, noise: float = 0.0
) -> Joint:
    """Return the accumulator of several tasks: after all evaluations, labels as of `fuse_tasks`.

    Args:
        evaluations: In the order to make them, none of weight 0; those of a family share its
            weight evenly, but that one with several views in it has theirs.
        vote: What is voted on.
        noise: How far a score may differ from one forward to another; see `rules.slack`.
    """
    names = vote.families
    least = {name: min((e.weight for e in evaluations if e.family == name), default=1.0)
             for name in names}  # fmt: skip
    return Joint(
        weights=shares([e.weight for e in evaluations]),
        family=np.array([names.index(e.family) for e in evaluations], np.int64),
        units=np.array([round(e.weight / least[e.family]) for e in evaluations], np.float64),
        vote=vote,
        noise=noise,
    )
