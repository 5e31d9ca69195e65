"""Blend weights: by family name, with the pool, temperature and decision rule that go with them.

`weights.json` is what `ensemble tune-weights` writes; docs/weights.md describes it. A list such as
`family=0.6,other=0.4` is a plain linear pool.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast, get_args

from ensemble.errors import UsageError, few
from ensemble.files.atomic import publish_json
from ensemble.files.fields import Fields, fields_of
from ensemble.files.paths import is_file
from ensemble.html_table import html_table
from ensemble.records import VOTED, Task
from ensemble.voting import joint_weights
from ensemble.voting.decision import (
    Decision,
    check_decision,
    check_length,
    field_error,
    read_decision,
)
from ensemble.voting.evidence import EvidenceRecord
from ensemble.voting.joint_weights import JointWeights

SCHEMA: Final = 1

CONFIDENCE: Final = ("log_loss", "brier")
"""The metrics that ask how sure predictions are, which a temperature changes."""

NO_EVIDENCE: Final = "no evidence"
"""The verdict where the plain mean is written: the gain is not above one standard error."""

Pool = Literal["linear", "log-linear", "rank"]
Write: TypeAlias = Literal["auto", "tuned", "mean", "best"]
"""Which blend is written: what the evidence says, or always the best that was fitted, the plain
mean or the best single family."""

Polish = Literal["auto", "always", "off"]
"""Whether to chase a metric itself: only if that proves itself out of fold, always, or never."""


@dataclass(frozen=True, slots=True, repr=False)
class Weights:
    """How families become one prediction.

    `families` are weights of a linear pool or of one of ranks, on any scale, or exponents of a
    log-linear one. `ranks` are each family's quantiles for each class (C, K), out of fold, by
    which scores become ranks; empty where nobody asked for them. `classes` and `members` (each
    family's member hashes) are what the weights were tuned for, and `task` what the head predicts;
    empty where nobody says; `views` are those that each family was tuned under, with their merge.
    `evidence` is for people. `joint` goes with weights of several tasks, whose `families` are
    columns: a family, or family/task where it answers several.
    """

    families: Mapping[str, float]
    pool: Pool = "linear"
    temperature: float = 1.0
    decision: Decision = field(default_factory=Decision)
    classes: tuple[str, ...] = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metric: str = ""
    evidence: EvidenceRecord = field(default_factory=EvidenceRecord)
    ranks: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    task: Task | None = None
    views: Mapping[str, str] = field(default_factory=dict)
    joint: JointWeights | None = None

    @property
    def ruled(self) -> bool:
        """Whether a temperature or a decision rule goes with the pool."""
        return (self.temperature, self.decision) != (1.0, Decision())

    @property
    def plain(self) -> bool:
        """Whether these are the numbers of a linear pool, and nothing else."""
        return self.pool == "linear" and not self.ruled and self.joint is None

    def __repr__(self) -> str:
        shares = few([f"{name}={weight:.3g}" for name, weight in self.families.items()])
        verdict = self.evidence.get("verdict")
        tuned = f", for {self.metric}: {verdict}" if verdict else ""
        return f"<Weights {shares}; {self.pool} pool{tuned}>"

    def _repr_html_(self) -> str:
        singles = self.evidence.get("singles", {})
        rows = [(name, w, singles.get(name, "")) for name, w in self.families.items()]
        table = html_table(repr(self), ("family", "weight", self.metric or "score"), rows)
        return f"{table}{self._gained()}"

    def _gained(self) -> str:
        """Return the nested gain with its interval as HTML; nothing where there is none."""
        if (gain := self.evidence.get("gain")) is None:
            return ""
        ends = self.evidence.get("gain_ci95") or ("none", "none")
        row = (self.evidence.get("verdict", ""), gain, *ends)
        return html_table("gain over the plain mean", ("verdict", "gain", "from", "to"), [row])

    def save(self, path: str | Path) -> None:
        """Write weights.json, as `ensemble tune-weights` does.

        Raises:
            StoreError: the disk refused.
        """
        publish_json(Path(path), to_json(self))

    @staticmethod
    def load(path: str | Path) -> "Weights":
        """Read weights.json; see `read`."""
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
    found = _weights(fields_of(record, "weights", partial(field_error, where)))
    check_rule(found, found.classes, where)
    return found


def to_json(weights: Weights) -> dict[str, object]:
    """Return the record that `read` reads."""
    views = {"views": dict(weights.views)} if weights.views else {}
    joint = {} if weights.joint is None else {"joint": joint_weights.to_record(weights.joint)}
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
        **views,
        **joint,
    }


def check_rule(weights: Weights, classes: Sequence[str], where: str) -> None:
    """Check that the decision rule, and the quantiles of ranks, can be applied to classes.

    Raises:
        UsageError: they cannot; names the field, and `where` it is.
    """
    check_decision(weights.decision, classes, where)
    sizes = {name: (len(rows), len(rows[0])) for name, rows in weights.ranks.items()}
    for name, (rows, _) in sizes.items():
        check_length(where, f"ranks.{name}", rows, len(classes), len(classes))
    if len(set(sizes.values())) > 1:
        raise field_error(where, "ranks", "as many classes and quantiles for each family", sizes)


_SAID_NOTHING: Final = {"decision": {}, "classes": [], "families": {}, "evidence": {}, "ranks": {},
                        "metric": "", "views": {}}  # fmt: skip


def _weights(fields: Fields) -> Weights:
    """Read the fields of weights.json, of which only the weights must be there."""
    said = {"pool": "linear", "temperature": 1.0, **fields.record}
    fields = Fields(said, fields.fault).where_empty(_SAID_NOTHING)
    families, members, ranks, views = (
        fields.inner(k) for k in ("weights", "families", "ranks", "views")
    )
    if not families.record:
        raise fields.bad("weights", "a number for each family", {})
    return Weights(
        families={name: families.number(name) for name in families.record},
        pool=fields.choice("pool", get_args(Pool)),
        temperature=_temperature(fields),
        decision=read_decision(fields.inner("decision")),
        classes=fields.texts("classes"),
        members={name: members.texts(name) for name in members.record},
        metric=fields.text("metric") if fields.record["metric"] != "" else "",
        evidence=cast(EvidenceRecord, fields.inner("evidence").record),  # for people: unchecked
        ranks={name: _knots(ranks, name) for name in ranks.record},
        views={name: views.text(name) for name in views.record},
        task=None if said.get("task") is None else fields.choice("task", VOTED),
        joint=None
        if said.get("joint") is None
        else joint_weights.from_record(fields.inner("joint")),
    )


def _temperature(fields: Fields) -> float:
    found = fields.number("temperature")
    if found <= 0:
        raise fields.bad("temperature", "a number above 0", found)
    return found


def _knots(fields: Fields, name: str) -> tuple[tuple[float, ...], ...]:
    """Read the quantiles of a family, (C, K)."""
    found = fields.table(name)
    if not found or len({len(row) for row in found}) > 1 or len(found[0]) < 2:
        expected = "a list of quantiles for each class, all of one length"
        raise fields.bad(name, expected, fields.record[name])
    if any(b < a for row in found for a, b in pairwise(row)):
        raise fields.bad(name, "quantiles that ascend", fields.record[name])
    return found
