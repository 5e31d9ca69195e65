"""What members give an early exit: the rows of their heads, and with a label map its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ensemble import label_map as maps
from ensemble.arrays import Probs
from ensemble.early_exit.stopping.joint_vote import JointColumn, JointVote
from ensemble.errors import EnsembleError, StoreError
from ensemble.files.fields import fields_of, shown
from ensemble.label_map import LabelMap
from ensemble.members.answers import answering
from ensemble.members.card import Card
from ensemble.predictions.parsed import list_of, mapping_of, record_of
from ensemble.voting.lift import column_names, summed
from ensemble.voting.weights import Weights


@dataclass(frozen=True, slots=True)
class Part:
    """A head's part of a row, from place `start` on: sums of its columns, or `columns` None all."""

    head: str
    start: int
    columns: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Lift:
    """How the scores of a member's heads become one row, `width` wide; the rest of it is 0."""

    width: int
    parts: tuple[Part, ...]

    @property
    def heads(self) -> list[str]:
        """The heads that are read, each once."""
        return list(dict.fromkeys(part.head for part in self.parts))

    def rows(self, scores: Mapping[str, Probs]) -> Probs:
        """Return rows float32 (n, W) of each head's float32 (n, C)."""
        if len(self.parts) == 1 and self.parts[0].columns is None:
            return scores[self.parts[0].head]
        found = np.zeros((len(scores[self.parts[0].head]), self.width), np.float32)
        for part in self.parts:
            probs = scores[part.head]
            if part.columns is not None:
                probs = summed(probs.astype(np.float64), part.columns).astype(np.float32)
            found[:, part.start : part.start + probs.shape[1]] = probs
        return found


def joint_vote(cards: Sequence[Card], label_map: LabelMap, weights: Weights | None) -> JointVote:
    """Return the vote on the tasks that members answer.

    Args:
        cards: The members'; those of a family answer alike.
        label_map: The labels.
        weights: Tuned for it; None for the product of the tasks' means.
    """
    told: dict[tuple[str, str | None], tuple[bool, int]] = {}
    for card in cards:
        for _, answers in answering(card.heads, label_map, f"member {card.name}")[0]:
            for each in answers:
                merged = max(map(len, each.columns))
                told[card.family, each.task] = each.kind == "value", merged
    names = column_names(list(told))
    spreads = weights.joint.spreads if weights and weights.joint else {}
    columns = []
    for name, ((family, task), (value, merged)) in zip(names, told.items(), strict=True):
        spread = _spread(label_map, task, spreads.get(name)) if value else None
        columns.append(JointColumn(name, family, task, value, spread, merged))
    ordered = tuple(sorted(columns, key=lambda each: each.name))
    alike = Weights(dict.fromkeys(sorted(names), 1.0))
    return JointVote(label_map, ordered, weights or alike)


def lift_of(card: Card, vote: JointVote) -> Lift:
    """Return how a member's heads become a row of the vote's columns."""
    starts = {
        (each.family, each.task): part.start
        for each, part in zip(vote.columns, vote.parts, strict=True)
    }
    answered = answering(card.heads, vote.label_map, f"member {card.name}")[0]
    parts = [
        Part(head.name, starts[card.family, each.task], each.columns)
        for head, answers in answered
        for each in answers
    ]
    return Lift(vote.width, tuple(parts))


def to_record(vote: JointVote) -> dict[str, object]:
    """Return the map and the columns as JSON-ready values, for a fingerprint."""
    return {
        "label_map": maps.to_record(vote.label_map),
        "columns": [asdict(each) for each in vote.columns],
    }


def from_record(told: object, weights: Weights) -> JointVote:
    """Read what `to_record` gave.

    Raises:
        KeyError: something is missing.
        TypeError: something in it is of another kind.
        StoreError: the label map is none.
    """
    record = mapping_of(told)
    columns = tuple(record_of(JointColumn, each) for each in list_of(record["columns"]))
    return JointVote(read_map(record["label_map"]), columns, weights)


def read_map(told: object) -> LabelMap:
    """Read a label map of our own files.

    Raises:
        StoreError: it is none.
    """
    return maps.from_record(fields_of(told, "label_map", _fault))


def _fault(name: str, expected: str, found: object) -> EnsembleError:
    return StoreError(f"label map, {name}: expected {expected}, found {shown(found)}")


def _spread(label_map: LabelMap, task: str | None, tuned: float | None) -> float | None:
    """Return the spread of a column of values: that of its weights, else the task's own."""
    declared = label_map.task(task or "")
    return tuned if tuned is not None or declared is None else declared.spread
