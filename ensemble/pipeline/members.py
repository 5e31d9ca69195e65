"""Members looked at, and cards written beside foreign ones: `ensemble inspect`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ensemble.errors import MemberError, UsageError
from ensemble.export.names import family_and_fold
from ensemble.export.spec import ExportSpec, PreprocessFlags, activation_told, task_of
from ensemble.files.paths import expand
from ensemble.members.card import ACTIVATIONS, Card, make_card
from ensemble.members.member import open_member, write_sidecar
from ensemble.members.together import check_every_head, note_of_single_folds

_NEEDED = ("height", "width", "mean", "std")


@dataclass(frozen=True, slots=True)
class Inspected:
    """The cards of members, the sidecars that were written, and why they cannot vote together.

    `fault` is None where they can. `note` says where families look like folds whose names were
    misread.
    """

    cards: dict[Path, Card]
    written: tuple[Path, ...] = ()
    fault: MemberError | None = None
    note: str | None = None

    def refuse(self) -> None:
        """Raise the fault, if there is one.

        Raises:
            MemberError: the members cannot vote together.
        """
        if self.fault is not None:
            raise self.fault


def inspect(
    members: Sequence[str], spec: ExportSpec | None = None, output_name: str | None = None
) -> Inspected:
    """Open members, having written a card beside each where a spec describes them.

    Args:
        members: Files, folders, glob patterns or @lists of .onnx members.
        spec: What a card beside each foreign .onnx is to say; None writes none.
        output_name: The output of the .onnx that the one head reads; None is the head's name.

    Raises:
        MemberError: a member cannot be opened, or a card does not fit it.
        UsageError: nothing is named, or the spec does not say enough.
        StoreError: the disk refused a card.
    """
    if spec is None and output_name is not None:
        raise UsageError("--output-name: only --write-card writes what it says; add it")
    paths = expand(members, ".onnx", "member")
    cards = [(path, foreign_card(path, spec, output_name)) for path in paths] if spec else []
    written = tuple(write_sidecar(path, card) for path, card in cards)
    opened = [open_member(path) for path in paths]
    found = {member.path: member.card for member in opened}
    try:
        check_every_head(opened)
    except MemberError as fault:
        return Inspected(found, written, fault)
    return Inspected(found, written, note=note_of_single_folds(list(found.values())))


def foreign_card(path: Path, spec: ExportSpec, output_name: str | None = None) -> Card:
    """Return the card of a foreign .onnx, as a spec describes it.

    Raises:
        UsageError: the spec lacks a size, a mean or a std, or says what is of checkpoints only.
        MemberError: a field is not what it should be.
    """
    _check_spec(spec, output_name)
    family, fold = family_and_fold(path)
    family, fold = spec.family or family, fold if spec.fold is None else spec.fold
    if not family:
        raise UsageError(f"{path}: its name tells no family; give --family")
    record = {
        "name": family if fold is None else f"{family}-f{fold}",
        "family": family,
        "fold": fold,
        "arch": spec.arch,
        "preprocess": _pixels(spec.preprocess),
        "heads": _heads(spec, output_name),
        "dynamic_size": spec.dynamic_size,
    }
    return make_card(record, str(path))


def _check_spec(spec: ExportSpec, output_name: str | None) -> None:
    if missing := [f"--{name}" for name in _NEEDED if not getattr(spec.preprocess, name)]:
        raise UsageError(f"--write-card needs {', '.join(missing)}")
    if spec.ema or spec.key or spec.drop or spec.args or spec.trust_pickle:
        raise UsageError(
            "--write-card: ema, key, drop, args and trust_pickle are of checkpoints; leave them out"
        )
    if len(spec.heads) > 1 and output_name:
        raise UsageError("--output-name goes with one head; several heads are named as outputs")


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
    }


def _heads(spec: ExportSpec, output_name: str | None) -> list[dict[str, object]]:
    return [
        {
            "name": head.name,
            "output": output_name or head.name,
            "task": task_of(spec, head),
            "activation": activation_told(spec, head) or ACTIVATIONS[task_of(spec, head)],
            "classes": head.classes,
        }
        for head in spec.heads
    ]
