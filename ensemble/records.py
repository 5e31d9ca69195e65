"""The frozen records that cross the stages."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias, get_args

from ensemble.boxes import Crop, Jitter
from ensemble.errors import UsageError

Fit: TypeAlias = Literal["crop", "squash", "pad"]
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Task: TypeAlias = Literal["classification", "multilabel", "regression", "boxes"]
Activation: TypeAlias = Literal["softmax", "sigmoid", "exp", "none"]
Merge: TypeAlias = Literal["mean", "gmean", "max", "min", "tsharpen", "logits"]
Ordinal: TypeAlias = Literal["conditional", "cumulative"]
Precision: TypeAlias = Literal["fp32", "fp16", "bf16", "auto"]
ChannelOrder: TypeAlias = Literal["rgb", "bgr"]
InputRange: TypeAlias = Literal[1, 255]
Layout: TypeAlias = Literal["nchw", "nhwc"]
Batch: TypeAlias = Literal["any", "alone"]
BoxScale: TypeAlias = Literal["pixels", "unit"]
Voting: TypeAlias = Literal["soft", "hard", "geometric", "rank"]
Output: TypeAlias = Literal["auto", "labels", "probs", "binary"]
SampleForm: TypeAlias = Literal["auto", "label", "wide", "tasks", "melted", "list"]
LabelsAs: TypeAlias = Literal["auto", "index", "name"]
IdFrom: TypeAlias = Literal["stem", "name", "path"]
Executor: TypeAlias = Literal["local", "ray"]
OnNan: TypeAlias = Literal["fail", "drop-member"]
Exif: TypeAlias = Literal["apply", "ignore"]
Alpha: TypeAlias = Literal["drop", "white", "black"]


@dataclass(frozen=True, slots=True)
class TaskRules:
    """What holds for a task: the one place that says so; see `TASKS`.

    `activations` are those that its outputs may need, the usual one first; `merges` and `votings`
    are those that have a meaning, none where nothing is voted on. `single` tells that a row has one
    label, by probabilities that sum to 1; `several` that each class is a label of its own, given
    from a threshold on; `bounded` that values are probabilities, from 0 to 1. A head has `least`
    classes or more.
    """

    activations: tuple[Activation, ...]
    merges: tuple[Merge, ...]
    votings: tuple[Voting, ...]
    single: bool
    several: bool
    bounded: bool
    least: int

    def labels(self, classes: int) -> int:
        """Return how many labels are decided for a row: one, or one for each class."""
        return classes if self.several else 1


TASKS: Final[Mapping[Task, TaskRules]] = {
    "classification": TaskRules(
        activations=("softmax", "exp", "none"),
        merges=get_args(Merge),
        votings=get_args(Voting),
        single=True,
        several=False,
        bounded=True,
        least=2,
    ),
    "multilabel": TaskRules(
        activations=("sigmoid", "none"),
        merges=get_args(Merge),
        votings=("soft", "geometric"),
        single=False,
        several=True,
        bounded=True,
        least=1,
    ),
    "regression": TaskRules(
        activations=("none",),
        merges=("mean",),
        votings=("soft",),
        single=False,
        several=False,
        bounded=False,
        least=1,
    ),
    "boxes": TaskRules(
        activations=("none",),
        merges=("mean",),
        votings=(),
        single=False,
        several=False,
        bounded=False,
        least=1,
    ),
}
"""What holds for each task. A task that comes is a row here."""

VOTED: Final = tuple(task for task, rules in TASKS.items() if rules.votings)
"""The tasks whose predictions are voted on, scored and submitted; boxes say where to look."""


def check_choice(name: str, value: object, choices: object) -> None:
    """Check that a value is one of the choices of a `Literal`; Python may have given any other.

    Raises:
        UsageError: it is not; names the setting and the choices.
    """
    known = get_args(choices)
    if value not in known:
        raise UsageError(f"{name} {value!r}: expected one of {', '.join(map(str, known))}")


EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "JPEG": ("jpg", "jpeg", "jpe"),
    "PNG": ("png",),
    "BMP": ("bmp",),
    "GIF": ("gif",),
    "TIFF": ("tif", "tiff"),
    "WEBP": ("webp",),
    "AVIF": ("avif",),
    "HEIC": ("heic", "heif"),
    "JPEG XL": ("jxl",),
    "JPEG2000": ("jp2", "j2k", "jpf", "jpx"),
    "DICOM": ("dcm",),
}
"""The formats, and the extensions by which `scan` knows an image. Content decides the format."""


MAX_SIDE: Final = 16_384
"""The largest height or width of a member's input, in pixels."""

MAX_CHANNELS: Final = 16
"""The most channels of a member's input."""


