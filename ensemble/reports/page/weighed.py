"""What weights are worth: the verdict, the nested gain, each family, the blends that competed."""

from collections.abc import Mapping, Sequence
from typing import Final

from ensemble.reports.page.blocks import (
    UNDEFINED,
    Block,
    Cell,
    Chart,
    Fact,
    Facts,
    Note,
    Table,
    count_cell,
    interval_cell,
    name_cell,
    score_cell,
)
from ensemble.reports.page.dots import Scored, dot_chart
from ensemble.reports.page.scores import metric_words
from ensemble.voting.evidence import EvidenceRecord
from ensemble.voting.weights import Weights

_VERDICTS: Final = {
    "gain": "The interval of the gain lies above 0: these weights are better than the plain mean.",
    "weak": "A blend is written, but rows like these could have shown as much by chance.",
    "no evidence": "Nothing shows that a blend is better than the plain mean, so that is written.",
}


def verdict_fact(seen: EvidenceRecord) -> Fact:
    """Return the verdict with the gain that it is of."""
    gain = seen.get("gain")
    told = "" if gain is None else f"gain {gain:.5f}, {_interval_of(seen)}"
    return Fact("verdict of the weights", Cell(seen["verdict"]), told)


def verdict_blocks(weights: Weights) -> list[Block]:
    """Return the verdict, the gain with its interval, and how far it can be believed."""
    seen = weights.evidence
    if "verdict" not in seen:
        return [Note("These weights were not tuned here, so nothing tells what they are worth.")]
    gain = seen.get("gain")
    below = "without folds nothing is nested" if gain is None else _interval_of(seen)
    facts = [
        Fact("verdict", Cell(seen["verdict"], tone="label")),
        Fact("nested gain over the plain mean", score_cell(gain, 5), below),
        Fact("written", Cell(seen.get("written", weights.pool))),
        Fact("out-of-fold rows", count_cell(seen["n"]), f"metric {metric_words(weights.metric)}"),
    ]
    p = seen.get("p")
    chance = f" Two-sided p {p:.3g}." if p is not None else ""
    told = f"{_VERDICTS.get(seen['verdict'], '')}{chance}"
    return [Facts(tuple(facts)), Note(told), *_ladder(weights, seen)]


def _interval_of(seen: EvidenceRecord) -> str:
    ends = seen.get("gain_ci95")
    interval = None if ends is None else (ends[0], ends[1])
    return f"95 % interval {interval_cell(interval, 5).text}"


def family_blocks(weights: Weights) -> list[Block]:
    """Return each family with its weight, its own score and what is lost without it."""
    seen = weights.evidence
    singles, losses = seen.get("singles", {}), seen.get("loss_without", {})
    what = "exponent" if weights.pool == "log-linear" else "weight"
    largest = max((abs(weight) for weight in weights.families.values()), default=1.0) or 1.0
    rows = tuple(
        (name_cell(name), _weight(weight, largest), score_cell(singles.get(name)),
         score_cell(losses.get(name, losses.get(name.partition("/")[0])), 5),
         count_cell(len(weights.members.get(name.partition("/")[0], ()))))
        for name, weight in weights.families.items()
    )  # fmt: skip
    header = ("family", what, weights.metric or "score", "lost without it", "members")
    caption = "The families: alone, and what the blend loses without each"
    blocks: list[Block] = [Table(caption, header, rows)]
    return [*blocks, *correlation_blocks(list(weights.families), seen.get("error_correlations"))]


def correlation_blocks(names: Sequence[str], told: object) -> list[Block]:
    """Return how alike families err, of a square table (M, M) of numbers, None where undefined."""
    if not isinstance(told, list) or len(names) < 2 or len(told) != len(names):
        return []
    rows = tuple(
        (
            name_cell(name),
            *(_correlation(cell, own=row == column) for column, cell in enumerate(cells)),
        )
        for row, (name, cells) in enumerate(zip(names, told, strict=True))
    )
    caption = "Correlation of the families' errors: the lower, the more a blend of them gains"
    return [Table(caption, ("", *names), rows, matrix=True)]


def candidate_blocks(seen: EvidenceRecord) -> list[Block]:
    """Return the blends that competed, each scored on folds that it did not see."""
    if not (candidates := seen.get("candidates")):
        return []
    rows = tuple(
        (Cell(each["blend"]), score_cell(each["score"], 5), score_cell(each["gain"], 5),
         score_cell(each["error"], 5))
        for each in candidates
    )  # fmt: skip
    header = ("blend", "nested score", "gain over the mean", "standard error")
    return [Table("The blends that competed", header, rows)]


def task_blocks(seen: EvidenceRecord) -> list[Block]:
    """Return what each task scores by the mean of its families, and by the blend."""
    tasks: Mapping[str, Mapping[str, float | None]] = seen.get("tasks", {})  # type: ignore[assignment]
    if not tasks:
        return []
    rows = tuple(
        (name_cell(name), score_cell(each["uniform"]), score_cell(each["nested"]))
        for name, each in tasks.items()
    )
    header = ("task", "mean of its families", "blend, nested")
    return [Table("Each task", header, rows)]


def _ladder(weights: Weights, seen: EvidenceRecord) -> list[Block]:
    lines = [
        Scored(name, score, kind="dot faint") for name, score in sorted(seen["singles"].items())
    ]
    lines.append(Scored("plain mean", seen["uniform"]))
    nested = seen["nested"]
    last = ("tuned, apparent", seen["apparent"]) if nested is None else ("tuned, nested", nested)
    lines.append(Scored(*last, kind="dot ours"))
    upward = (seen["apparent"] - seen["uniform"]) * seen["apparent_gain"] >= 0
    better = "more" if upward else "less"
    own = ", each column on its own task" if weights.joint else ""
    caption = f"Out-of-fold {metric_words(weights.metric)}{own}: {better} is better."
    return [Chart(dot_chart(lines, caption), caption)]


def _weight(weight: float, largest: float) -> Cell:
    return Cell(f"{weight:.4f}", repr(float(weight)), share=abs(weight) / largest)


def _correlation(cell: object, *, own: bool) -> Cell:
    if not isinstance(cell, int | float):
        return UNDEFINED
    share = 0.0 if own else max(0.0, float(cell))
    return Cell(f"{cell:.3f}", repr(float(cell)), share=share, tone="muted" if own else "right")
