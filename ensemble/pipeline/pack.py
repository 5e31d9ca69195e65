"""An ensemble packed into one file: composed, proven against the vote, and then published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ensemble.errors import few
from ensemble.export.pack.about import record_of
from ensemble.export.pack.files import check_target, publish_staged, record_beside, staged
from ensemble.export.pack.graph import packed_graph
from ensemble.export.pack.joined import PackedMember
from ensemble.export.pack.triton import check_repository, write_repository
from ensemble.export.pack.vote import VoteRule
from ensemble.files.atomic import check_writable
from ensemble.inference.start import views_at_once
from ensemble.inference.start_members import head_of, open_all
from ensemble.pipeline.pack_proof import prove_packed
from ensemble.progress import Progress, Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings


@dataclass(frozen=True, slots=True, repr=False)
class PackedFile:
    """A packed ensemble that was written.

    `record` is what the file says of itself, which lies beside it as JSON too; `members` are those
    in it, and `left_out` those that weigh nothing. `difference` is how far it was from the vote at
    most, on images of noise. `files` are all that belong together, `triton` is the folder of the
    model in a repository.
    """

    path: Path
    record: Mapping[str, object]
    members: tuple[str, ...]
    left_out: tuple[str, ...]
    difference: float
    files: tuple[Path, ...] = field(default=())
    triton: Path | None = None

    def __repr__(self) -> str:
        return f"<PackedFile {self.path} of {few(self.members)}>"


def pack(
    settings: Settings,
    out: Path,
    progress: Progress | None = None,
    *,
    triton: Path | None = None,
    force: bool = False,
) -> PackedFile:
    """Pack an ensemble into `out`, and around it into a model repository of Triton.

    Args:
        settings: The members, their views, and how they vote.
        out: The .onnx file to write; its record goes beside it, and so does data beyond 2 GB.
        progress: Told of each member that has given its part to the proof.
        triton: The model repository, in which the model is called as the file; None for none.
        force: Replace what is there.

    Raises:
        UsageError: settings that do not go together, or files that are there already.
        MemberError: members that do not go into one file, or the file does not give what the vote
            does. Nothing is written.
        StoreError: the disk refused.
    """
    progress = progress or Quiet()
    check_target(out, force=force)
    check_writable(out.parent, "--out")
    if triton is not None:
        check_repository(triton, out.stem, force=force)
        check_writable(triton, "--triton")
    recipe = resolve(settings)
    opened = open_all(recipe, progress, pixels=True)
    members = [
        PackedMember(
            each.member, tuple(each.inside), views_at_once(each.member, each.inside, "cpu")
        )
        for each in opened
    ]
    head = head_of(recipe.inputs, members[0].member.card.heads)
    rule = VoteRule(recipe.scoring.merge, recipe.fusion, head, recipe.inputs.label_map)
    packed = packed_graph(members, rule)
    taking = tuple(each.name for each in packed.members)
    left_out = tuple(sorted({each.name for each in members} - set(taking)))
    if left_out:
        progress.warn(f"{few(left_out)}: weighs nothing in this vote, and is not in the file")
    progress.start(len(members), 1, "members")
    record = record_of(packed, rule)
    with staged(packed, record, out) as stage:
        apart = prove_packed(stage.model, packed, members, rule, progress)
        files = publish_staged(stage, out)
    model = None
    if triton is not None:
        served = [file for file in files if file != record_beside(out)]
        model = write_repository(triton, out.stem, packed.model, served)
    return PackedFile(out, record, taking, left_out, apart, files, model)
