"""The Python API of what comes before members: one box of each image, by a detector."""

from pathlib import Path
from typing import Literal

from ensemble import progress_bar
from ensemble.api.arguments import Paths, decode_of, texts_of
from ensemble.boxes import BoxRule, Fallback
from ensemble.pipeline.crops import Crops, make_crops
from ensemble.recipe.settings import Settings
from ensemble.records import DecodePolicy, IdFrom


def crops(
    members: Paths,
    images: Paths = "images",
    out: str | Path = "crops.csv",
    *,
    sure: float = 0.5,
    unsure: float = 0.2,
    centre: float = 0.25,
    fallback: Fallback = "centre",
    id_from: IdFrom = "stem",
    image_col: str | None = None,
    id_col: str | None = None,
    decode: DecodePolicy | None = None,
    device: str = "auto",
    batch_size: int | Literal["auto"] = "auto",
    shard_size: int = 0,
    memory: str = "1G",
    threads: int = 0,
    store: str | Path = ".ensemble",
    verify_inputs: bool = False,
    progress: progress_bar.Given = "auto",
) -> Crops:
    """Run a detector over images, and choose one box of each; `ensemble crops` in Python.

    Args:
        members: The detector: a member whose card has a head of the task "boxes".
        images: As for `run`.
        out: The CSV to write, which `run` takes as `crops`; a contact sheet, and the
            quarantine, beside it.
        sure: A box of this score is taken, of several the one with the largest product of score,
            share of the image and nearness to its centre.
        unsure: Else a box of this score, where it lies about the centre of the image.
        centre: How far its centre may be from the image's, as a share of the image's sides.
        fallback: Else the largest square about the "centre", or the "whole" image.
        id_from: As for `run`, and so are all below.
        image_col: The column of images in Parquet files.
        id_col: The column of the ids in tables.
        decode: How files become pixels.
        device: Where the detector runs.
        batch_size: Images a forward.
        shard_size: Images a commit.
        memory: For decoded pixels.
        threads: How many.
        store: Where its boxes are kept.
        verify_inputs: Whether every image is hashed.
        progress: Told how far it is.

    Returns:
        Where the table lies, how many boxes each rule chose, and the images that have none.

    Raises:
        EnsembleError: see `ensemble.errors`.
    """
    settings = Settings(
        members=texts_of(members, "members"),
        images=texts_of(images, "images"),
        id_from=id_from,
        image_col=image_col,
        id_col=id_col,
        decode=decode_of(decode),
        device=device,
        batch_size=batch_size,
        shard_size=shard_size,
        memory=memory,
        threads=threads,
        store=Path(store),
        verify_inputs=verify_inputs,
    )
    rule = BoxRule(sure, unsure, centre, fallback)
    with progress_bar.shown(progress) as told:
        return make_crops(settings, rule, Path(out), told)
