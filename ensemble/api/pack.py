"""An ensemble packed into one file, in Python."""

from pathlib import Path

from ensemble import progress_bar
from ensemble.api.arguments import (
    ConstraintsGiven,
    Paths,
    TasksGiven,
    TtaGiven,
    WeightsGiven,
    constraints_of,
    path_of,
    policy_of,
    texts_of,
    weights_of,
)
from ensemble.api.tables import TableGiven, label_map_of
from ensemble.pipeline import pack as pipeline
from ensemble.pipeline.pack import PackedFile
from ensemble.recipe.policy import Policy
from ensemble.recipe.settings import Settings
from ensemble.recipe.sources import tasks_text, tta_text
from ensemble.records import Merge, Voting


def pack(
    members: Paths,
    out: str | Path = "model.onnx",
    *,
    tta: TtaGiven = "none",
    merge: Merge = "mean",
    voting: Voting = "soft",
    weights: WeightsGiven = None,
    policy: Policy | str | Path | None = None,
    constraints: ConstraintsGiven = (),
    head: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    triton: str | Path | None = None,
    store: str | Path = ".ensemble",
    force: bool = False,
    progress: progress_bar.Given = "auto",
) -> PackedFile:
    """Pack an ensemble into one ONNX file; `ensemble pack` in Python.

    Args:
        members: As for `run`, and so are the next nine.
        out: The .onnx file to write; what it says of itself goes beside it as .json, and weights
            beyond 2 GB as .data.
        tta: The views, or those of each family.
        merge: How the views of a member become one.
        voting: How members become one prediction.
        weights: By family.
        policy: What `choose` gave.
        constraints: Equations that the values of a regression are to fulfil.
        head: The head, where members carry several.
        label_map: The labels that members answer together.
        tasks: What is declared of its tasks.
        triton: The model repository of Triton to put it into, under the name of the file.
        store: Where members from afar are kept.
        force: Replace what is there.
        progress: Told how many members have given their part to the proof; see `run`.

    Returns:
        Where the file lies, what it says of itself, and how far it was from the vote at most.

    Raises:
        MemberError: members that do not go into one file, or the file does not give what the vote
            does; nothing is written.
        EnsembleError: see `ensemble.errors`.
    """
    settings = Settings(
        members=texts_of(members, "members"),
        images=(),
        tta=tta_text(tta),
        merge=merge,
        voting=voting,
        weights=weights_of(weights),
        policy=policy_of(policy),
        constraints=constraints_of(constraints),
        head=head,
        label_map=label_map_of(label_map),
        tasks=tasks_text(tasks),
        store=Path(store),
        device="cpu",
    )
    with progress_bar.shown(progress) as told:
        return pipeline.pack(settings, Path(out), told, triton=path_of(triton), force=force)
