"""Members looked at, and cards written beside foreign ones: `ensemble inspect`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ensemble.errors import MemberError, UsageError, few
from ensemble.export.names import family_and_fold
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags, activation_told, task_of
from ensemble.files.paths import expand, is_remote
from ensemble.label_map import LabelMap
from ensemble.members.card import Card
from ensemble.members.card_json import make_card
from ensemble.members.detector import box_output_of
from ensemble.members.fetched import local_members
from ensemble.members.layout import layout_of
from ensemble.members.member import Member, open_member, read_graph, write_sidecar
from ensemble.members.operators import activation_of
from ensemble.members.together import (
    answers_by_task,
    check_every_head,
    check_tasks,
    note_of_single_folds,
)
from ensemble.recipe.settings import DEFAULT_STORE
from ensemble.records import BoxScale, Layout

if TYPE_CHECKING:
    from onnx import ModelProto

_NEEDED = ("height", "width", "mean", "std")

_OF_CHECKPOINTS = ("ema", "key", "drop", "args", "trust_pickle")

OutputName: TypeAlias = str | Mapping[str, str]
"""The output that the one head reads, or those of heads by their names."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """The cards of members, the sidecars that were written, and why they cannot vote together.

    `fault` is None where they can. `notes` say where families look like folds whose names were
    misread, and what a label map leaves out. `answered` has the families that answer each task of a
    label map, and its label.
    """

    cards: dict[Path, Card]
    written: tuple[Path, ...] = ()
    fault: MemberError | None = None
    notes: tuple[str, ...] = ()
    answered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def refuse(self) -> None:
        """Raise the fault, if there is one.

        Raises:
            MemberError: the members cannot vote together.
        """
        if self.fault is not None:
            raise self.fault


def inspect(
    members: Sequence[str],
    spec: ExportSpec | None = None,
    output_name: OutputName | None = None,
    *,
    layout: Layout | None = None,
    label_map: LabelMap | None = None,
    box_scale: BoxScale | None = None,
) -> Inspected:
    """Open members, having written a card beside each where a spec describes them.

    Args:
        members: Files, folders, glob patterns or @lists of .onnx members.
        spec: What a card beside each foreign .onnx is to say; None writes none.
        output_name: The output of the .onnx that the one head reads, or those of heads by name; a
            head of which nothing is said reads the output of its own name.
        layout: Where the input of each foreign .onnx has its channels; None is told by its axes.
        label_map: In place of one head, what the members are to answer together.
        box_scale: What a detector tells its boxes in; None is pixels of its input.

    Raises:
        MemberError: a member cannot be opened, or a card does not fit it.
        UsageError: nothing is named, or the spec does not say enough.
        StoreError: the disk refused a card.
    """
    if spec is None:
        _check_unsaid(output_name, layout, box_scale)
    elif remote := [str(given) for given in members if is_remote(str(given))]:
        raise UsageError(f"{few(remote)}: a card is written beside a file here; copy them first")
    paths = expand(local_members(members, DEFAULT_STORE), ".onnx", "member")
    cards = {}
    if spec is not None:
        cards = {
            path: foreign_card(path, spec, output_name, layout=layout, box_scale=box_scale)
            for path in paths
        }
    written = tuple(write_sidecar(path, card) for path, card in cards.items())
    opened = [open_member(path) for path in paths]
    found = {member.path: member.card for member in opened}
    try:
        notes = _check_agreement(opened, label_map)
    except MemberError as fault:
        return Inspected(found, written, fault)
    if note := note_of_single_folds(list(found.values())):
        notes.append(note)
    answered = {} if label_map is None else answers_by_task(list(found.values()), label_map)
    return Inspected(found, written, notes=tuple(notes), answered=answered)


def foreign_card(
    path: Path,
    spec: ExportSpec,
    output_name: OutputName | None = None,
    *,
    layout: Layout | None = None,
    box_scale: BoxScale | None = None,
) -> Card:
    """Return the card of a foreign .onnx, as a spec describes it, and its graph what that leaves.

    Raises:
        UsageError: the spec lacks a size, a mean or a std, or says what is of checkpoints only.
        MemberError: the file is no ONNX file, or a field is not what it should be.
    """
    _check_spec(spec, output_name, box_scale)
    told = spec.preprocess.to_unit_range()
    graph = read_graph(path)
    family, fold = _family_and_fold(path, spec)
    outputs = _outputs(spec, output_name)
    heads = [_head(spec, head, outputs[head.name], graph) for head in spec.heads]
    for head in heads:
        if head["task"] == "boxes":
            boxes = box_output_of(graph, outputs[str(head["name"])], box_scale or "pixels", path)
            head["boxes"] = asdict(boxes)
    record = {
        "name": family if fold is None else f"{family}-f{fold}",
        "family": family,
        "fold": fold,
        "arch": spec.arch,
        "preprocess": _pixels(told),
        "heads": heads,
        "dynamic_size": spec.dynamic_size,
        "batch": spec.batch,
        "layout": layout or layout_of(graph, len(told.mean or ())),
    }
    return make_card(record, str(path))


def _check_agreement(members: Sequence[Member], label_map: LabelMap | None) -> list[str]:
    """Check that members can vote together, on each head or by a label map; return notes."""
    if label_map is None:
        check_every_head(members)
        return []
    return check_tasks(members, label_map)


def _family_and_fold(path: Path, spec: ExportSpec) -> tuple[str, int | None]:
    """Return what the spec says of a member, and else what its name tells."""
    family, fold = family_and_fold(path)
    if not (spec.family or family):
        raise UsageError(f"{path}: its name tells no family; give --family")
    return spec.family or family, fold if spec.fold is None else spec.fold


def _check_unsaid(
    output_name: OutputName | None, layout: Layout | None, box_scale: BoxScale | None
) -> None:
    beside = {"--output-name": output_name, "--layout": layout, "--box-scale": box_scale}
    if told := [flag for flag, value in beside.items() if value is not None]:
        raise UsageError(f"{', '.join(told)}: only --write-card writes what it says; add it")


def _check_spec(
    spec: ExportSpec, output_name: OutputName | None, box_scale: BoxScale | None
) -> None:
    if missing := [f"--{name}" for name in _NEEDED if not getattr(spec.preprocess, name)]:
        raise UsageError(f"--write-card needs {', '.join(missing)}")
    if any(getattr(spec, name) for name in _OF_CHECKPOINTS):
        raise UsageError(
            "--write-card: ema, key, drop, args and trust_pickle are of checkpoints; leave them out"
        )
    _check_outputs({} if output_name is None else output_name, spec.head_names)
    if box_scale is not None and not any(task_of(spec, head) == "boxes" for head in spec.heads):
        raise UsageError("--box-scale goes with --task boxes: it says what boxes are told in")


def _check_outputs(named: OutputName, heads: Sequence[str]) -> None:
    """Check that outputs are named of heads that are there, or of the only one."""
    if isinstance(named, str):
        if len(heads) > 1:
            raise UsageError(
                f"--output-name {named!r}: of which head? Say HEAD=NAME; the heads are {few(heads)}"
            )
    elif beyond := sorted(set(named) - set(heads)):
        raise UsageError(f"--output-name: no head {few(beyond)}; the heads are {few(heads)}")


def _pixels(told: PreprocessFlags) -> dict[str, object]:
    """Return the preprocessing of a card, with the defaults of a foreign member."""
    return {
        "height": told.height,
        "width": told.width,
        "fit": told.fit or "crop",
        "crop_pct": 1.0 if told.crop_pct is None else told.crop_pct,
        "interpolation": told.interpolation or "bilinear",
        "mean": told.mean,
        "std": told.std,
        "channel_order": told.channel_order or "rgb",
        **({"crop": asdict(told.crop)} if told.crop else {}),
    }


def _outputs(spec: ExportSpec, output_name: OutputName | None) -> dict[str, str]:
    """Return the output that each head reads, by its name; of a detector the boxes."""
    if isinstance(output_name, str):
        output_name = {spec.heads[0].name: output_name}
    usual = {h.name: "boxes" if task_of(spec, h) == "boxes" else h.name for h in spec.heads}
    return usual | dict(output_name or {})


def _head(spec: ExportSpec, head: HeadSpec, output: str, graph: "ModelProto") -> dict[str, object]:
    task = task_of(spec, head)
    return {
        "name": head.name,
        "output": output,
        "task": task,
        "activation": activation_told(spec, head) or activation_of(graph, output, task),
        "classes": head.classes,
        **({"ordinal": head.ordinal} if head.ordinal else {}),
    }
