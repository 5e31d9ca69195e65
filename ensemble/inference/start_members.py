"""The members of a run: opened, held against weights and views, and started side by side."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from ensemble.errors import few
from ensemble.files.atomic import check_writable
from ensemble.files.paths import expand
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import (
    graph_views,
    open_members,
    pixels_of,
    shape_views,
    start_shaped,
)
from ensemble.label_map import LabelMap
from ensemble.members.card import Head, head_named
from ensemble.members.crop import with_crops
from ensemble.members.fetched import local_members
from ensemble.members.member import Member
from ensemble.predictions.tasks import joint_head
from ensemble.progress import Progress
from ensemble.recipe.resolve import Fusion, Inputs, Recipe, Scoring
from ensemble.records import hashes_of
from ensemble.runtime.devices import CPU, available_threads
from ensemble.runtime.wheels import WHEELS, check_wheels, installed
from ensemble.views.families import check_jitters, merged_as, policies_of, read_policies
from ensemble.views.policy import Shaped, Views
from ensemble.voting import fits, vote
from ensemble.voting.constraints import check_constraints


@dataclass(frozen=True, slots=True)
class Opened:
    """A member that is opened and may take part: its views, and those of its graph, shaped."""

    member: Member
    views: Views
    inside: Sequence[Shaped]


def start_members(
    recipe: Recipe, progress: Progress, *, exits: bool = False, fold: int | None = None
) -> list[ReadyMember]:
    """Open the members and start their sessions, each proven on a probe batch.

    With `exits` their graphs have no views where the host can make them; see `host_views`. With
    a `fold` only its members are started. Where views are kept apart, each member is started once
    for each of its views.

    Raises:
        UsageError: members, weights or views that do not go together, or a store that cannot be
            written to.
        MemberError: a member is not usable.
        ProviderError: the device does not start, or two wheels of ONNX Runtime are installed.
    """
    scoring, resources = recipe.scoring, recipe.resources
    opened = open_all(recipe, progress, exits=exits, fold=fold)
    start = partial(
        start_shaped,
        merge=scoring.merge,
        device=scoring.device,
        threads=resources.threads,
        batch=resources.batch_size,
        precision=scoring.precision,
        cache=resources.store / "engines",
    )
    with ThreadPoolExecutor(resources.threads or available_threads()) as pool:
        # what takes longest begins first, and is not what the others wait for at the end
        largest = sorted(range(len(opened)), key=lambda n: -pixels_of(opened[n].inside))
        begun = {n: pool.submit(start, opened[n].member, opened[n].inside) for n in largest}
        started = [begun[n].result() for n in range(len(opened))]
    warn_of_cpu(scoring, started, progress)
    return [replace(r, views=each.views) for r, each in zip(started, opened, strict=True)]


def open_all(
    recipe: Recipe,
    progress: Progress,
    *,
    exits: bool = False,
    fold: int | None = None,
    pixels: bool = False,
) -> list[Opened]:
    """Open the members and check all that can be checked without a session.

    With a `fold` only its members are returned; where views are kept apart each once a view. Who
    gives `pixels` has cut out the boxes, where members were trained on some.

    Raises:
        EnsembleError: as for `start_members`.
    """
    inputs, scoring, resources = recipe.inputs, recipe.scoring, recipe.resources
    check_wheels(installed(WHEELS))
    check_writable(resources.store, "--store")
    # what the cards alone can refuse comes before the sessions, which take seconds each
    told = read_policies(scoring.tta)
    check_jitters(told, cropped=pixels or inputs.crops is not None)
    paths = expand(local_members(inputs.members, resources.store), ".onnx", "member")
    members = open_members(paths, inputs.head, progress, inputs.label_map)
    if inputs.policy is not None:
        run = inputs.policy.runs({member.card.name: member.identity for member in members})
        members = [member for member in members if member.card.name in run]
    hashes = hashes_of(member.identity for member in members)
    if not pixels:
        members = with_crops(members, inputs.crop, cropped=inputs.crops is not None)
    check_weights(recipe.fusion, head_of(inputs, members[0].card.heads), hashes, inputs.label_map)
    policies = policies_of(told, hashes)
    _warn_of_views(recipe, policies, progress)
    members = [m for m in members if fold in (None, m.card.fold)]
    if scoring.keep_views:
        apart = [(member, (view,)) for member in members for view in policies[member.card.family]]
        return [Opened(member, view, shape_views(member, view)) for member, view in apart]
    shaped = [shape_views(member, policies[member.card.family]) for member in members]
    inside = graph_views(scoring.merge, shaped, members) if exits else shaped
    return [
        Opened(member, policies[member.card.family], own)
        for member, own in zip(members, inside, strict=True)
    ]


def _warn_of_views(recipe: Recipe, policies: Mapping[str, Views], progress: Progress) -> None:
    """Say that weights were tuned under other views than those of a run."""
    if recipe.fusion.weights is not None:
        here = {f: merged_as(views, recipe.scoring.merge) for f, views in policies.items()}
        if told := fits.other_views(recipe.fusion.weights, here):
            progress.warn(told)


def warn_of_cpu(scoring: Scoring, started: Sequence[ReadyMember], progress: Progress) -> None:
    """Say what runs on the CPU that might not, and why."""
    there = [ready for ready in started if ready.scorer.provider == CPU]
    if there and scoring.device == "auto":
        names = few([ready.member.card.name for ready in there])
        who = "" if len(there) == len(started) else f"{names}: "
        why = there[0].scorer.why_cpu or "no machine of the cluster offers a GPU"
        progress.warn(f"{who}running on the CPU: {why}")
    if there and scoring.precision == "fp16":
        progress.warn("float16 is slower than float32 on the CPU: it pays on a GPU only")


def head_of(inputs: Inputs, heads: Sequence[Head]) -> Head:
    """Return the head that is voted on: of the heads of a member, or that of the labels of a map.

    Raises:
        MemberError: the member has no such head, or several and none was named.
    """
    if inputs.label_map is not None:
        return joint_head(inputs.label_map)
    return head_named(heads, inputs.head, "the first member")


def check_weights(
    fusion: Fusion,
    head: Head,
    members: Mapping[str, Sequence[str]],
    label_map: LabelMap | None = None,
) -> None:
    """Check weights and constraints against the head and the members' hashes, before any work.

    Raises:
        UsageError: they are for something else.
    """
    vote.check_vote(fusion.voting, fusion.weights, head.task)
    if fusion.weights is not None or label_map is not None:
        fits.check_label_map(fusion.weights, label_map)
    check_constraints(fusion.constraints, head.task, head.classes)
    if fusion.weights is not None:
        fits.check_fits(fusion.weights, head.classes, members)
