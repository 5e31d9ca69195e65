"""The Python API of what computes: the commands' work, with arguments named as their flags."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from ensemble.early_exit import verify as audit
from ensemble.early_exit.verify import Audit
from ensemble.errors import UsageError, few
from ensemble.evaluation.labels import given_truth
from ensemble.pipeline import run as pipeline
from ensemble.predictions.table import Oof, checked, folds_of, join
from ensemble.progress import Progress, Quiet
from ensemble.recipe.settings import Recipe
from ensemble.records import (
    DecodePolicy,
    IdFrom,
    LabelsAs,
    Merge,
    OnNan,
    Output,
    Precision,
    Task,
    Voting,
)
from ensemble.submission import ledger
from ensemble.submission.publish import Submission
from ensemble.voting import weights as weighing
from ensemble.voting.weights import Polish, Pool, Weights

if TYPE_CHECKING:
    import pandas as pd

    from ensemble.export.nets import ExportSpec
    from ensemble.export.to_onnx import Exported
    from ensemble.pipeline.quantize import Quantized

Value = TypeVar("Value")
Given = Weights | Mapping[str, float] | str | Path | None
Paths = str | Path | Iterable[str | Path]


def run(
    members: Paths,
    images: Paths = "images",
    *,
    tta: str = "none",
    merge: Merge = "mean",
    voting: Voting = "soft",
    weights: Given = None,
    sample: str | Path | None = None,
    output: Output = "auto",
    out: str | Path | None = None,
    head: str | None = None,
    id_from: IdFrom = "stem",
    labels_as: LabelsAs = "auto",
    decode: DecodePolicy | None = None,
    on_nan: OnNan = "fail",
    fill: str | float | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int | Literal["auto"] = "auto",
    shard_size: int = 0,
    memory: str = "1G",
    threads: int = 0,
    store: str | Path = ".ensemble",
    force: bool = False,
    early_exit: str = "off",
    confidence: str = "95%",
    calibration: int = 0,
    time_budget: str | None = None,
    evals_per_image: float | None = None,
    progress: Progress | None = None,
) -> Submission:
    """Score images with members and write a submission; `ensemble run` in Python.

    Args:
        members: Files, folders, glob patterns or @lists of .onnx members.
        images: Folders, files, glob patterns, or a CSV with an id or path column.
        tta: A preset such as "flip", or "pkg.mod:name" of a ttach.Compose.
        merge: How the views of a member become one: mean, gmean, max, min, tsharpen, logits.
        voting: "soft", "hard" or "geometric".
        weights: By family, or a weights.json, or "family=0.6,other=0.4"; None weighs alike.
        sample: A sample submission: ids, order, columns.
        output: "labels" or "probs"; "binary" is 0 and 1 for each label of a multilabel head;
            "auto" is what the sample asks for, else labels.
        out: The folder to write; without one `submissions/<time and recipe>`.
        head: The head to predict, where members carry several.
        id_from: What an image's id is: its stem, name or relative path.
        labels_as: How labels are written: as class "index", by "name", or as the sample does.
        decode: How files become pixels.
        on_nan: What to do about a member that gives NaN: "fail" or "drop-member".
        fill: For quarantined images: a label, or a number for every probability.
        device: "auto", "cpu", "cuda" or "tensorrt"; a GPU by its number: "cuda:1".
        precision: "fp32" or "fp16", what members compute in.
        batch_size: Images a forward; "auto" tries a few sizes first, where that pays.
        shard_size: Images a commit; 0 lets memory decide.
        memory: For decoded pixels, such as "2G"; a net's own memory is not in it.
        threads: 0 takes the processors this process may use.
        store: Where predictions are kept.
        force: Replace another run in `out`.
        early_exit: "off", "lossless", or the share of labels that may differ, such as "0.5%".
        confidence: How certain the certificate of such a share is.
        calibration: Random images that get every evaluation; 0: as few as will do.
        time_budget: The time that the run may take, such as "2h30m".
        evals_per_image: A budget of evaluations for an image, on average.
        progress: Told how far the run is.

    Returns:
        The submission: ids, labels, probabilities, and where it was written.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    recipe = Recipe(
        members=_texts(members),
        images=_texts(images),
        tta=tta,
        merge=merge,
        voting=voting,
        weights=_weights(weights),
        sample=_path(sample),
        output=output,
        out=_path(out),
        head=head,
        id_from=id_from,
        labels_as=labels_as,
        decode=decode or DecodePolicy(),
        on_nan=on_nan,
        fill=None if fill is None else str(fill),
        device=device,
        precision=precision,
        batch_size=batch_size,
        shard_size=shard_size,
        memory=memory,
        threads=threads,
        store=Path(store),
        force=force,
        early_exit=early_exit,
        confidence=confidence,
        calibration=calibration,
        time_budget=time_budget,
        evals_per_image=evals_per_image,
    )
    return pipeline.run(recipe, progress)


