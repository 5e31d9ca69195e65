"""Options that several commands share, each defined once."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

import click
from click.core import ParameterSource

from ensemble.errors import UsageError
from ensemble.files.paths import is_file, split_named
from ensemble.recipe.settings import Recipe
from ensemble.recipe.sources import FILE, read_toml
from ensemble.records import (
    Alpha,
    DecodePolicy,
    Exif,
    IdFrom,
    LabelsAs,
    Merge,
    OnNan,
    Output,
    Precision,
    Task,
    Voting,
)
from ensemble.voting.weights import from_text

if TYPE_CHECKING:
    from ensemble.predictions.formats import Elsewhere

Command = TypeVar("Command", bound=Callable[..., object])

_PIXELS: Final = ("exif", "alpha", "max_pixels", "allow_truncated")
_SCORING: Final = {"members", "tta", "merge", "head", "id_from", *_PIXELS, "device", "precision",
                   "store", "batch_size", "memory", "threads"}  # fmt: skip
"""What `oof` takes from ensemble.toml: images and shards are those of the training set."""

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
    settings = read_toml(Path(FILE))
    weights = settings.get("weights")
    if isinstance(weights, Mapping):
        settings["weights"] = ",".join(f"{k}={v}" for k, v in weights.items())
    for name in ("members", "images"):
        if isinstance(settings.get(name), str):
            settings[name] = [settings[name]]
    inputs = {name: settings[name] for name in settings.keys() & _SCORING}
    judged = {name: settings[name] for name in settings.keys() & {"id_from", *_PIXELS}}
    kept = {name: settings[name] for name in settings.keys() & {"store"}}
    store = dict.fromkeys(("list", "verify", "gc"), kept)
    return {"run": settings, "vote": settings, "oof": inputs, "quantize": judged, "store": store,
            "doctor": kept}  # fmt: skip


def _env(name: str) -> str:
    return f"ENSEMBLE_{name.upper()}"


def option(name: str, *, help: str, **more: Any) -> Callable[[Command], Command]:
    """An option that the environment and ensemble.toml can set too."""
    key = name.removeprefix("--").replace("-", "_")
    more.setdefault("show_default", more.get("default") is not None)
    return click.option(name, key, envvar=_env(key), help=help, **more)


def auto_or_number(value: str | int) -> int | Literal["auto"]:
    """Read a whole number from 1 on, or the word auto.

    Raises:
        click.BadParameter: it is neither.
    """
    if value == "auto":
        return "auto"
    if not str(value).isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{str(value)!r} is neither auto nor a whole number from 1 on.")
    return int(value)


class Whole(click.IntRange):
    """A whole number in a range, and so called where a value is none."""

    name = "whole number"


def off_or_evaluations(value: str | float) -> float | None:
    """Read a number of evaluations from 1 on, or the word off, which is None.

    Raises:
        click.BadParameter: it is neither.
    """
    if value == "off":
        return None
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 1 <= number < math.inf:
        raise click.BadParameter(f"{str(value)!r} is neither off nor a number from 1 on.")
    return number


_DEFAULT: Final = Recipe(members=(), images=())

store_option: Final = option(
    "--store", default=str(_DEFAULT.store), type=click.Path(path_type=Path),
    help="Where predictions are kept.",
)  # fmt: skip
id_from_option: Final = option(
    "--id-from", default=_DEFAULT.id_from, type=click.Choice(get_args(IdFrom)),
    help="What the id of an image is.",
)  # fmt: skip
runs_option: Final = click.option(
    "--runs", multiple=True, type=click.Path(path_type=Path),
    help="Folders that runs wrote to.  [default: submissions]",
)  # fmt: skip

_DECODING: Final = (
    option("--exif", default="apply", type=click.Choice(get_args(Exif)),
           help="Whether the EXIF orientation turns an image."),
    option("--alpha", default="drop", type=click.Choice(get_args(Alpha)),
           help="What becomes of transparency: dropped, or blended over a colour."),
    option("--max-pixels", default=DecodePolicy().max_pixels, type=Whole(1),
           help="Larger images are quarantined before they are decoded."),
    option("--allow-truncated", is_flag=True, help="Predict images whose files end early."),
)  # fmt: skip

_INPUTS: Final = (
    option("--members", multiple=True,
           help="Members: files, a folder, a quoted glob or @list.txt."),
    option("--images", multiple=True, default=("images",),
           help="Images: a folder, files, a quoted glob, or a CSV with an id or path column."),
    option("--tta", default=_DEFAULT.tta, help="Views: none, hflip, vflip, flip, d4, "
           "multiscale(0.8,1,1.2), five_crop(H,W), ten_crop(H,W), or pkg.mod:name."),
    option("--merge", default=_DEFAULT.merge, help="How a member's views become one.",
           type=click.Choice(get_args(Merge))),
    option("--head", help="The head to predict, where members carry several."),
    id_from_option,
    *_DECODING,
    option("--device", default=_DEFAULT.device, help="auto, cpu, cuda, tensorrt; a GPU by its "
           "number: cuda:1, tensorrt:1."),
    option("--precision", default=_DEFAULT.precision, type=click.Choice(get_args(Precision)),
           help="What members compute in; fp16 pays on a GPU."),
    store_option,
)  # fmt: skip

_OUTPUTS: Final = (
    option("--voting", default=_DEFAULT.voting,
           type=click.Choice(get_args(Voting)),
           help="How members become one prediction; rank needs weights of `--pool rank`."),
    option("--weights", help="By family: a weights.json, family=0.6,other=0.4, or uniform."),
    option("--sample", type=click.Path(path_type=Path), help="The sample submission: gives ids, "
           "order, columns and whether labels or probabilities are asked for."),
    option("--output", default=_DEFAULT.output,
           type=click.Choice(get_args(Output)),
           help="What to write; auto: what the sample asks for, else labels; binary: 0 and 1 for "
           "each label of a multilabel head."),
    option("--labels-as", default=_DEFAULT.labels_as, help="How labels are written.",
           type=click.Choice(get_args(LabelsAs))),
    option("--fill", help="For quarantined images: a label, or a number for every probability."),
    option("--out", type=click.Path(path_type=Path),
           help="The folder to write.  [default: submissions/<time and recipe>]"),
    option("--force", is_flag=True, help="Replace another run in --out."),
)  # fmt: skip

_ENGINE: Final = (
    option("--batch-size", default=_DEFAULT.batch_size, type=auto_or_number,
           metavar="auto|N",
           help="Images a forward; auto tries a few sizes first, where that pays."),
    option("--shard-size", default=_DEFAULT.shard_size, type=Whole(0),
           help="Images a commit; 0 lets memory decide.", show_default=True),
    option("--memory", default=_DEFAULT.memory,
           help="For decoded pixels, such as 2G; a net's own memory is not in it."),
    option("--threads", default=_DEFAULT.threads, type=Whole(0),
           help="Threads; 0 takes the processors this process may use.", show_default=True),
)  # fmt: skip

_FAULTS: Final = (
    option("--on-nan", default=_DEFAULT.on_nan, type=click.Choice(get_args(OnNan)),
           help="What to do about a member that gives NaN or infinity."),
)  # fmt: skip
"""Not of `oof`: a fold of a dropped member would have no prediction."""

_EXITS: Final = (
    option("--early-exit", default=_DEFAULT.early_exit, metavar="off|lossless|SHARE",
           help="End images early: lossless keeps every label; 0.5% lets at most so many labels "
           "differ from the full ensemble's, by a certificate."),
    option("--confidence", default=_DEFAULT.confidence, metavar="SHARE",
           help="How certain the certificate is."),
    option("--calibration", default=_DEFAULT.calibration, type=Whole(0),
           show_default=True, help="Random images that get every evaluation, for the certificate "
           "or the budget; 0: as few as will do."),
    option("--time-budget", metavar="off|TIME", help="The time that the command may take, such as "
           "2h30m: images that are clear get fewer evaluations."),
    option("--evals-per-image", metavar="off|N", type=off_or_evaluations, help="A budget of "
           "evaluations for an image, on average: one is a member under one view."),
)  # fmt: skip


def stacked(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[Command], Command]:
    """Apply groups of options, in the order of the help page."""

    def decorate(command: Command) -> Command:
        for decorator in reversed([entry for group in groups for entry in group]):
            command = decorator(command)
        return command

    return decorate


def decode_of(flags: dict[str, Any]) -> DecodePolicy:
    """Take the flags of `decode_options` out: how files become pixels."""
    return DecodePolicy(**{name: flags.pop(name) for name in _PIXELS})


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """Make the recipe of the parsed options."""
    values = {"weights": None, **settings}
    decode = decode_of(values)
    weights = values["weights"]
    values["weights"] = from_text(weights) if weights and weights != "uniform" else None
    if values.get("time_budget") == "off":
        values["time_budget"] = None
    return Recipe(**values, decode=decode)


def classes_of(text: str) -> tuple[str, ...]:
    """Read --classes: names with commas, or the file with a class a line that the text names.

    Raises:
        UsageError: there is no such file, or it holds more than a class a line.
    """
    path = Path(text)
    if not is_file(text):
        if path.suffix in (".txt", ".csv", ".json") or "/" in text:
            raise UsageError(f"--classes {text}: no such file")
        return tuple(part.strip() for part in text.split(","))
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--classes {path}: cannot read the classes: {error}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    numbered = [name for name in names if name.partition(",")[0].strip().isdecimal()]
    if path.suffix == ".json" or (numbered and all("," in name for name in names)):
        raise UsageError(
            f"--classes {path}: expected a class a line, in the order of the net's outputs, and "
            f"nothing else; found {names[0]!r}"
        )
    return names


def elsewhere_of(flags: dict[str, Any], files: Sequence[tuple[str | None, Path]]) -> "Elsewhere":
    """Take the flags of `elsewhere_options` out: what files from elsewhere do not say.

    Raises:
        UsageError: --rows-of without a .npy.
    """
    from ensemble.predictions.formats import Elsewhere

    rows_of, task, told = (flags.pop(name) for name in ("rows_of", "task", "classes"))
    if rows_of and not any(path.suffix == ".npy" for _, path in files):
        raise UsageError("--rows-of goes with a .npy; the other files hold their ids")
    return Elsewhere(rows_of, classes_of(told) if told else (), task)


_ELSEWHERE: Final = (
    click.option("--rows-of", type=click.Path(path_type=Path),
                 help="For a .npy, which holds no ids: the CSV whose rows it follows."),
    click.option("--classes", help="For files that name no classes: a,b,c or a file with a class "
                 "a line, in the order of the columns."),
    click.option("--task", type=click.Choice(get_args(Task)),
                 help="What files from elsewhere predict.  [default: what an OOF Parquet says, "
                 "else classification]"),
)  # fmt: skip

decode_options: Final = stacked(_DECODING)
elsewhere_options: Final = stacked(_ELSEWHERE)
input_options: Final = stacked(_INPUTS)
engine_options: Final = stacked(_ENGINE)
run_options: Final = stacked(_INPUTS, _OUTPUTS, _EXITS, _ENGINE, _FAULTS)
vote_options: Final = stacked(_INPUTS, _OUTPUTS)
preflight_options: Final = stacked((
    click.option("--dry-run", is_flag=True, help="Do all that comes before the work, say what the "
                 "work is, and write nothing."),
    click.option("--show-config", is_flag=True, help="Print every setting with its value and its "
                 "origin, and do nothing else."),
))  # fmt: skip
_NO_SETTINGS: Final = ("as_json", "dry_run", "show_config")


def settings_with_origin() -> list[dict[str, object]]:
    """Return each setting of the command that runs: its name, its value, and where it is from."""
    context = click.get_current_context()
    return [
        {"setting": param.name, "value": _plain(context.params[param.name]),
         "origin": _origin(context, param)}
        for param in context.command.params
        if param.name in context.params and param.name not in _NO_SETTINGS
    ]  # fmt: skip


def is_typed(name: str) -> bool:
    """Whether a setting was typed; the environment, ensemble.toml and defaults give way."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def typed_flags(names: Sequence[str]) -> list[str]:
    """Return those of the settings that were typed, as they are written on the command line."""
    typed = [p for p in click.get_current_context().command.params
             if p.name in names and is_typed(str(p.name))]  # fmt: skip
    return [p.opts[0] if isinstance(p, click.Option) else p.human_readable_name for p in typed]


def _origin(context: click.Context, param: click.Parameter) -> str:
    source = context.get_parameter_source(str(param.name))
    named = {
        ParameterSource.COMMANDLINE: param.opts[0],
        ParameterSource.ENVIRONMENT: str(param.envvar),
        ParameterSource.DEFAULT_MAP: FILE,
    }
    return named.get(source, "default") if source else "default"


def tell_origin(error: click.ClickException) -> None:
    """Make an error of click name the variable or the file that a bad value is from."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return
    origin = _origin(error.ctx, error.param)
    if origin == FILE:
        error.param_hint = f"'{error.param.name}' of {FILE}"
    elif origin == error.param.envvar:
        error.param_hint = origin


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


label_option: Final = click.option(
    "--label-col", "label_column", default="label", show_default=True,
    help="The column of the labels.",
)  # fmt: skip
