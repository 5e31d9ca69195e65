"""Options that several commands share, each defined once."""

from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import click

from ensemble.cli.option_types import Equation, auto_or_number, off_or_evaluations
from ensemble.errors import UsageError
from ensemble.files.paths import split_named
from ensemble.recipe.policy import Policy
from ensemble.recipe.settings import DECODE, TABLE, Setting, Settings
from ensemble.recipe.sources import FILE, read_toml, tasks_text, tta_text
from ensemble.records import DecodePolicy
from ensemble.voting.weights import from_text

if TYPE_CHECKING:
    from ensemble.label_map import LabelMap

Command = TypeVar("Command", bound=Callable[..., object])

_SCORING: Final = {"members", "tta", "merge", "head", "label_map", "tasks", "id_from", "id_col",
                   "image_col", *DECODE, "device", "precision", "margin", "square", "store",
                   "verify_inputs", "batch_size", "memory", "threads", "workers", "executor",
                   "ray_address", "probe_images"}  # fmt: skip
"""What `oof` takes from ensemble.toml: images, crops and shards are the training set's."""

_OF_MEMBERS: Final = {"members", "tta", "merge", "head", "label_map", "tasks", "precision",
                      "margin", "square"}  # fmt: skip
"""What `crops` does not take: a detector is another member than those of a run."""

_PACKED: Final = ("members", "tta", "merge", "head", "label_map", "tasks", "voting", "weights",
                  "policy", "constraints", "store")  # fmt: skip
"""What decides the graph of a packed ensemble, and where members from afar are kept."""

_TABLES: Final = {"id_col": "id_column", "label_col": "label_column"}
"""What commands take from ensemble.toml of tables: the setting, and how they call it."""

_LISTS: Final = ("--members", "--images", "--oof", "--predictions", "--holdout")


def spread_lists(args: list[str]) -> list[str]:
    """Rewrite `--members a b c` as `--members a --members b --members c`.

    click has no option that takes a shell-expanded list: b and c would become arguments.

    Raises:
        click.UsageError: such an option without a value.
    """
    out: list[str] = []
    option, values = "", 0
    for arg in args:
        if option and not arg.startswith("-"):
            out += [option, arg]
            values += 1
            continue
        _check_some(option, values)
        option, values = (arg, 0) if arg in _LISTS else ("", 0)
        if not option:
            out.append(arg)
    _check_some(option, values)
    return out


def _check_some(option: str, values: int) -> None:
    if option and not values:
        raise click.UsageError(f"{option} needs one value or more")


def named_files(texts: Sequence[str]) -> list[tuple[str | None, Path]]:
    """Read `[NAME=]FILE` arguments: the name, or None, and the file."""
    parts = map(split_named, texts)
    return [(name or None, Path(path)) for name, path in parts]


def load_recipe_file() -> dict[str, Any] | None:
    """Return ensemble.toml of the working directory as defaults of the commands that share it."""
    if not Path(FILE).is_file():
        return None
    settings = {name: _as_flag(name, value) for name, value in read_toml(Path(FILE)).items()}
    inputs, kept = _among(settings, _SCORING), _among(settings, {"store"})
    detecting = _among(inputs, _SCORING - _OF_MEMBERS - set(_WORKERS))
    tables = {param: settings[key] for key, param in _TABLES.items() if key in settings}
    mapped = tables | _among(settings, {"label_map", "tasks"})
    tracked = _among(settings, {"track"})
    judged = _among(settings, {"id_from", "image_col", *DECODE}) | mapped
    packing = _among(settings, {*_PACKED})
    store = dict.fromkeys(("list", "verify", "gc"), kept)
    return {"run": settings, "vote": settings, "oof": inputs, "quantize": judged,
            "folds": judged, "crops": detecting, "pack": packing,
            "store": store, "score": mapped | tracked, "diff": tables, "report": mapped,
            "tune-weights": mapped | tracked, "choose": tables | tracked,
            "doctor": kept}  # fmt: skip


def _as_flag(name: str, value: Any) -> Any:
    """Return a setting of ensemble.toml as its flag would have it."""
    if isinstance(value, Mapping):
        return _TABLE_TEXTS[name](value) if name in _TABLE_TEXTS else value
    one = name in ("members", "images", "constraints", "track") and isinstance(value, str)
    return [value] if one else value


_TABLE_TEXTS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "weights": lambda told: ",".join(f"{family}={weight}" for family, weight in told.items()),
    "constraints": lambda told: [f"{target} = {total}" for target, total in told.items()],
    "tta": tta_text,
    "tasks": tasks_text,
}
"""How a table of ensemble.toml is said by flags."""


