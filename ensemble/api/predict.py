"""Runs in Python: the commands' work, with arguments named as their flags."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ensemble import progress_bar
from ensemble.api.arguments import (
    ConstraintsGiven,
    Paths,
    TasksGiven,
    TtaGiven,
    WeightsGiven,
    constraints_of,
    decode_of,
    path_of,
    policy_of,
    text_of,
    texts_of,
    weights_of,
)
from ensemble.api.tables import (
    ById,
    TableGiven,
    label_map_of,
    optional_table,
    sample_of,
    table_of,
)
from ensemble.pipeline import run as pipeline
from ensemble.predictions.kept_views import KeptTasks, KeptViews
from ensemble.predictions.table import Oof
from ensemble.predictions.tasks import TaskPredictions
from ensemble.recipe.policy import Policy
from ensemble.recipe.settings import Settings
from ensemble.recipe.sources import tasks_text, tta_text
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
)
from ensemble.submission.publish import Submission


def run(
    members: Paths,
    images: Paths = "images",
    *,
    tta: TtaGiven = "none",
    merge: Merge = "mean",
    keep_views: bool = False,
    voting: Voting = "soft",
    weights: WeightsGiven = None,
    policy: Policy | str | Path | None = None,
    constraints: ConstraintsGiven = (),
    sample: TableGiven | None = None,
    output: Output = "auto",
    out: str | Path | None = None,
    head: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    id_from: IdFrom = "stem",
    image_col: str | None = None,
    id_col: str | None = None,
    positive: str | None = None,
    form: SampleForm = "auto",
    top: int = 0,
    round: str = "auto",  # noqa: A002
    labels_as: LabelsAs = "auto",
    decode: DecodePolicy | None = None,
    crops: TableGiven | None = None,
    margin: float | None = None,
    square: bool = False,
    on_nan: OnNan = "fail",
    fill: str | float | None = None,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int | Literal["auto"] = "auto",
    shard_size: int = 0,
    memory: str = "1G",
    threads: int = 0,
    workers: int = 0,
    probe_images: int = 16,
    executor: Executor = "local",
    ray_address: str = "",
    store: str | Path = ".ensemble",
    verify_inputs: bool = False,
    force: bool = False,
    track: str | Sequence[str] = (),
    early_exit: str = "off",
    confidence: str = "95%",
    calibration: int = 0,
    time_budget: str | None = None,
    evals_per_image: float | None = None,
    progress: progress_bar.Given = "auto",
) -> Submission:
    """Score images with members and write a submission; `ensemble run` in Python.

    Args:
        members: Files, folders, glob patterns or @lists of .onnx members.
        images: Folders, files, glob patterns, a .tar, .zip or .parquet that holds images, or a CSV
            with an id or path column.
        tta: A preset such as "flip", or "pkg.mod:name" of a ttach.Compose; or one for each family,
            as a mapping or as "family=flip,other=none".
        merge: How the views of a member become one: mean, gmean, max, min, tsharpen, logits.
        keep_views: Whether to keep each view's predictions apart in the store, a key a view, and
            merge what is read.
        voting: "soft", "hard" or "geometric".
        weights: By family, or a weights.json, or "family=0.6,other=0.4"; None weighs alike.
        policy: What `choose` gave, or its file: the views and folds of each family that run, and
            their weights.
        constraints: Equations that the values of a regression are to fulfil, such as
            {"total": "a + b"}: each row is moved as little as that takes.
        sample: A sample submission, a CSV or a DataFrame: ids, order, columns.
        output: "labels" or "probs"; "binary" is 0 and 1 for each label of a multilabel head;
            "auto" is what the sample asks for, else labels.
        out: The folder to write; without one `submissions/<time and recipe>`.
        head: The head to predict, where members carry several.
        label_map: A CSV or a DataFrame with the column `label` and one a task: members answer
            tasks, and together one label.
        tasks: What is declared of the tasks, as TOML or a mapping: {"age": {"cuts": [30, 60]}}.
        id_from: What an image's id is: its stem, name or relative path.
        image_col: The column of a Parquet file that holds the images; None takes the only one of
            bytes.
        id_col: The column of the ids in tables; None takes `id`, or the one that holds the images'
            ids.
        positive: The class whose probability the one column of a sample asks for.
        form: The form of the sample, where it fits two: label, wide, tasks, melted or list.
        top: The best labels, so many in a cell; 0: as the sample has them.
        round: Whole numbers of a regression: "nearest", or cuts such as "0.5,1.5"; "off" writes
            values as they are; "auto" too, unless the sample holds whole numbers.
        labels_as: How labels are written: as class "index", by "name", or as the sample does.
        decode: How files become pixels.
        crops: The box of each image that members see, a CSV or a DataFrame with the columns id,
            left, top, right, bottom, in pixels; None shows them all of it.
        margin: How boxes are widened: each side moves out by this share of the box's own width or
            height; None is as the members' cards say.
        square: Boxes get the longer of their sides both ways, after the margin.
        on_nan: What to do about a member that gives NaN: "fail" or "drop-member".
        fill: For quarantined images: a label, or a number for every probability.
        device: "auto", "cpu", "openvino" (a CPU, by OpenVINO), "cuda" or "tensorrt", which take
            every GPU; or those of some numbers: "cuda:1", "cuda:0,1".
        precision: What members compute in: "fp32", "fp16" for a GPU, "bf16" for OpenVINO, or
            "auto" for the quickest that the device has.
        batch_size: Images a forward; "auto" tries a few sizes first, where that pays.
        shard_size: Images a commit; 0 lets memory decide.
        memory: For decoded pixels, such as "2G"; a net's own memory is not in it.
        threads: 0 takes the processors this process may use.
        workers: Processes that share out the processors; 0 is this one.
        probe_images: So many images of the run hold float16 and OpenVINO against float32.
        executor: "local", or "ray" for a cluster; see docs/clusters.md.
        ray_address: The cluster's head, as "10.0.0.1:6379"; else RAY_ADDRESS, else this machine.
        store: Where predictions are kept.
        verify_inputs: Whether every image is read and hashed, also one that is as it was at an
            earlier scan.
        force: Replace another run in `out`.
        track: Who records it: "mlflow", "wandb", "tensorboard", or several; "mlflow=URI" says
            where. One that fails does no harm.
        early_exit: "off", "lossless", or the share of labels that may differ, such as "0.5%".
        confidence: How certain the certificate of such a share is.
        calibration: Random images that get every evaluation; 0: as few as will do.
        time_budget: The time that the run may take, such as "2h30m".
        evals_per_image: A budget of evaluations for an image, on average.
        progress: Told how far the run is: "auto" shows a bar in a notebook and in a terminal, and
            elsewhere prints notes alone; None shows nothing; else an object as
            `ensemble.progress.Progress`, or as `Listener`, which has `warn` alone.

    Returns:
        The submission: ids, labels, probabilities, and where it was written.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    settings = Settings(
        members=texts_of(members, "members"),
        images=texts_of(images, "images"),
        tta=tta_text(tta),
        merge=merge,
        keep_views=keep_views,
        voting=voting,
        weights=weights_of(weights),
        policy=policy_of(policy),
        constraints=constraints_of(constraints),
        sample=sample_of(sample, id_col),
        output=output,
        out=path_of(out),
        head=head,
        label_map=label_map_of(label_map),
        tasks=tasks_text(tasks),
        id_from=id_from,
        image_col=image_col,
        id_col=id_col,
        positive=positive,
        form=form,
        top=top,
        round=round,
        labels_as=labels_as,
        decode=decode_of(decode),
        crops=optional_table(crops, "crops", id_col=id_col),
        margin=margin,
        square=square,
        on_nan=on_nan,
        fill=text_of(fill),
        device=device,
        precision=precision,
        batch_size=batch_size,
        shard_size=shard_size,
        memory=memory,
        threads=threads,
        workers=workers,
        probe_images=probe_images,
        executor=executor,
        ray_address=ray_address,
        store=Path(store),
        verify_inputs=verify_inputs,
        force=force,
        track=texts_of(track, "track"),
        early_exit=early_exit,
        confidence=confidence,
        calibration=calibration,
        time_budget=time_budget,
        evals_per_image=evals_per_image,
    )
    with progress_bar.shown(progress) as told:
        return pipeline.run(settings, told)


