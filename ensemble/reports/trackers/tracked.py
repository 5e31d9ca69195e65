"""What is recorded of a piece of work: chosen so that no image, id or path is in it.

The files that settings name stay at home, and so do facts that may hold paths or the names of
machines: only what is listed here is told, by hash where it has one.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from ensemble.predictions.parsed import list_of, mapping_of
from ensemble.recipe.policy import Policy
from ensemble.reports.scorecard import Scorecard
from ensemble.voting.weights import Weights

AT_HOME: Final = ("members", "images", "sample", "out", "label_map", "crops", "store",
                  "ray_address", "weights")  # fmt: skip
"""The settings that name files or machines; of members names and hashes are told, of weights each
family's."""

_FACTS: Final = ("provider", "image_set", "recipe_sha256", "submission_sha256", "head")
_NUMBERS: Final = ("seconds", "predicted_seconds", "evaluations")


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is recorded under a name: texts and finite numbers by theirs, which / parts.

    `pictures` are drawn into the file that they are given, a PNG, when they are recorded.
    """

    name: str
    settings: Mapping[str, str]
    scores: Mapping[str, float] = field(default_factory=dict)
    pictures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)


def of_run(command: str, name: str, record: Mapping[str, object]) -> Tracked:
    """Tell of a run or a vote, by its run.json."""
    recipe = mapping_of(record["recipe"])
    told = {"command": command}
    told |= {key: _text(value) for key, value in recipe.items() if key not in AT_HOME}
    told |= {key: str(record[key]) for key in _FACTS if record.get(key) is not None}
    told |= {f"versions/{key}": str(each) for key, each in mapping_of(record["versions"]).items()}
    for each in map(mapping_of, list_of(record["members"])):
        told[f"members/{each['name']}"] = str(each["sha256"])
    weights = mapping_of(mapping_of(recipe["weights"] or {}).get("weights", {}))
    numbers = {key: record.get(key) for key in _NUMBERS}
    numbers |= {f"counts/{key}": value for key, value in mapping_of(record["counts"]).items()}
    numbers |= {f"weights/{family}": value for family, value in weights.items()}
    exits = mapping_of(record.get("early_exit") or {})
    numbers |= {f"early_exit/{key}": value for key, value in exits.items()}
    return Tracked(name, told, _finite(numbers))


def of_weights(name: str, weights: Weights) -> Tracked:
    """Tell of weights that were tuned: what they are, and what they are worth."""
    seen = weights.evidence
    told = {
        "command": "tune-weights",
        "metric": weights.metric,
        "pool": weights.pool,
        "verdict": seen.get("verdict", ""),
        "written": seen.get("written", ""),
    }
    numbers: dict[str, object] = {
        "rows": seen.get("n"),
        "uniform": seen.get("uniform"),
        "nested": seen.get("nested"),
        "apparent": seen.get("apparent"),
        "gain": seen.get("gain"),
        "temperature": weights.temperature,
        **{f"weights/{family}": weight for family, weight in weights.families.items()},
        **{f"singles/{family}": score for family, score in seen.get("singles", {}).items()},
        **{f"blends/{each['blend']}": each["score"] for each in seen.get("candidates", [])},
    }
    return Tracked(name, told, _finite(numbers), {"weights": partial(_draw_weights, weights)})


def of_policy(name: str, policy: Policy) -> Tracked:
    """Tell of a policy that was chosen: what runs, what it costs, and the frontier."""
    told = {
        "command": "choose",
        "tta": policy.tta,
        "head": policy.head,
        "budget": policy.budget,
        "verdict": policy.verdict,
        "metric": policy.weights.metric,
        "sha256": policy.sha256,
    }
    numbers: dict[str, object] = {"evaluations": policy.evaluations, "seconds": policy.seconds}
    for number, point in enumerate(policy.frontier):
        own = {"evaluations": point.evaluations, "seconds": point.seconds, "score": point.score}
        numbers |= {f"frontier/{number}/{key}": value for key, value in own.items()}
    numbers |= {f"weights/{family}": each for family, each in policy.weights.families.items()}
    return Tracked(name, told, _finite(numbers), {"frontier": partial(_draw_frontier, policy)})


def of_scores(name: str, card: Scorecard) -> Tracked:
    """Tell of scores, each with the ends of its interval; of classes the confusion too."""
    told = {"command": "score", "classes": str(len(card.classes))}
    numbers: dict[str, object] = {"rows": card.rows, **_lines("", card)}
    for task, each in card.tasks.items():
        numbers |= _lines(f"{task}/", each)
    pictures = {"confusion": partial(_draw_scores, card)} if card.counts.size else {}
    return Tracked(name, told, _finite(numbers), pictures)


def _lines(before: str, card: Scorecard) -> dict[str, float]:
    lines = {f"{before}{line.metric}": line.score for line in card.lines}
    for line in card.lines:
        if line.interval is not None:
            low, high = line.interval
            lines |= {f"{before}{line.metric}/low": low, f"{before}{line.metric}/high": high}
    return lines


def _finite(numbers: Mapping[str, object]) -> dict[str, float]:
    """Keep what is a number: trackers take nothing else, and differ on NaN."""
    return {
        name: float(value)
        for name, value in numbers.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _draw_weights(weights: Weights, path: Path) -> None:
    from ensemble.reports.figures import draw

    draw(weights, path)


def _draw_frontier(policy: Policy, path: Path) -> None:
    from ensemble.reports.frontier_figure import draw_frontier

    draw_frontier(policy, path)


def _draw_scores(card: Scorecard, path: Path) -> None:
    from ensemble.reports.figures import draw_scores

    draw_scores(card, path)
