"""Exporting: a checkpoint becomes a member, an .onnx file with its card inside.

An export is done when the outputs agree: the same images go through torch and ONNX Runtime, at
batches of 1, 2 and 5, and nothing is written unless they match.
"""

import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ensemble.errors import UsageError, few
from ensemble.export.exporters import EXPORTERS, INPUT
from ensemble.export.loaded_net import LoadedNet, load_net
from ensemble.export.names import family_and_fold
from ensemble.export.proof import Proof, Proven
from ensemble.export.spec import ExportSpec, HeadSpec, activation_told, task_of
from ensemble.files.atomic import publish, publish_bytes, sha256_file
from ensemble.files.paths import is_file_name
from ensemble.members import card_json as cards
from ensemble.members.card import ACTIVATIONS, Card, Head
from ensemble.members.member import embed_card
from ensemble.members.operators import check_last_step, with_activations
from ensemble.records import MAX_CHANNELS, TASKS


@dataclass(frozen=True, slots=True)
class Exported:
    """A member that was written: the prefix its weights had, and how far the outputs differ.

    `notes` is what the user should know of how its weights were found and the net exported.
    """

    path: Path
    card: Card
    stripped: str
    max_abs_diff: float
    notes: tuple[str, ...] = ()


def export_members(
    checkpoints: Sequence[Path], spec: ExportSpec, folder: Path, *, force: bool = False
) -> Iterator[Exported]:
    """Export checkpoints to `folder/<family>-f<fold>.onnx`, each proven against torch.

    A member that is there is replaced with `force` only. Yields each as it is written.

    Raises:
        UsageError: as `export_member`, two checkpoints would become one file, or a member is
            there already; then nothing is written.
        MemberError: as `export_member`.
        StoreError: as `export_member`.
    """
    taken: dict[str, Path] = {}
    for path in checkpoints:
        name = member_name(*identity_of(path, spec))
        if name in taken:
            raise UsageError(
                f"{taken[name]} and {path} would both become {name}.onnx: give each its fold in "
                f"its file name (such as {name}-f0.pt), or export them apart with --family and "
                f"--fold"
            )
        taken[name] = path
    check_absent(taken, folder, force=force)
    return (export_member(path, spec, folder) for path in checkpoints)


def check_absent(names: Collection[str], folder: Path, *, force: bool) -> None:
    """Check that no member of these names is in a folder, unless they are to be replaced.

    Raises:
        UsageError: one is; names it.
    """
    there = [str(path) for name in names if (path := folder / f"{name}.onnx").exists()]
    if there and not force:
        raise UsageError(
            f"{few(there)}: there already; say --force to replace, or name another --out"
        )


def export_member(checkpoint: Path, spec: ExportSpec, folder: Path) -> Exported:
    """Export a checkpoint to `folder/<family>-f<fold>.onnx`, proven against torch.

    Raises:
        UsageError: the architecture, the heads or the flags are wrong or incomplete.
        MemberError: the checkpoint is not usable, does not fit the net, or the net cannot be
            exported so that its outputs agree. No file is written.
        StoreError: the disk refused the member.
    """
    check_heads(spec)
    identity = identity_of(checkpoint, spec)
    return write_member(load_net(checkpoint, spec), spec, folder, identity)


def write_member(
    loaded: LoadedNet,
    spec: ExportSpec,
    folder: Path,
    identity: tuple[str, int | None],
    *,
    judge: Callable[[Card], Mapping[str, str | float]] | None = None,
) -> Exported:
    """Write a net to `folder/<family>-f<fold>.onnx`, proven against torch.

    Args:
        loaded: The net.
        spec: What it was built from.
        folder: Where the member goes.
        identity: Its family and fold.
        judge: Called once it is proven, with its card; what it returns is added to the `source`.

    Raises:
        MemberError: as `export_member`, or what `judge` raises. No file is written.
        StoreError: the disk refused the member.
    """
    family, fold = identity
    name = member_name(family, fold)
    heads, size = _heads(spec), spec.dynamic_size
    card = Card(
        name, family, fold, spec.arch, loaded.preprocess, heads, size, loaded.source, spec.batch
    )
    cards.from_json(cards.to_json(card), str(loaded.checkpoint))
    with tempfile.TemporaryDirectory(prefix="ensemble-") as staging:
        proof = Proof(loaded.checkpoint, card, loaded.net, Path(staging))
        proof.check_net()
        proven = proof.proven(f"{name}.onnx")
        card = replace(card, heads=_unless_told(spec, heads, with_activations(heads, proven.model)))
        check_last_step(proven.model, card, loaded.checkpoint)
        if judge is not None:
            card = replace(card, source={**card.source, **judge(card)})
        card = _write(proven, card, folder / f"{name}.onnx")
    notes = (*loaded.notes, *proven.notes)
    return Exported(folder / f"{name}.onnx", card, loaded.stripped, proven.difference, notes)


