"""From settings to a recipe, once: checked, and every text read that says a share, time or size.

A recipe has six parts; each stage takes those that it needs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ensemble.boxes import Crop, crop_told
from ensemble.errors import UsageError
from ensemble.files.atomic import check_local
from ensemble.files.label_maps import read_label_map
from ensemble.files.paths import check_utf8
from ensemble.files.text_table import TableSource
from ensemble.label_map import LabelMap
from ensemble.recipe.policy import Policy
from ensemble.recipe.policy_settings import check_apart, under_policy
from ensemble.recipe.saving import Saving, check_text, saving_of
from ensemble.recipe.settings import DECODE, TABLE, Settings, settings_of
from ensemble.recipe.track import Track, tracks_of
from ensemble.recipe.units import bytes_of
from ensemble.records import (
    DecodePolicy,
    Executor,
    IdFrom,
    LabelsAs,
    Merge,
    OnNan,
    Output,
    Precision,
    SampleForm,
    Voting,
    check_choice,
)
from ensemble.voting.constraints import sides_of
from ensemble.voting.joint import check_joint
from ensemble.voting.weights import Weights

_LEAST_MEMORY: Final = 2**20


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is read: the members and their head, the images and how they become pixels.

    With a label map every head is read that answers a task of it. `crops` has the box of each image
    that members see, None where they see all of it; `crop` says how boxes are widened, None as the
    members' cards say. `policy` says which of the members run, None all of them. `verify` has every
    image hashed, whatever an earlier scan found; `image_col` is the column of images in Parquet
    files.
    """

    members: tuple[str, ...]
    images: tuple[str, ...]
    head: str | None
    id_from: IdFrom
    id_col: str | None
    decode: DecodePolicy
    label_map: LabelMap | None = None
    crops: TableSource | None = None
    crop: Crop | None = None
    policy: Policy | None = None
    verify: bool = False
    image_col: str | None = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a member scores an image: its views and their merge, in what precision and where.

    With `keep_views` each view is scored as a policy of its own, and merged when it is read.
    """

    tta: str
    merge: Merge
    precision: Precision
    device: str
    on_nan: OnNan
    keep_views: bool = False


@dataclass(frozen=True, slots=True)
class Fusion:
    """How members become one prediction; `weights` None weighs families alike.

    `constraints` are equations that the values of a regression are made to fulfil.
    """

    voting: Voting
    weights: Weights | None
    constraints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written, and where to."""

    sample: TableSource | None
    output: Output
    positive: str | None
    form: SampleForm
    top: int
    round: str
    labels_as: LabelsAs
    fill: str | None
    out: Path | None
    force: bool


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use, which decides no prediction.

    `memory` is in bytes; `shard_size` 0 lets it decide, and `threads` 0 takes every processor that
    the process may use, and `workers` are processes that share them out; 0 is this one. `executor`
    "ray" has a cluster score, at `ray_address` or wherever RAY_ADDRESS says. On so many
    `probe_images` of the run a member that computes otherwise than in float32 by ONNX Runtime is
    held against it. The trackers `tracks` record it.
    """

    batch_size: int | Literal["auto"]
    shard_size: int
    memory: int
    threads: int
    store: Path
    workers: int = 0
    executor: Executor = "local"
    ray_address: str = ""
    probe_images: int = 16
    tracks: tuple[Track, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that a run needs to know, in its parts; `settings` are what it was read from.

    `saving` is None where every image gets every evaluation.
    """

    inputs: Inputs
    scoring: Scoring
    fusion: Fusion
    writing: Writing
    saving: Saving | None
    resources: Resources
    settings: Settings

    @property
    def saved(self) -> str:
        """How evaluations are saved, in words, as "0.5%, 2h30m"; "" where none are."""
        saving, time = self.saving, self.settings.time_budget
        if saving is None:
            return ""
        words = ["lossless"] * (saving.rule == "lossless")
        words += [f"{100 * saving.epsilon:.6g}%"] if saving.epsilon else []
        words += [f"{saving.evaluations:.6g} evaluations"] if saving.evaluations else []
        words += [time.strip()] if time else []
        return ", ".join(words)


