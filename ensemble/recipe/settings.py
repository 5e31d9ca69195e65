"""The table of settings: what each is called, may be and is for. All else is read from here.

The flags of the command line, the keys of ensemble.toml, the variables `ENSEMBLE_…`, the checks and
docs/recipe.md come from this one table; run.json records these values.
"""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

from ensemble.files.text_table import TableSource, TextTable
from ensemble.recipe.policy import Policy
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
from ensemble.voting.weights import Weights, to_json

Role: TypeAlias = Literal["predicted", "kept", "beside"]
"""Whether a setting made the predictions, so that a vote on a run takes it from the run; is kept
from the run where the vote is not told otherwise; or does not make a run another run."""


@dataclass(frozen=True, slots=True)
class About:
    """What a setting is for, its roles, and the least whole number or the form that it takes.

    One that came `later` stands in run.json only where it is given: a run of before is the same.
    One that is not `recorded` never does.
    """

    help: str
    roles: tuple[Role, ...] = ()
    least: int | None = None
    metavar: str | None = None
    later: bool = False
    recorded: bool = True


IN_MEMORY: Final = "a table in memory, sha256 "
"""What run.json says of a table that Python was given, before its hash."""

DEFAULT_STORE: Final = Path(".ensemble")
CHOSEN: Final = "policy, sha256 "
"""What run.json says of a policy, before its hash: what it decides stands in other settings."""