def _write(proven: Proven, card: Card, target: Path) -> Card:
    """Embed the card, with what the proof found, and publish the member."""
    source = {**card.source, "max_abs_diff": proven.difference}
    source |= {"exporter": proven.exporter} if proven.exporter != EXPORTERS[0] else {}
    if proven.data is not None:
        source[f"sha256:{proven.data.name}"] = sha256_file(proven.data)
        publish(target.with_name(proven.data.name), partial(shutil.copyfile, proven.data))
    card = replace(card, source=source)
    embed_card(proven.model, card)
    publish_bytes(target, proven.model.SerializeToString())
    return card


def identity_of(path: Path, spec: ExportSpec) -> tuple[str, int | None]:
    """Return the family and the fold that a checkpoint's member has: as told, or by its name.

    Raises:
        UsageError: the name holds several folds, or the family can be no file's name.
    """
    told = spec.family is not None and spec.fold is not None
    family, fold = ("", None) if told else family_and_fold(path)
    family = spec.family or family or spec.arch.rpartition(":")[2]
    fold = fold if spec.fold is None else spec.fold
    if not is_file_name(family):
        raise UsageError(f"family {family!r}: it names a file, so give --family without / or \\")
    return family, fold


def member_name(family: str, fold: int | None) -> str:
    """Name the member of a family and a fold."""
    return family if fold is None else f"{family}-f{fold}"


def check_heads(spec: ExportSpec) -> None:
    """Check what is said of the heads and the channels.

    Raises:
        UsageError: names that are no good, an activation that does not suit, or boxes.
    """
    names = [head.name for head in spec.heads]
    if not names or len(set(names)) < len(names) or INPUT in names or "" in names:
        raise UsageError(f"heads {names}: expected different names, none of them {INPUT!r}")
    for head in spec.heads:
        _check_voted(spec, head)
        _check_activation(spec, head)
    if not 1 <= spec.in_chans <= MAX_CHANNELS:
        raise UsageError(
            f"in_chans {spec.in_chans}: expected 3 (RGB), 1 (grey), or 2 to {MAX_CHANNELS} bands"
        )


def _check_voted(spec: ExportSpec, head: HeadSpec) -> None:
    if task_of(spec, head) == "boxes":
        raise UsageError(
            f"head {head.name!r} gives boxes: a detector is not exported here. Export it to ONNX "
            f"with its suppression of doubles inside, and describe it by `ensemble inspect "
            f"--write-card --task boxes`"
        )


def _check_activation(spec: ExportSpec, head: HeadSpec) -> None:
    task, told = task_of(spec, head), activation_told(spec, head)
    if told is None or told in TASKS[task].activations:
        return
    usual = ACTIVATIONS[task]
    several = f"; --activation {head.name}={usual} says it of this head" * (len(spec.heads) > 1)
    raise UsageError(f"activation {told} does not suit {task}: give {usual}{several}")


def _heads(spec: ExportSpec) -> tuple[Head, ...]:
    return tuple(
        Head(
            h.name,
            h.name,
            task,
            activation_told(spec, h) or ACTIVATIONS[task],
            h.classes,
            ordinal=h.ordinal,
        )
        for h, task in ((h, task_of(spec, h)) for h in spec.heads)
    )


def _unless_told(
    spec: ExportSpec, heads: Sequence[Head], found: Sequence[Head]
) -> tuple[Head, ...]:
    """Take each head as the graph tells it, but where the user says its activation."""
    return tuple(
        head if activation_told(spec, said) else left
        for said, head, left in zip(spec.heads, heads, found, strict=True)
    )
