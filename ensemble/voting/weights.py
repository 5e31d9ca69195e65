"""Blend weights: by family name, with the pool, temperature and decision rule that go with them.

`weights.json` is what `ensemble tune-weights` writes; docs/weights.md describes it. A list such as
`family=0.6,other=0.4` is a plain linear pool.
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from ensemble.errors import UsageError, few
from ensemble.files.atomic import publish_json
from ensemble.files.paths import is_file
from ensemble.html_table import html_table
from ensemble.records import Task
from ensemble.voting.decision import Decision, check_decision, check_length, field_error

SCHEMA: Final = 1

CONFIDENCE: Final = ("log_loss", "brier")
"""The metrics that ask how sure predictions are, which a temperature changes."""

NO_EVIDENCE: Final = "no evidence"
"""The verdict where the plain mean is written: the gain is not above one standard error."""

Pool = Literal["linear", "log-linear", "rank"]
Polish = Literal["auto", "always", "off"]
"""Whether to chase a metric itself: only if that proves itself out of fold, always, or never."""


@dataclass(frozen=True, slots=True, repr=False)
class Weights:
    """How families become one prediction.

    `families` are weights of a linear pool or of one of ranks, on any scale, or exponents of a
    log-linear one. `ranks` are each family's quantiles for each class (C, K), out of fold, by
    which scores become ranks; empty where nobody asked for them. `classes` and `members` (each
    family's member hashes) are what the weights were tuned for, and `task` what the head predicts;
    empty where nobody says. `evidence` is for people.
    """

    families: Mapping[str, float]
    pool: Pool = "linear"
    temperature: float = 1.0
    decision: Decision = field(default_factory=Decision)
    classes: tuple[str, ...] = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metric: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    ranks: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    task: Task | None = None

    @property
    def ruled(self) -> bool:
        """Whether a temperature or a decision rule goes with the pool."""
        return (self.temperature, self.decision) != (1.0, Decision())

    @property
    def plain(self) -> bool:
        """Whether these are the numbers of a linear pool, and nothing else."""
        return self.pool == "linear" and not self.ruled

    def __repr__(self) -> str:
        shares = few([f"{name}={weight:.3g}" for name, weight in self.families.items()])
        verdict = self.evidence.get("verdict")
        tuned = f", for {self.metric}: {verdict}" if verdict else ""
        return f"<Weights {shares}; {self.pool} pool{tuned}>"

    def _repr_html_(self) -> str:
        singles = self.evidence.get("singles", {})
        rows = [(name, w, singles.get(name, "")) for name, w in self.families.items()]
        return html_table(repr(self), ("family", "weight", self.metric or "score"), rows)

    def save(self, path: str | Path) -> None:
        """Write weights.json, as `ensemble tune-weights` does.

        Raises:
            StoreError: the disk refused.
        """
        publish_json(Path(path), to_json(self))

    @staticmethod
    def load(path: str | Path) -> "Weights":
        """Read weights.json.

        Raises:
            UsageError: the file cannot be read, or a field is not what it should be; names it.
        """
        return read(Path(path))


def from_text(text: str) -> Weights:
    """Read the weights.json that the text names, or `family=0.6,other=0.4`.

    Raises:
        UsageError: a part is not family=number, a family stands there twice, or the file is not
            weights.json.
    """
    if "=" not in text or is_file(text):
        return read(Path(text))
    families: dict[str, float] = {}
    for part in text.split(","):
        family, _, number = part.rpartition("=")
        family = family.strip()
        try:
            value = float(number)
        except ValueError as error:
            raise UsageError(f"weights: {part!r} is not family=number") from error
        if not family or family in families:
            raise UsageError(f"weights: family {family!r} is empty or stands there twice")
        families[family] = value
    return Weights(families)


def read(path: Path) -> Weights:
    """Read weights.json.

    Raises:
        UsageError: the file cannot be read, or a field is not what it should be; names it.
    """
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot read the weights: {error.strerror}. Name a weights.json, or say "
            f"family=0.6,other=0.4"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    return from_record(record, str(path))


def from_record(record: object, where: str) -> Weights:
    """Make weights of what `to_json` gave; `where` names it in messages.

    Raises:
        UsageError: a field is not what it should be; names it.
    """
    if not isinstance(record, dict) or record.get("schema", SCHEMA) != SCHEMA:
        raise UsageError(f"{where}: not a weights.json of schema {SCHEMA}")
    reader = _Reader(where)
    rule = reader.mapping(record, "decision")
    members = reader.mapping(record, "families")
    ranks = reader.mapping(record, "ranks")
    found = Weights(
        families={k: reader.number(v, k) for k, v in reader.some(record, "weights").items()},
        pool=reader.pool(record.get("pool", "linear")),
        temperature=reader.positive(record.get("temperature", 1.0), "temperature"),
        decision=Decision(
            prior_tau=reader.number(rule.get("prior_tau") or 0.0, "decision.prior_tau"),
            prior=reader.numbers(rule, "prior"),
            cut_points=reader.numbers(rule, "cut_points"),
            thresholds=reader.numbers(rule, "thresholds"),
            order=reader.places(rule, "order"),
        ),
        ranks={k: reader.knots(v, f"ranks.{k}") for k, v in ranks.items()},
        classes=reader.texts(record.get("classes") or [], "classes"),
        members={k: reader.texts(v, f"families.{k}") for k, v in members.items()},
        metric=str(record.get("metric") or ""),
        evidence=reader.mapping(record, "evidence"),
        task=reader.task(record.get("task")),
    )
    _check_rule(found, found.classes, where)
    return found


def to_json(weights: Weights) -> dict[str, object]:
    """Return the record that `read` reads."""
    return {
        "schema": SCHEMA,
        "pool": weights.pool,
        "metric": weights.metric,
        "task": weights.task,
        "classes": list(weights.classes),
        "weights": dict(weights.families),
        "temperature": weights.temperature,
        "decision": asdict(weights.decision),
        "ranks": {name: [list(row) for row in rows] for name, rows in weights.ranks.items()},
        "evidence": dict(weights.evidence),
        "families": {name: list(hashes) for name, hashes in weights.members.items()},
    }


def check_fits(
    weights: Weights, classes: Sequence[str], members: Mapping[str, Sequence[str]]
) -> None:
    """Check that weights belong to these families, classes and members.

    Args:
        weights: The weights.
        classes: The classes of the head, in order.
        members: The hashes of each family's members here; none where nobody knows.

    Raises:
        UsageError: another family, class or member; says which.
    """
    check_families(weights, members)
    if weights.classes and weights.classes != tuple(classes):
        raise UsageError(
            f"the weights were tuned for the classes {list(weights.classes)[:5]}; here they are "
            f"{list(classes)[:5]}"
        )
    _check_rule(weights, classes, "weights")
    for family, hashes in weights.members.items():
        here = set(members.get(family, ()))
        if here and here != set(hashes):
            raise UsageError(
                f"the weights were tuned for other members of {family} than these (SHA-256). Tune "
                f"them anew, or say --weights {family}=… to use the numbers all the same"
            )


def _check_rule(weights: Weights, classes: Sequence[str], where: str) -> None:
    """Check that the decision rule, and the quantiles of ranks, can be applied to classes."""
    check_decision(weights.decision, classes, where)
    sizes = {name: (len(rows), len(rows[0])) for name, rows in weights.ranks.items()}
    for name, (rows, _) in sizes.items():
        check_length(where, f"ranks.{name}", rows, len(classes), len(classes))
    if len(set(sizes.values())) > 1:
        raise field_error(where, "ranks", "as many classes and quantiles for each family", sizes)


def check_families(weights: Weights, here: Collection[str]) -> None:
    """Check that there is a usable weight for each family, and none for another.

    Raises:
        UsageError: there is not; says which.
    """
    families = weights.families
    missing, unknown = sorted(set(here) - set(families)), sorted(set(families) - set(here))
    if missing or unknown:
        told = [f"no weight for {few(missing)}"] * bool(missing)
        told += [f"no family for {few(unknown)}"] * bool(unknown)
        raise UsageError(
            f"weights bind by family name: {', '.join(told)}; the families here are "
            f"{few(sorted(here))}"
        )
    wrong = {f: w for f, w in families.items() if not math.isfinite(w) or w < 0}
    if wrong or sum(families.values()) <= 0:
        raise UsageError(
            f"weights must be finite, at least 0, and not all 0; found {wrong or dict(families)}"
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads fields of one record; every complaint names where it is, and the field."""

    where: str

    def mapping(self, record: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = record.get(name) or {}
        if not isinstance(value, dict):
            raise self._bad(name, "an object", value)
        return value

    def some(self, record: Mapping[str, Any], name: str) -> dict[str, Any]:
        value = self.mapping(record, name)
        if not value:
            raise self._bad(name, "a number for each family", record.get(name))
        return value

    def number(self, value: object, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._bad(name, "a number", value)
        if not math.isfinite(value):
            raise self._bad(name, "a finite number", value)
        return float(value)

    def positive(self, value: object, name: str) -> float:
        number = self.number(value, name)
        if number <= 0:
            raise self._bad(name, "a number above 0", value)
        return number

    def numbers(self, record: Mapping[str, Any], name: str) -> tuple[float, ...]:
        value = record.get(name) or []
        if not isinstance(value, list):
            raise self._bad(name, "a list of numbers", value)
        return tuple(self.number(v, name) for v in value)

    def places(self, record: Mapping[str, Any], name: str) -> tuple[int, ...]:
        found = self.numbers(record, name)
        if any(number != int(number) for number in found):
            raise self._bad(name, "a list of whole numbers", list(found))
        return tuple(map(int, found))

    def knots(self, value: object, name: str) -> tuple[tuple[float, ...], ...]:
        rows = value if isinstance(value, list) else []
        found = tuple(self.numbers({name: row}, name) for row in rows)
        if not found or len({len(row) for row in found}) > 1 or len(found[0]) < 2:
            raise self._bad(name, "a list of quantiles for each class, all of one length", value)
        if any(b < a for row in found for a, b in pairwise(row)):
            raise self._bad(name, "quantiles that ascend", value)
        return found

    def texts(self, value: object, name: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self._bad(name, "a list of texts", value)
        return tuple(value)

    def pool(self, value: object) -> Pool:
        if value not in get_args(Pool):
            raise self._bad("pool", f"one of {', '.join(get_args(Pool))}", value)
        return cast(Pool, value)

    def task(self, value: object) -> Task | None:
        if value is not None and value not in get_args(Task):
            raise self._bad("task", f"one of {', '.join(get_args(Task))}", value)
        return cast(Task | None, value)

    def _bad(self, name: str, expected: str, found: object) -> UsageError:
        return field_error(self.where, name, expected, found)