def vote(
    run_folder: str | Path | None = None,
    *,
    predictions: "Oof | Mapping[str, pd.DataFrame] | None" = None,
    members: Paths | None = None,
    images: Paths | None = None,
    tta: str | None = None,
    merge: Merge | None = None,
    id_from: IdFrom | None = None,
    decode: DecodePolicy | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    voting: Voting | None = None,
    weights: Given = None,
    sample: str | Path | None = None,
    output: Output | None = None,
    out: str | Path | None = None,
    head: str | None = None,
    labels_as: LabelsAs | None = None,
    fill: str | float | None = None,
    store: str | Path | None = None,
    force: bool = False,
) -> Submission:
    """Vote on predictions that are there; `ensemble vote` in Python.

    `run_folder` is where an earlier run wrote: what is None is as it was in that run; the weights
    "uniform" weigh families alike. In its place stand `predictions`, what `oof.read` gave, or a
    frame for each family, with ids in the index, and a column a class; or `members`, with
    `images`, `tta` and what else names the predictions of a run in the store. For the other
    arguments see `run`, which computes nothing again for the same members, images and views.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    if sum(given is not None for given in (run_folder, predictions, members)) != 1:
        raise UsageError("vote takes a run's folder, predictions or members: one of them")
    named = {"images": images, "tta": tta, "merge": merge, "id_from": id_from, "decode": decode,
             "device": device, "precision": precision}  # fmt: skip
    beside = [name for name, value in named.items() if value is not None]
    if members is None and beside:
        raise UsageError(f"{', '.join(beside)}: only members leave it open; leave it out")
    recipe = Recipe(
        members=_texts(members or ()),
        images=_texts(images or "images"),
        tta=tta or "none",
        merge=merge or "mean",
        id_from=id_from or "stem",
        decode=decode or DecodePolicy(),
        device=device or "auto",
        precision=precision or "fp32",
        voting=voting or "soft",
        weights=_weights(weights),
        sample=_path(sample),
        output=output or "auto",
        out=_path(out),
        head=head,
        labels_as=labels_as or "auto",
        fill=None if fill is None else str(fill),
        store=Path(store or ".ensemble"),
        force=force,
    )
    if predictions is not None:
        return pipeline.vote_predictions(recipe, _oof(predictions))
    told = {"voting": voting, "weights": weights, "sample": sample, "output": output,
            "labels_as": labels_as, "store": store}  # fmt: skip
    given = [name for name, value in told.items() if value is not None]
    return pipeline.vote(recipe, _path(run_folder), given=given)


def verify_exit(run: str | Path | Submission, store: str | Path | None = None) -> Audit:
    """Replay the exits of a run, or of its folder, from what it stored; `ensemble verify-exit`.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    folder = run.folder if isinstance(run, Submission) else Path(run)
    return audit.verify_exit(folder, _path(store))


def record_public(run_folder: str | Path, public: float) -> dict[str, str]:
    """Record what the leaderboard said of a run; `ensemble score --public` in Python.

    Args:
        run_folder: Where the run wrote; its line stands in the `ledger.csv` beside that folder.
        public: The score.

    Returns:
        The line as it was before.

    Raises:
        UsageError: the number is not finite, or the ledger has no line of this submission.
        StoreError: the disk refused.
    """
    return ledger.record_public(Path(run_folder), public)


