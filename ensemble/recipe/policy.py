"""policy.json: which views and folds of each family run, with the weights that go with them.

It is what `ensemble choose` writes and `ensemble run --policy` takes. A policy is for the members
that it was chosen among, and for no others; its checksum tells a file that was edited.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError, few
from ensemble.files.atomic import publish_json, sha256_json
from ensemble.files.fields import Fields, fields_of
from ensemble.records import MemberId
from ensemble.views.spelling import merge_words, read_view, spell, spell_list
from ensemble.voting import weights as weights_file
from ensemble.voting.decision import field_error
from ensemble.voting.weights import Weights

SCHEMA: Final = 1
MERGE: Final = "mean"
"""How the views of a member become one under a policy."""


@dataclass(frozen=True, slots=True)
class FamilyPolicy:
    """What runs of a family: its views as they are spelled, and the hash of each fold's member."""

    views: tuple[str, ...]
    members: Mapping[int, str]

    @property
    def tta(self) -> str:
        """The views as `--tta` takes them."""
        return spell_list(map(read_view, self.views))

    @property
    def merged(self) -> str:
        """The views and their merge, as predictions tell them."""
        return merge_words(self.views, MERGE)


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """A point of the frontier: what runs, what it costs with every fold, and its nested score.

    `views` are those of each family; `seconds` are those of an image. The score is that of one
    member a family, as out of fold.
    """

    views: Mapping[str, tuple[str, ...]]
    evaluations: int
    seconds: float
    score: float
    interval: tuple[float, float] | None
    knee: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """Which views and folds of each family run, by which weights, and what that was chosen by.

    `left_out` are the hashes of members that it was chosen among and that do not run. `seconds`
    are those of an image, `start` those of each member's start, by what was measured. `views`
    says of each view what out-of-fold rows say of it. `verdict` says what the choice is worth.
    """

    families: Mapping[str, FamilyPolicy]
    weights: Weights
    left_out: tuple[str, ...]
    head: str
    evaluations: int
    seconds: float
    start: float
    budget: str = ""
    verdict: str = ""
    views: Mapping[str, str] = field(default_factory=dict)
    frontier: tuple[FrontierPoint, ...] = ()

    @property
    def tta(self) -> str:
        """The views of each family, as `--tta` takes them."""
        return ",".join(f"{name}={each.tta}" for name, each in sorted(self.families.items()))

    @property
    def sha256(self) -> str:
        """The hash of all that it says."""
        return sha256_json(_record(self))

    def seconds_for(self, images: int) -> float:
        """Return the seconds that a run over so many images is predicted to take."""
        members = sum(len(each.members) for each in self.families.values())
        return members * self.start + images * self.seconds

    def weights_of(self, family: str) -> str:
        """Return what a family weighs, in words: of a label map what each of its tasks does."""
        own = {name: weight for name, weight in self.weights.families.items()
               if name == family or name.startswith(f"{family}/")}  # fmt: skip
        if list(own) == [family]:
            return f"{own[family]:.3f}"
        return ", ".join(f"{name.partition('/')[2]} {own[name]:.3f}" for name in sorted(own))

    def save(self, path: str | Path) -> None:
        """Write policy.json, as `ensemble choose` does.

        Raises:
            StoreError: the disk refused.
        """
        publish_json(Path(path), to_json(self))

    @staticmethod
    def load(path: str | Path) -> "Policy":
        """Read policy.json; see `read_policy_file`."""
        return read_policy_file(Path(path))

    def runs(self, members: Mapping[str, MemberId]) -> list[str]:
        """Return which of the members that are here run, of all by their names, in their order.

        Raises:
            UsageError: one that it was not chosen among, or one that is to run is not here.
        """
        wanted = {sha: family for family, each in self.families.items()
                  for sha in each.members.values()}  # fmt: skip
        here = {member.sha256 for member in members.values()}
        odd = [n for n, m in members.items() if m.sha256 not in {*wanted, *self.left_out}]
        if odd:
            raise UsageError(
                f"--policy: it was chosen among other members than {few(odd)} (SHA-256). Leave "
                f"them out, or choose anew with `ensemble oof --keep-views` of these"
            )
        lacking = [f"{family} fold {fold}"
                   for family, each in sorted(self.families.items())
                   for fold, sha in sorted(each.members.items()) if sha not in here]  # fmt: skip
        if lacking:
            raise UsageError(
                f"--policy: it runs {few(lacking)}, and no such member is here (SHA-256): give the "
                f"members that it was chosen among"
            )
        return [name for name, member in members.items() if member.sha256 in wanted]


def to_json(policy: Policy) -> dict[str, object]:
    """Return the record that `read_policy_file` reads, its checksum last."""
    return {**_record(policy), "sha256": policy.sha256}


def _record(policy: Policy) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "head": policy.head,
        "merge": MERGE,
        "families": {
            name: {
                "views": list(each.views),
                "members": {str(fold): sha for fold, sha in sorted(each.members.items())},
            }
            for name, each in sorted(policy.families.items())
        },
        "left_out": sorted(policy.left_out),
        "evaluations": policy.evaluations,
        "seconds": policy.seconds,
        "start": policy.start,
        "budget": policy.budget,
        "verdict": policy.verdict,
        "views": dict(policy.views),
        "frontier": [json.loads(json.dumps(asdict(point))) for point in policy.frontier],
        "weights": json.loads(json.dumps(weights_file.to_json(policy.weights))),
    }


def read_policy_file(path: Path) -> Policy:
    """Read policy.json.

    Raises:
        UsageError: the file cannot be read, was edited, or a field is not what it should be.
    """
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path}: cannot read the policy: {error.strerror}. Name what `ensemble choose` wrote"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or "sha256" not in record:
        raise UsageError(f"{path}: not a policy.json of schema {SCHEMA}")
    told = record.pop("sha256")
    if told != sha256_json(record):
        raise UsageError(
            f"{path}: it was edited: it is not as `ensemble choose` wrote it (SHA-256). Choose "
            f"anew; for views and weights of your own there are --tta and --weights"
        )
    return _policy(fields_of(record, "policy", partial(field_error, str(path))), str(path))


def _policy(fields: Fields, where: str) -> Policy:
    families = fields.inner("families")
    views = fields.inner("views")
    return Policy(
        families={name: _family(families.inner(name)) for name in families.record},
        weights=weights_file.from_record(fields.record.get("weights"), where),
        left_out=fields.texts("left_out"),
        head=fields.text("head"),
        evaluations=round(fields.number("evaluations")),
        seconds=fields.number("seconds"),
        start=fields.number("start"),
        budget=str(fields.record.get("budget", "")),
        verdict=str(fields.record.get("verdict", "")),
        views={name: views.text(name) for name in views.record},
        frontier=tuple(map(_point, fields.each("frontier"))),
    )


def _family(fields: Fields) -> FamilyPolicy:
    members = fields.inner("members")
    views = tuple(spell(read_view(text)) for text in fields.texts("views"))
    return FamilyPolicy(views, {int(fold): members.text(fold) for fold in members.record})


def _point(fields: Fields) -> FrontierPoint:
    views = fields.inner("views")
    told = fields.record.get("interval")
    interval = None if told is None else fields.numbers("interval")
    return FrontierPoint(
        views={family: views.texts(family) for family in views.record},
        evaluations=round(fields.number("evaluations")),
        seconds=fields.number("seconds"),
        score=fields.number("score"),
        interval=None if interval is None else (interval[0], interval[1]),
        knee=fields.flag("knee"),
    )