def resolve(settings: Settings) -> Recipe:
    """Check settings and read what their texts say.

    Raises:
        UsageError: names the setting, what it may be and what it is.
    """
    check_settings(settings)
    settings = under_policy(settings)
    check_apart(settings)
    s, label_map = settings, _label_map(settings)
    check_joint(s.voting, s.weights, label_map)
    return Recipe(
        Inputs(
            s.members,
            s.images,
            s.head,
            s.id_from,
            s.id_col,
            s.decode,
            label_map,
            s.crops,
            crop_of(s),
            s.policy,
            s.verify_inputs,
            s.image_col,
        ),
        Scoring(s.tta, s.merge, s.precision, s.device, s.on_nan, s.keep_views),
        Fusion(s.voting, s.weights, _constraints(s.constraints)),
        Writing(
            s.sample,
            s.output,
            s.positive,
            s.form,
            s.top,
            s.round,
            s.labels_as,
            s.fill,
            s.out,
            s.force,
        ),
        saving_of(
            early_exit=s.early_exit,
            confidence=s.confidence,
            calibration=s.calibration,
            time_budget=s.time_budget,
            evals_per_image=s.evals_per_image,
        ),
        Resources(
            s.batch_size,
            s.shard_size,
            _memory(s.memory),
            s.threads,
            s.store,
            s.workers,
            s.executor,
            _address(s),
            s.probe_images,
            tracks_of(s.track),
        ),
        settings,
    )


def _address(s: Settings) -> str:
    if s.ray_address and s.executor != "ray":
        raise UsageError(
            f"ray_address {s.ray_address!r}: executor is {s.executor!r}; say ray, or leave the "
            f"address out"
        )
    return s.ray_address


def crop_of(settings: Settings) -> Crop | None:
    """Return how boxes are widened; None as the members' cards say.

    Raises:
        UsageError: a margin that is no number in its range, or flags that do not go together.
    """
    margin, square = settings.margin, settings.square
    if settings.crops is None and (margin is not None or square):
        raise UsageError("margin and square say how the boxes of crops are widened: give crops too")
    return crop_told(margin, square=square)


def check_settings(settings: Settings) -> None:
    """Check the values that have a list or a range, and that every text can be written down.

    Raises:
        UsageError: names the setting, what it may be and what it is.
    """
    check_utf8(str(Path.cwd()), "the working folder")
    check_local(settings.store, "--store")
    if settings.out is not None:
        check_local(settings.out, "--out")
    for name, value in settings_of(settings).items():
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                check_utf8(text, name)
    for name, row in TABLE.items():
        value = getattr(settings.decode if name in DECODE else settings, name)
        if row.choices:
            check_choice(name, value, row.kind)
        if row.about.least is not None:
            _check_whole(name, value, row.about.least)
    if settings.batch_size != "auto":
        _check_whole("batch_size", settings.batch_size, 1)


def _label_map(settings: Settings) -> LabelMap | None:
    """Read the label map, with what is declared of its tasks; else take that of a policy."""
    if settings.label_map is None:
        if settings.tasks:
            raise UsageError("tasks belong to a label map: give --label-map too")
        joint = settings.policy.weights.joint if settings.policy else None
        return joint.label_map if joint else None
    if settings.head is not None:
        raise UsageError(
            f"--head {settings.head}: with a label map every head is read; leave one of them out"
        )
    return read_label_map(settings.label_map, settings.tasks)


def _constraints(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Check that each is an equation; its names are checked where the targets are known."""
    for text in texts:
        sides_of(text)
    return texts


def _memory(text: str) -> int:
    """Read bytes that hold an image or more: a bare number is bytes, and seldom meant so."""
    found = bytes_of(check_text(text, "memory", "2G"), "memory")
    if found < _LEAST_MEMORY:
        hint = f"; did you mean {text.strip()}G?" if text.strip().isdecimal() else ""
        raise UsageError(f"memory {text!r}: expected 1M or more{hint}")
    return found


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        auto = "auto or " if name == "batch_size" else ""
        raise UsageError(f"{name} {value!r}: expected {auto}a whole number from {least} on")