def predict_oof(
    members: Paths,
    images: Paths,
    folds: str | Path,
    *,
    tta: str = "none",
    merge: Merge = "mean",
    head: str | None = None,
    id_from: IdFrom = "stem",
    decode: DecodePolicy | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int | Literal["auto"] = "auto",
    shard_size: int = 0,
    memory: str = "1G",
    threads: int = 0,
    store: str | Path = ".ensemble",
    progress: Progress | None = None,
) -> Oof:
    """Predict training images by the members that did not see them; `ensemble oof` in Python.

    Args:
        members: As for `run`; each has a fold in its card.
        images: As for `run`.
        folds: A CSV with the columns `id` and `fold`.
        tta: As for `run`, and so are all below.
        merge: How views become one.
        head: The head to predict.
        id_from: What an image's id is.
        decode: How files become pixels.
        device: Where members run.
        precision: What members compute in.
        batch_size: Images a forward.
        shard_size: Images a commit.
        memory: For decoded pixels.
        threads: How many.
        store: Where predictions are kept.
        progress: Told how far it is.

    Returns:
        The predictions of every image that could be read; `quarantined` has the others.
        `oof.write` saves them.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.pipeline import oof as outoffold

    recipe = Recipe(
        members=_texts(members),
        images=_texts(images),
        tta=tta,
        merge=merge,
        head=head,
        id_from=id_from,
        decode=decode or DecodePolicy(),
        device=device,
        precision=precision,
        batch_size=batch_size,
        shard_size=shard_size,
        memory=memory,
        threads=threads,
        store=Path(store),
    )
    return outoffold.predict_oof(recipe, Path(folds), progress)


def tune_weights(
    oof: "Oof | Mapping[str, pd.DataFrame]",
    labels: "Mapping[str, str] | pd.Series[Any] | pd.DataFrame",
    *,
    metric: str,
    folds: "Mapping[str, int] | pd.Series[Any] | None" = None,
    groups: "Mapping[str, str] | pd.Series[Any] | None" = None,
    pool: Pool | None = None,
    polish: Polish = "auto",
    holdout: "Oof | Mapping[str, pd.DataFrame] | None" = None,
    holdout_labels: "Mapping[str, str] | pd.Series[Any] | None" = None,
    task: Task | None = None,
    progress: Progress | None = None,
) -> Weights:
    """Find blend weights and what they are worth; `ensemble tune-weights` in Python.

    Args:
        oof: What `predict_oof` or `oof.read` gave, or a frame for each family: ids in the index,
            a column a class, as `task` has it.
        labels: The class of each id, or the value of a single target; or a frame with ids in the
            index and a column a class, 0 or 1 (multilabel) or values (regression).
        metric: A metric by name, or "pkg.mod:fn".
        folds: The fold of each id, where `oof` does not say.
        groups: The group of each id: rows that belong together.
        pool: "linear", "log-linear" or "rank"; None for the metric's default.
        polish: Whether to chase the metric itself: "auto", "always" or "off".
        holdout: As `oof`, of rows outside all folds, each family the mean of its folds: the
            temperature is fitted on them.
        holdout_labels: The class of each of these rows; None takes it from `labels`.
        task: What the frames hold: "classification" (rows that sum to 1), "multilabel" or
            "regression"; None for what `oof` says, and for classification.
        progress: Told of what makes the answer weak.

    Returns:
        The weights, ready for `run` and `vote`; `evidence` holds the report.

    Raises:
        UsageError: predictions, labels, folds or groups do not fit together.
    """
    from ensemble.tuning import checks as gate
    from ensemble.tuning import weigh as blending

    if holdout is None and holdout_labels is not None:
        raise UsageError("holdout_labels are of the rows of holdout; give both")
    joined = _oof(oof, task or "classification")
    if task not in (None, joined.task):
        raise UsageError(f"the predictions are {joined.task}, not {task}")
    if folds is not None:
        placed = _by_id(folds, "folds")
        joined = replace(joined, folds=folds_of(joined.ids, placed, "folds"))
    y = given_truth(_rows(labels, joined.classes), joined)
    order = blending.TuneOrder((), Path(), metric, pool=pool, polish=polish)
    numbers = None
    if groups is not None:
        texts = {name: str(group) for name, group in _by_id(groups, "groups").items()}
        numbers = gate.groups_of(joined.ids, texts, joined.folds)
    weights = blending.weigh(joined, y, order, numbers, progress or Quiet())
    if holdout is None:
        return weights
    held = _oof(holdout, joined.task)
    given = labels if holdout_labels is None else holdout_labels
    truth = given_truth(_rows(given, held.classes), held)
    return blending.calibrate(weights, held, truth, joined.ids)


def export_members(
    checkpoints: Paths, spec: "ExportSpec", out: str | Path, *, force: bool = False
) -> list["Exported"]:
    """Export checkpoints to members; `ensemble export` in Python. Needs the extra `export`.

    Args:
        checkpoints: The checkpoint files.
        spec: The architecture, the heads, and what is not to be taken from timm's data config.
        out: The folder to write to.
        force: Replace members that are there.

    Returns:
        For each checkpoint its member's path and card, and how far it differs from torch.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.export import to_onnx as export

    paths = [Path(p) for p in _texts(checkpoints)]
    return list(export.export_members(paths, spec, Path(out), force=force))