def predict_oof(
    members: Paths,
    images: Paths,
    folds: TableGiven | ById,
    *,
    keep_views: bool = False,
    out: str | Path | None = None,
    tta: TtaGiven = "none",
    merge: Merge = "mean",
    head: str | None = None,
    label_map: TableGiven | None = None,
    tasks: TasksGiven = "",
    id_from: IdFrom = "stem",
    image_col: str | None = None,
    id_col: str | None = None,
    decode: DecodePolicy | None = None,
    crops: TableGiven | None = None,
    margin: float | None = None,
    square: bool = False,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int | Literal["auto"] = "auto",
    shard_size: int = 0,
    memory: str = "1G",
    threads: int = 0,
    workers: int = 0,
    probe_images: int = 16,
    executor: Executor = "local",
    ray_address: str = "",
    store: str | Path = ".ensemble",
    verify_inputs: bool = False,
    progress: progress_bar.Given = "auto",
) -> Oof | TaskPredictions | KeptViews | KeptTasks:
    """Predict training images by the members that did not see them; `ensemble oof` in Python.

    Args:
        members: As for `run`; each has a fold in its card.
        images: As for `run`.
        folds: A CSV or a DataFrame with the columns `id` and `fold`, or the fold of each id.
        keep_views: Whether to keep each view's predictions apart, with what each costs, for
            `choose`; `merged` of what is returned joins them.
        out: The OOF Parquet to write, with the quarantine beside it; None writes none.
        tta: As for `run`, and so are all below.
        merge: How views become one.
        head: The head to predict.
        label_map: As for `run`: every head that answers a task of it is predicted.
        tasks: What is declared of its tasks.
        id_from: What an image's id is.
        image_col: The column of images in Parquet files.
        id_col: The column of the ids in tables.
        decode: How files become pixels.
        crops: The box of each image.
        margin: How boxes are widened.
        square: Whether boxes become square.
        device: Where members run.
        precision: What members compute in.
        batch_size: Images a forward.
        shard_size: Images a commit.
        memory: For decoded pixels.
        threads: How many.
        workers: Processes that share out the processors.
        probe_images: Images on which float16 and OpenVINO are held against float32.
        executor: "local", or "ray" for a cluster.
        ray_address: The cluster's head, as "10.0.0.1:6379".
        store: Where predictions are kept.
        verify_inputs: Whether every image is hashed.
        progress: Told how far it is.

    Returns:
        The predictions of every image that could be read; `quarantined` has the others.
        `save` writes them, and `Oof.load` reads those of one head again; with a label map there is
        a part for each head.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    from ensemble.pipeline import oof, oof_views

    settings = Settings(
        members=texts_of(members, "members"),
        images=texts_of(images, "images"),
        tta=tta_text(tta),
        merge=merge,
        head=head,
        label_map=label_map_of(label_map),
        tasks=tasks_text(tasks),
        id_from=id_from,
        image_col=image_col,
        id_col=id_col,
        decode=decode_of(decode),
        crops=optional_table(crops, "crops", id_col=id_col),
        margin=margin,
        square=square,
        device=device,
        precision=precision,
        batch_size=batch_size,
        shard_size=shard_size,
        memory=memory,
        threads=threads,
        workers=workers,
        probe_images=probe_images,
        executor=executor,
        ray_address=ray_address,
        store=Path(store),
        verify_inputs=verify_inputs,
    )
    table = table_of(folds, "folds", "fold", id_col)
    with progress_bar.shown(progress) as told:
        if keep_views:
            return oof_views.predict_views(settings, table, told, out=path_of(out))
        return oof.predict_oof(settings, table, told, out=path_of(out))