_MADE: Final[tuple[Role, ...]] = ("predicted",)
_KEPT: Final[tuple[Role, ...]] = ("kept",)
_BESIDE: Final[tuple[Role, ...]] = ("beside",)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings as they are written: what is None means "none", not "ask".

    `weights` None weighs families alike. `output` "auto" is what the sample asks for, else labels
    where there are classes. `batch_size` "auto" lets a warm-up decide, `shard_size` 0 the memory
    budget; `memory` is the budget of decoded pixels; `threads` 0 takes the processors that the
    process may use, and `workers` 0 is this process alone, or with ray one a machine. `early_exit`
    is "off", "lossless" or a share of the labels such as "0.5%". What the texts mean is found by
    `resolve`.
    """

    members: Annotated[
        tuple[str, ...],
        About("Members: files, a folder, a quoted glob or @list.txt; s3:// or gs:// too.", _MADE),
    ]
    images: Annotated[
        tuple[str, ...],
        About(
            "Images: a folder, files, a quoted glob, a .tar, .zip or .parquet that holds them, a "
            "CSV with an id or path column; s3:// or gs:// too.",
            _MADE,
        ),
    ]
    tta: Annotated[
        str,
        About(
            "Views: none, hflip, vflip, flip, d4, multiscale(0.8,1,1.2), five_crop(H,W), "
            "ten_crop(H,W), jitter(0.1) of --crops, or pkg.mod:name; or family=flip,other=none for "
            "each family.",
            _MADE,
        ),
    ] = "none"
    merge: Annotated[Merge, About("How a member's views become one.", _MADE)] = "mean"
    keep_views: Annotated[
        bool,
        About(
            "Keep each view's predictions apart in the store, a key a view, and merge what is "
            "read; of `oof` the file too, with what each view costs, for `ensemble choose`.",
            _MADE,
            later=True,
        ),
    ] = False
    voting: Annotated[
        Voting,
        About("How members become one prediction; rank needs weights of `--pool rank`.", _KEPT),
    ] = "soft"
    weights: Annotated[
        Weights | None,
        About("By family: a weights.json, family=0.6,other=0.4, or uniform.", _KEPT),
    ] = None
    policy: Annotated[
        Policy | None,
        About(
            "The policy.json of `ensemble choose`: the views and folds of each family that run, "
            "and their weights.",
            metavar="FILE",
            later=True,
        ),
    ] = None
    constraints: Annotated[
        tuple[str, ...],
        About(
            "An equation that the values of a regression are to fulfil, such as 'total = a + b'; "
            "may be given more than once; off: none.",
            _KEPT,
            metavar="EQUATION",
            later=True,
        ),
    ] = ()
    sample: Annotated[
        TableSource | None,
        About(
            "The sample submission: gives ids, order, columns and whether labels or probabilities "
            "are asked for.",
            _KEPT,
        ),
    ] = None
    output: Annotated[
        Output,
        About(
            "What to write; auto: what the sample asks for, else labels; binary: 0 and 1 for each "
            "label of a multilabel head.",
            _KEPT,
        ),
    ] = "auto"
    out: Annotated[
        Path | None,
        About("The folder to write.  [default: submissions/<time and recipe>]", _BESIDE),
    ] = None
    head: Annotated[str | None, About("The head to predict, where members carry several.")] = None
    label_map: Annotated[
        TableSource | None,
        About(
            "A CSV with the column label and one a task: members answer tasks, and together one "
            "label.",
            _KEPT,
            later=True,
        ),
    ] = None
    tasks: Annotated[
        str,
        About(
            "Of the label map's tasks, in TOML: age = {cuts = [30, 60], spread = 4}; also classes "
            "in order, and merge of finer ones.",
            _KEPT,
            metavar="TOML",
            later=True,
        ),
    ] = ""
    id_from: Annotated[
        IdFrom,
        About(
            "What the id of an image is: of a/b.jpg the stem b, the name b.jpg or the path.", _MADE
        ),
    ] = "stem"
    id_col: Annotated[
        str | None,
        About(
            "The column of the ids in tables.  [default: id, or the one that holds the images' "
            "ids]",
            (*_KEPT, *_BESIDE),
            later=True,
        ),
    ] = None
    image_col: Annotated[
        str | None,
        About(
            "The column of a Parquet file that holds the images.  [default: the only one of bytes]",
            _MADE,
            later=True,
        ),
    ] = None
    crops: Annotated[
        TableSource | None,
        About(
            "A CSV with the box of each image that members see: id, left, top, right, bottom in "
            "pixels, as `ensemble crops` writes it.",
            _MADE,
            later=True,
        ),
    ] = None
    margin: Annotated[
        float | None,
        About(
            "How boxes of --crops are widened: each side moves out by this share of the box's own "
            "width or height.  [default: as the members' cards say]",
            _MADE,
            metavar="SHARE",
            later=True,
        ),
    ] = None
    square: Annotated[
        bool,
        About("Boxes get the longer of their sides both ways, after --margin.", _MADE, later=True),
    ] = False
    positive: Annotated[
        str | None,
        About(
            "The class whose probability the one column of a sample asks for.", _KEPT, later=True
        ),
    ] = None
    form: Annotated[
        SampleForm,
        About(
            "The form of the sample, where it fits two: one label, a column a class or target, a "
            "column a task, a row for each image and class, or several labels a cell.",
            _KEPT,
            later=True,
        ),
    ] = "auto"
    top: Annotated[
        int,
        About(
            "The best labels, so many in a cell; 0: as the sample has them.",
            _KEPT,
            least=0,
            later=True,
        ),
    ] = 0
    round: Annotated[
        str,
        About(
            "Whole numbers of a regression: nearest, or cuts such as 0.5,1.5; off: values as they "
            "are.",
            _KEPT,
            metavar="auto|off|nearest|CUTS",
            later=True,
        ),
    ] = "auto"
    labels_as: Annotated[LabelsAs, About("How labels are written.", _KEPT)] = "auto"
    decode: DecodePolicy = field(default_factory=DecodePolicy)
    on_nan: Annotated[
        OnNan, About("What to do about a member that gives NaN or infinity.", _MADE)
    ] = "fail"
    fill: Annotated[
        str | None,
        About(
            "For quarantined images: a label, or a number for every probability; of tasks "
            "mask=none,age=30.",
            _BESIDE,
        ),
    ] = None
    device: Annotated[
        str,
        About(
            "auto, cpu, openvino (a CPU, by OpenVINO), cuda, tensorrt: every GPU there is (crops "
            "takes one), or those of its numbers: cuda:1, tensorrt:0,1."
        ),
    ] = "auto"
    precision: Annotated[
        Precision,
        About(
            "What members compute in: fp16 for a GPU, bf16 for OpenVINO, auto for the quickest.",
            _MADE,
        ),
    ] = "fp32"
    batch_size: Annotated[
        int | Literal["auto"],
        About(
            "Images a forward; auto tries a few sizes first, where that pays.",
            _BESIDE,
            metavar="auto|N",
        ),
    ] = "auto"
    shard_size: Annotated[
        int, About("Images a commit; 0 lets memory decide.", _BESIDE, least=0)
    ] = 0
    memory: Annotated[
        str,
        About(
            "For decoded pixels, such as 2G, of each worker; a net's own memory is not in it.",
            _BESIDE,
        ),
    ] = "1G"
    threads: Annotated[
        int, About("Threads; 0 takes the processors this process may use.", _BESIDE, least=0)
    ] = 0
    workers: Annotated[
        int,
        About(
            "Processes that share out the processors; 0: this one. With --device cuda each GPU has "
            "one; with --executor ray so many a machine.",
            _BESIDE,
            least=0,
            later=True,
        ),
    ] = 0
    executor: Annotated[
        Executor,
        About(
            "Who scores: local, this machine; or ray, a cluster of Ray, its machines or this one.",
            _BESIDE,
            later=True,
        ),
    ] = "local"
    ray_address: Annotated[
        str,
        About(
            "The cluster's head, as 10.0.0.1:6379; else RAY_ADDRESS, else Ray is started here.",
            _BESIDE,
            metavar="HOST:PORT",
            later=True,
        ),
    ] = ""
    probe_images: Annotated[
        int,
        About(
            "Images of the run on which float16 and OpenVINO are held against float32.",
            _BESIDE,
            least=1,
            later=True,
        ),
    ] = 16
    store: Annotated[Path, About("Where predictions are kept.", (*_KEPT, *_BESIDE))] = DEFAULT_STORE
    verify_inputs: Annotated[
        bool,
        About(
            "Read and hash every image, also those that are as they were at an earlier scan.",
            _BESIDE,
            later=True,
        ),
    ] = False
    force: Annotated[bool, About("Replace another run in --out.", _BESIDE)] = False
    track: Annotated[
        tuple[str, ...],
        About(
            "Have settings, scores and pictures recorded by mlflow, wandb or tensorboard, =WHERE "
            "after it being a tracking URI, a project or a folder; may be given more than once; "
            "off: by none.",
            _BESIDE,
            metavar="TRACKER",
            recorded=False,
        ),
    ] = ()
    early_exit: Annotated[
        str,
        About(
            "End images early: lossless keeps every label; 0.5% lets at most so many labels differ "
            "from the full ensemble's, by a certificate.",
            metavar="off|lossless|SHARE",
        ),
    ] = "off"
    confidence: Annotated[str, About("How certain the certificate is.", metavar="SHARE")] = "95%"
    calibration: Annotated[
        int,
        About(
            "Random images that get every evaluation, for the certificate or the budget; 0: as few "
            "as will do.",
            least=0,
        ),
    ] = 0
    time_budget: Annotated[
        str | None,
        About(
            "The time that the command may take, such as 2h30m: images that are clear get fewer "
            "evaluations.",
            metavar="off|TIME",
        ),
    ] = None
    evals_per_image: Annotated[
        float | None,
        About(
            "A budget of evaluations for an image, on average: one is a member under one view.",
            metavar="off|N",
        ),
    ] = None


_DECODING: Final = {
    "exif": About("Whether the EXIF orientation turns an image.", _MADE),
    "alpha": About("What becomes of transparency: dropped, or blended over a colour.", _MADE),
    "max_pixels": About("Larger images are quarantined before they are decoded.", _MADE, least=1),
    "allow_truncated": About("Predict images whose files end early.", _MADE),
}
"""The settings that are the fields of a `DecodePolicy`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table: its type, what it is where nobody says, and what there is to choose.

    `default` is None where there is none. `choices` is empty where any value of the type will do.
    """

    name: str
    kind: object
    default: object
    choices: tuple[str, ...]
    about: About


def _rows() -> Iterator[Setting]:
    hints = get_type_hints(Settings, include_extras=True)
    for entry in fields(Settings):
        if entry.name == "decode":
            yield from _decoding()
            continue
        kind, about = get_args(hints[entry.name])
        default = None if entry.default is MISSING else entry.default
        yield Setting(entry.name, kind, default, _choices(kind), about)


def _decoding() -> Iterator[Setting]:
    hints = get_type_hints(DecodePolicy)
    for entry in fields(DecodePolicy):
        kind = hints[entry.name]
        yield Setting(entry.name, kind, entry.default, _choices(kind), _DECODING[entry.name])


def _choices(kind: object) -> tuple[str, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


TABLE: Final = {row.name: row for row in _rows()}
"""Every setting by its name, in the order of run.json."""

DECODE: Final = tuple(_DECODING)
"""The settings that make a `DecodePolicy`."""


def named(role: Role) -> tuple[str, ...]:
    """Return the settings of a role, in the order of the table."""
    return tuple(name for name, row in TABLE.items() if role in row.about.roles)


def settings_of(settings: Settings) -> dict[str, object]:
    """Return settings as JSON-ready values, for run.json."""
    record: dict[str, object] = {}
    for name in TABLE:
        value = getattr(settings.decode if name in DECODE else settings, name)
        about = TABLE[name].about
        if not about.recorded or (about.later and value == TABLE[name].default):
            continue
        if isinstance(value, Weights):
            value = to_json(value)
        if isinstance(value, Policy):
            value = f"{CHOSEN}{value.sha256}"
        if isinstance(value, TextTable):
            value = f"{IN_MEMORY}{value.sha256}"
        record[name] = str(value) if isinstance(value, Path) else value
    return record