def quantize_members(
    members: Paths,
    images: Paths,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    label_column: str = "label",
    head: str | None = None,
    calibration: int = 256,
    max_disagreement: float = 0.005,
    id_from: IdFrom = "stem",
    decode: DecodePolicy | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> "list[Quantized]":
    """Make int8 members for the CPU; `ensemble quantize` in Python.

    Args:
        members: As for `run`; float32 members of classes or labels.
        images: Images like those that will be predicted: some calibrate, the others judge.
        out: The folder to write to.
        labels: A CSV with an id column and the labels of the images, to state accuracies.
        label_column: The column of the labels.
        head: The head that the labels are of, where members carry several.
        calibration: Images that calibrate, at most half of them.
        max_disagreement: The share of the judging images, 0 to 1, whose label may change.
        id_from: As for `run`.
        decode: As for `run`.
        force: Replace members that are there.
        progress: Told how far it is.

    Returns:
        For each member the path and card of the int8 member, and how the two compare.

    Raises:
        MemberError: a member cannot be quantised, or too many labels change; nothing is written.
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.pipeline import quantize as quantizing

    order = quantizing.QuantizeOrder(
        members=_texts(members),
        images=_texts(images),
        labels=_path(labels),
        label_column=label_column,
        head=head,
        calibration=calibration,
        max_disagreement=max_disagreement,
        id_from=id_from,
        decode=decode or DecodePolicy(),
        force=force,
    )
    return quantizing.quantize_members(order, Path(out), progress)


def _rows(
    labels: "Mapping[str, str] | pd.Series[Any] | pd.DataFrame", classes: tuple[str, ...]
) -> dict[str, tuple[object, ...]]:
    """Return labels by id, the columns of a frame in the order of the classes."""
    import pandas as pd

    if not isinstance(labels, pd.DataFrame):
        return {name: (label,) for name, label in _by_id(labels, "labels").items()}
    frame = labels.rename(columns=str)
    if sorted(frame.columns) != sorted(classes):
        raise UsageError(
            f"labels have the columns {few(list(frame.columns))}; the classes are {few(classes)}"
        )
    rows = frame[list(classes)].itertuples(index=False, name=None)
    return _without_twins(zip(map(str, frame.index), rows, strict=True), "labels")


def _by_id(given: "Mapping[str, Value] | pd.Series[Any]", what: str) -> dict[str, Value]:
    return _without_twins(((str(name), value) for name, value in given.items()), what)


def _without_twins(pairs: Iterable[tuple[str, Value]], what: str) -> dict[str, Value]:
    """Return values by id, and refuse an id that stands there twice."""
    found: dict[str, Value] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"{what}: id {name!r} stands there twice")
        found[name] = value
    return found


def _oof(given: "Oof | Mapping[str, pd.DataFrame]", task: Task = "classification") -> Oof:
    """Return predictions as they are, or join frames, having checked each."""
    if isinstance(given, Oof):
        return given
    frames, parts = given, []
    for name, frame in frames.items():
        ids, classes = map(str, frame.index), map(str, frame.columns)
        probs = frame.to_numpy(np.float64)
        parts.append(
            checked(f"family {name!r}", Oof(tuple(ids), tuple(classes), {name: probs}, task=task))
        )
    return join(parts)


def _texts(paths: Paths) -> tuple[str, ...]:
    return (str(paths),) if isinstance(paths, str | Path) else tuple(str(p) for p in paths)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def _weights(given: Given) -> Weights | None:
    if given is None or given == "uniform":
        return None
    if isinstance(given, Weights):
        return given
    return Weights(dict(given)) if isinstance(given, Mapping) else weighing.from_text(str(given))
