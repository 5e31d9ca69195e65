"""The command line: parse, one call of the library, echo. Only this package speaks and exits."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from ensemble import errors
from ensemble.cli.help import Sentences
from ensemble.cli.options import load_recipe_file, spread_lists
from ensemble.cli.origins import tell_origin
from ensemble.cli.supervise import (
    StopError,
    Supervisor,
    become_worker,
    is_supervised,
    leave,
    resume_line,
)
from ensemble.files.paths import check_utf8
from ensemble.recipe.sources import check_environment
from ensemble.worker import WATCH, read_watch

EXIT_CODES: Final = {
    errors.UsageError: 2,
    errors.MemberError: 4,
    errors.ProviderError: 4,
    errors.ContractError: 5,
    errors.StoreError: 1,
    errors.ScoreError: 1,
    errors.ImageError: 1,
}
"""faults and their exit codes; 3 is a run that finished with quarantined images."""

_EXTRAS: Final = {
    "torch": "export",
    "torchvision": "export",
    "timm": "export",
    "ttach": "export",
    "onnxscript": "export",
    "safetensors": "export",
    "sklearn": "tune",
    "matplotlib": "tune",
    "imagehash": "tune",
    "jinja2": "tune",
    "ray": "ray",
}
"""The extra that brings a package that is not there."""

_DEBUG: Final = "--debug"
_REPORT: Final = "; run it again as `ensemble --debug …` and report what it prints"

_COMMANDS: Final = {
    "export": "ensemble.cli.commands.members",
    "inspect": "ensemble.cli.commands.members",
    "quantize": "ensemble.cli.commands.quantize",
    "folds": "ensemble.cli.commands.folds",
    "oof": "ensemble.cli.commands.tune",
    "tune-weights": "ensemble.cli.commands.tune",
    "choose": "ensemble.cli.commands.choose",
    "crops": "ensemble.cli.commands.crops",
    "run": "ensemble.cli.commands.run",
    "vote": "ensemble.cli.commands.run",
    "score": "ensemble.cli.commands.scores",
    "diff": "ensemble.cli.commands.scores",
    "pack": "ensemble.cli.commands.pack",
    "report": "ensemble.cli.commands.report",
    "verify-exit": "ensemble.cli.commands.store",
    "store": "ensemble.cli.commands.store",
    "doctor": "ensemble.cli.commands.doctor",
}


class Lazy(Sentences):
    """A group that imports a command only when it is asked for, so that --help is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, in the order in which they are used."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module = __import__(_COMMANDS[cmd_name], fromlist=[cmd_name])
        command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command if isinstance(command, click.Command) else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Rewrite `--members a b c` before click sees it."""
        return super().parse_args(ctx, spread_lists(args))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ensemble-vote", prog_name="ensemble")
@click.option(_DEBUG, is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, *, debug: bool) -> None:
    """K-fold checkpoints in, one trustworthy submission out.

    \b
    ensemble export folds/*.ckpt --arch resnet50 --classes classes.txt --out folds
    ensemble run --members folds/*.onnx --tta flip --images test
    """
    ctx.obj = debug
    check_environment(os.environ)
    ctx.default_map = load_recipe_file()


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: the one edge through which errors leave.

    The command line of the process itself is supervised; `arguments` from Python are not.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # it hoards less than Arrow's own
    given = list(sys.argv[1:] if arguments is None else arguments)
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        code = _run(given, is_process=arguments is None)
    except (Exception, KeyboardInterrupt, _Terminated, StopError) as error:
        code = _explain(error, given)
    finally:
        signal.signal(signal.SIGTERM, before)
        if arguments is None:
            read_watch(os.environ).tell("end")
    sys.exit(code)


def _run(given: Sequence[str], *, is_process: bool) -> int:
    """Do what the arguments say, or have a worker do it; return the exit code."""
    if is_process and is_supervised(given):
        return Supervisor(given).run()
    if is_process and WATCH in os.environ:
        become_worker()
    args = [arg for arg in given if arg != _DEBUG]
    _check_arguments(args)
    code = cli.main(args, prog_name="ensemble", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _explain(error: BaseException, given: Sequence[str]) -> int:
    """Say what went wrong, and return the exit code; a worker that was told to stop ends here."""
    match error:
        case StopError():
            leave()
        case click.ClickException():
            tell_origin(error)
            error.show()
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            click.echo(resume_line("interrupted", given), err=True)
            return 130
        case _Terminated():
            click.echo(resume_line("terminated", given), err=True)
            return 143
    foreseen = _with_remedy(error)
    if _DEBUG in given:
        traceback.print_exception(error)
    fault = f"a fault of ensemble itself, {type(error).__name__}: {error}"
    fault += "" if _DEBUG in given else _REPORT
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(foreseen or fault, err=True)
    return next((code for kind, code in EXIT_CODES.items() if isinstance(foreseen, kind)), 1)


def _with_remedy(error: BaseException) -> errors.EnsembleError | None:
    """Return the error that tells a person what to do, or None where nobody foresaw it."""
    if isinstance(error, errors.EnsembleError):
        return error
    if isinstance(error, ModuleNotFoundError):
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        lacking = f"this needs {error.name}: pip install 'ensemble-vote[{extra}]', or in a clone "
        return errors.UsageError(f"{lacking}pip install '.[{extra}]'") if extra else None
    return None


def _check_arguments(args: Sequence[str]) -> None:
    for arg in args:
        check_utf8(arg, "the argument")
    if "" in args:
        after = args[args.index("") - 1] if args.index("") else "the command"
        raise errors.UsageError(f"the value after {after} is empty: an unset variable?")


class _Terminated(BaseException):
    """SIGTERM came."""


def _terminated(_signal: int, _frame: object) -> NoReturn:
    raise _Terminated
