"""A packed file proven: on noise it gives the probabilities and the labels of the vote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ensemble.arrays import Pixels, Pooled, Probs
from ensemble.errors import MemberError
from ensemble.export.pack.graph import LABEL, LABELS, PROBABILITIES, VALUES, Packed
from ensemble.export.pack.inputs import shape_of
from ensemble.export.pack.joined import PackedMember
from ensemble.export.pack.vote import VoteRule
from ensemble.inference.probe import probe_images
from ensemble.inference.start import start_shaped
from ensemble.members.answers import heads_read
from ensemble.members.card import Head
from ensemble.members.member import Member
from ensemble.predictions.run_record import RecordedMember
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import join_tasks
from ensemble.progress import Progress
from ensemble.records import TASKS, hashes_of
from ensemble.runtime.session import run_file
from ensemble.submission.rows import fused_tasks
from ensemble.voting import vote
from ensemble.voting.blend import labels_given
from ensemble.voting.constraints import constrained
from ensemble.voting.decision import Decision

BATCHES: Final = (1, 2, 7)
"""Images of noise in each batch of the proof."""

BOUND: Final = 1e-6
"""By how much a probability may differ from the vote's; a value by so much of itself."""

Scores = Mapping[tuple[str, str], Probs]
"""What members give for a batch, float32 (N, C), by a member's name and that of its head."""


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What the vote says of a batch: numbers (N, C), and labels int64 (N,), bool (N, C) or none."""

    probs: Pooled
    labels: NDArray[np.generic] | None


def prove_packed(
    path: Path, packed: Packed, members: Sequence[PackedMember], rule: VoteRule, progress: Progress
) -> float:
    """Hold a packed file, by itself, against the vote on what its members give.

    Args:
        path: The file, its external data beside it.
        packed: What it was made of.
        members: All members that vote. Each is started as a run starts it.
        rule: How they vote.
        progress: Told of each member that has given its part.

    Returns:
        The largest difference of a probability, or of a value in shares of itself.

    Raises:
        MemberError: the file does not run, or differs by more than `BOUND`, or in a label; or a
            member gives NaN for noise, on which nothing can be proven.
    """
    pixels = {geometry: probe_images((max(BATCHES), *shape_of(geometry)))
              for geometry in {each.geometry for each in members}}  # fmt: skip
    given: list[dict[tuple[str, str], Probs]] = [{} for _ in BATCHES]
    for each in members:
        for batch, scores in zip(given, _scored(each, rule, pixels[each.geometry]), strict=True):
            batch.update(scores)
        progress.advance(1)
    batches = ({name: pixels[geometry][:count] for geometry, name in packed.inputs.items()}
               for count in BATCHES)  # fmt: skip
    voters = [each.member for each in members]
    return max(
        compare_packed(found, expected_of(voters, rule, scores))
        for found, scores in zip(run_file(path, batches), given, strict=True)
    )


def _scored(each: PackedMember, rule: VoteRule, images: Pixels) -> list[Scores]:
    """Start a member, and return what it gives for each batch; its session ends with it."""
    ready = start_shaped(
        each.member, each.shaped, rule.merge, device="cpu", threads=0, batch="auto"
    )
    batches = [ready.score(images[:count]) for count in BATCHES]
    scores: list[Scores] = [
        {(each.name, head): rows for head, rows in batch.items()} for batch in batches
    ]
    if not all(np.isfinite(rows).all() for batch in scores for rows in batch.values()):
        raise MemberError(
            f"{each.member.path}: it gives NaN or infinity for noise, on which a packed file is "
            f"proven. Export it again, or leave it out"
        )
    return scores


def expected_of(members: Sequence[Member], rule: VoteRule, scores: Scores) -> Expected:
    """Vote as a run does on what members gave for a batch."""
    fusion, head = rule.fusion, rule.head
    if rule.label_map is not None:
        parts = [_predictions(own, voted_on, scores) for own, voted_on in _by_head(members, rule)]
        fused = fused_tasks(fusion, join_tasks(parts, rule.label_map))
        return Expected(fused.probs, fused.labels)
    found = _predictions(members, head, scores)
    fused = vote.fuse(found.ballots, fusion.voting, fusion.weights, head.task)
    rules = TASKS[head.task]
    if rules.several:
        decision = fusion.weights.decision if fusion.weights else Decision()
        return Expected(fused.probs, labels_given(fused.probs, decision).astype(np.bool_))
    if rules.single:
        return Expected(fused.probs, fused.labels)
    return Expected(constrained(fused.probs, fusion.constraints, head.classes)[0], None)


def compare_packed(found: Mapping[str, NDArray[np.generic]], expected: Expected) -> float:
    """Return by how much what a packed file gives differs from the vote at most.

    Raises:
        MemberError: by more than `BOUND`, or in a label.
    """
    given = found[PROBABILITIES if PROBABILITIES in found else VALUES].astype(np.float64)
    scale = np.maximum(np.abs(expected.probs), 1.0)
    apart = float((np.abs(given - expected.probs) / scale).max())
    rows = len(given)
    if not apart <= BOUND:
        raise MemberError(
            f"the packed file differs from the vote of its members by {apart:.3g} on {rows} "
            f"images of noise; at most {BOUND:g} is allowed, so nothing was written. Leave members "
            f"out one by one to find which it is, and export that again"
        )
    if expected.labels is None:
        return apart
    labels = found[LABEL if LABEL in found else LABELS]
    if (odd := int((labels != expected.labels).sum())) > 0:
        raise MemberError(
            f"the packed file gives {odd} other labels than the vote of its members on {rows} "
            f"images of noise, so nothing was written: their probabilities differ by {apart:.3g}, "
            f"which a near tie shows. Export members that differ again"
        )
    return apart


def _predictions(members: Sequence[Member], head: Head, scores: Scores) -> Predictions:
    """Return what members gave of a head as a run's predictions are."""
    who = [member.identity for member in members]
    families = {each.name: scores[each.name, head.name] for each in who}
    rows = len(next(iter(families.values())))
    return Predictions(
        ids=tuple(f"noise {row}" for row in range(rows)),
        classes=head.classes,
        families=families,
        members=hashes_of(who),
        task=head.task,
        deployed=True,
        output=head.name,
        sources=tuple(RecordedMember(each, None) for each in who),
        ordinal=head.ordinal,
    )


def _by_head(members: Sequence[Member], rule: VoteRule) -> list[tuple[list[Member], Head]]:
    """Return the heads that answer a task, each with the members that have one of its meaning."""
    found: dict[object, tuple[list[Member], Head]] = {}
    for member in members:
        for head in heads_read(member.card.heads, None, rule.label_map, member.card.name):
            key = head.name, head.task, head.classes, head.ordinal
            found.setdefault(key, ([], head))[0].append(member)
    return list(found.values())