def _among(settings: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    return {name: settings[name] for name in settings.keys() & names}


def _env(name: str) -> str:
    return f"ENSEMBLE_{name.upper()}"


_SHORT: Final = {"--out": ("-o",), "--constraints": ("--constraint",)}
"""The flags that are spelled in another way too."""


def option(
    name: str, *, help: str, key: str | None = None, **more: Any
) -> Callable[[Command], Command]:
    """An option that the environment and ensemble.toml can set too; a command calls it `key`."""
    own = name.removeprefix("--").replace("-", "_")
    more.setdefault("show_default", more.get("default") is not None)
    short = _SHORT.get(name, ())
    return click.option(name, *short, key or own, envvar=_env(own), help=help, **more)


class Whole(click.IntRange):
    """A whole number in a range, and so called where a value is none."""

    name = "whole number"


_READ: Final[Mapping[str, Callable[[Any], object]]] = {
    "batch_size": auto_or_number,
    "evals_per_image": off_or_evaluations,
    "margin": float,
}
"""How a value is read where click has no type for it."""


def setting(name: str) -> Callable[[Command], Command]:
    """The option of a setting, by its row of the table."""
    row = TABLE[name]
    flag = f"--{name.replace('_', '-')}"
    if row.kind is bool:
        return option(flag, help=row.about.help, is_flag=True)
    default = ("images",) if name == "images" else row.default
    several = isinstance(default, tuple) or name == "members"
    return option(
        flag,
        help=row.about.help,
        default=str(default) if isinstance(default, Path) else default,
        type=_type_of(row),
        multiple=several,
        metavar=row.about.metavar,
    )


def _type_of(row: Setting) -> Any:
    """What click reads a setting with."""
    if row.choices:
        return click.Choice(row.choices)
    if row.about.least is not None:
        return Whole(row.about.least)
    if row.name == "constraints":
        return Equation()
    if row.name in _READ:
        return _READ[row.name]
    return click.Path(path_type=Path) if Path in (row.kind, *get_args(row.kind)) else None


store_option: Final = setting("store")
id_from_option: Final = setting("id_from")
image_col_option: Final = setting("image_col")
runs_option: Final = click.option(
    "--runs", multiple=True, type=click.Path(path_type=Path),
    help="Folders that runs wrote to.  [default: submissions]",
)  # fmt: skip

_INPUTS: Final = (
    "members", "images", "tta", "merge", "head", "label_map", "tasks", "id_from", "id_col",
    "image_col", *DECODE, "device", "precision", "crops", "margin", "square", "store",
    "verify_inputs",
)  # fmt: skip
_OUTPUTS: Final = (
    "voting", "weights", "constraints", "sample", "output", "positive", "form", "top", "round",
    "labels_as", "fill", "out", "force",
)  # fmt: skip
_ENGINE: Final = ("batch_size", "shard_size", "memory", "threads")
_WORKERS: Final = ("workers", "executor", "ray_address", "probe_images")
_EXITS: Final = ("early_exit", "confidence", "calibration", "time_budget", "evals_per_image")


def stacked(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[Command], Command]:
    """Apply groups of options, in the order of the help page."""

    def decorate(command: Command) -> Command:
        for decorator in reversed([entry for group in groups for entry in group]):
            command = decorator(command)
        return command

    return decorate


def settings_named(*names: str) -> Callable[[Command], Command]:
    """The options of some settings, in the order of the help page."""
    return stacked(tuple(setting(name) for name in names))


def decode_of(flags: dict[str, Any]) -> DecodePolicy:
    """Take the flags of `decode_options` out: how files become pixels."""
    return DecodePolicy(**{name: flags.pop(name) for name in DECODE if name in flags})


def settings_of_flags(flags: Mapping[str, Any]) -> Settings:
    """Make the settings of the parsed options."""
    values = {"weights": None, **flags}
    decode = decode_of(values)
    weights = values["weights"]
    values["weights"] = from_text(weights) if weights and weights != "uniform" else None
    policy = values.get("policy")
    values["policy"] = Policy.load(policy) if policy else None
    if values.get("constraints") == ("off",):
        values["constraints"] = ()
    if values.get("time_budget") == "off":
        values["time_budget"] = None
    return Settings(**values, decode=decode)


_DETECTOR: Final = ("members", "images", "id_from", "id_col", "image_col", *DECODE, "device",
                    "store", "verify_inputs")  # fmt: skip

detector_options: Final = settings_named(*_DETECTOR, *_ENGINE)


def label_map_of(path: Path | None, tasks: str) -> "LabelMap | None":
    """Read the label map of two flags.

    Raises:
        UsageError: the tasks of no map, or what is wrong with it.
    """
    from ensemble.files.label_maps import read_label_map

    if path is None:
        if tasks:
            raise UsageError("tasks belong to a label map: give --label-map too")
        return None
    return read_label_map(path, tasks)


label_map_options: Final = settings_named("label_map", "tasks")
decode_options: Final = settings_named(*DECODE)
input_options: Final = settings_named(*_INPUTS)
crop_options: Final = settings_named("crops", "margin", "square")
engine_options: Final = settings_named(*_ENGINE, *_WORKERS)
run_options: Final = settings_named(
    *_INPUTS, *_OUTPUTS, *_EXITS, *_ENGINE, *_WORKERS, "on_nan", "policy", "keep_views", "track"
)
vote_options: Final = settings_named(*_INPUTS, *_OUTPUTS, "track")
track_option: Final = setting("track")
pack_options: Final = settings_named(*_PACKED)
preflight_options: Final = stacked((
    click.option("--dry-run", is_flag=True, help="Do all that comes before the work, say what the "
                 "work is, and write nothing."),
    click.option("--show-config", is_flag=True, help="Print every setting with its value and its "
                 "origin, and do nothing else."),
))  # fmt: skip
labels_option: Final = click.option(
    "--labels", required=True, type=click.Path(path_type=Path),
    help="A CSV with an id column and the labels.",
)  # fmt: skip
label_option: Final = option(
    "--label-col", key="label_column", help="The column of the labels.", default="label",
)  # fmt: skip
id_option: Final = option(
    "--id-col", key="id_column", help="The column of the ids.  [default: id, or the one that holds "
    "ids that are known]",
)  # fmt: skip