@dataclass(frozen=True, slots=True)
class Size:
    """Height and width in pixels. Never a bare pair: pairs get swapped."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


@dataclass(frozen=True, slots=True)
class Geometry:
    """How decoded pixels become a member's input, before normalisation.

    Members whose geometries are equal share their resized pixels. `channels` is 3 (RGB), 1
    (grey), or 2 to 16 for as many bands of the file; `fill` is the colour of a padded border, one
    value in 0 to 255 a channel, and empty unless `fit` is "pad". With a `crop` an image's box is
    cut out first; what lies beyond the image has the colour `border`, which is empty without one.
    Where there are `jitters`, the box is cut out once for each of them, moved and widened so, and
    the parts stand one below the other, each of `size`.
    """

    size: Size
    fit: Fit
    crop_pct: float
    interpolation: Interpolation
    channels: int
    fill: tuple[int, ...]
    crop: Crop | None = None
    border: tuple[int, ...] = ()
    jitters: tuple[Jitter, ...] = ()

    @property
    def height(self) -> int:
        """The height of all parts together, in pixels."""
        return self.size.height * max(1, len(self.jitters))


@dataclass(frozen=True, slots=True)
class Preprocess:
    """A member's preprocessing: timm's evaluation transform, in timm's words.

    `fit` is timm's crop_mode: "crop" is its center, "squash" its squash, "pad" its border.
    `mean` and `std` have one value a channel, on the scale where pixels run from 0 to 1, in the
    member's own order of channels: `channel_order` "bgr" turns the red, green and blue of the
    image around before they are normalised, as a net trained on OpenCV's images needs. `crop`
    tells that the net was trained on boxes of images, cut out so; None on whole ones.
    """

    size: Size
    fit: Fit
    crop_pct: float
    interpolation: Interpolation
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: ChannelOrder = "rgb"
    crop: Crop | None = None

    @property
    def geometry(self) -> Geometry:
        """The part that decides the uint8 pixels, by which members share them."""
        mean = self.mean[::-1] if self.channel_order == "bgr" else self.mean
        colour = tuple(round(255 * m) for m in mean)
        return Geometry(
            size=self.size,
            fit=self.fit,
            crop_pct=self.crop_pct,
            interpolation=self.interpolation,
            channels=len(self.mean),
            fill=colour if self.fit == "pad" else (),
            crop=self.crop,
            border=() if self.crop is None else colour,
        )

    def record(self) -> dict[str, object]:
        """Return the fields as plain values, `channel_order` and `crop` only where not usual.

        It stands in fingerprints, which must stay what they were for members that are there.
        """
        usual = {"channel_order": "rgb", "crop": None}
        return {k: v for k, v in asdict(self).items() if k not in usual or v != usual[k]}


@dataclass(frozen=True, slots=True)
class DecodePolicy:
    """How files become pixels. It is part of every fingerprint.

    `exif` applies the orientation tag or ignores it; `alpha` drops the alpha channel or blends
    the image over white or black; `max_pixels` refuses larger images before they are decoded;
    `allow_truncated` accepts JPEG and PNG files that end early.
    """

    exif: Exif = "apply"
    alpha: Alpha = "drop"
    max_pixels: int = 100_000_000
    allow_truncated: bool = False


OpName: TypeAlias = Literal[
    "hflip", "vflip", "rot90", "scale", "resize", "crop", "add", "multiply", "jitter"
]


@dataclass(frozen=True, slots=True)
class Op:
    """One primitive operation on a batch of normalised images, and its parameters.

    hflip (), vflip (), rot90 (k counter-clockwise quarter turns), scale (factor) and resize
    (height, width) by nearest neighbour, crop (place, height, width) with place one of "lt",
    "lb", "rb", "rt", "center", add (value), multiply (factor); and, before any other and before the
    image is resized, jitter (across, down, wider) of the box that is cut out.
    """

    name: OpName
    args: tuple[float | int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at an image: a name, and the operations in the order they apply."""

    name: str
    ops: tuple[Op, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberId:
    """Who a member is: its name, its family, its fold where it has one, the hash of its files.

    `sha256` is empty where nobody knows the files.
    """

    name: str = ""
    family: str = ""
    fold: int | None = None
    sha256: str = ""


def hashes_of(members: Iterable[MemberId]) -> dict[str, tuple[str, ...]]:
    """Return the hashes of each family's members."""
    families: dict[str, tuple[str, ...]] = {}
    for member in members:
        families[member.family] = (*families.get(member.family, ()), member.sha256)
    return families


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An image without a prediction: which, where it failed, and why."""

    id: str
    path: str
    stage: str
    error_class: str
    message: str
    sha256: str
    bytes: int
