"""The command line: parse, one call of the library, echo. Only this package speaks and exits."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from ensemble import errors
from ensemble.cli.options import load_recipe_file, spread_lists, tell_origin
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
from ensemble.worker import WATCH

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
}
"""The extra that brings a package that is not there."""

_COMMANDS: Final = {
    "export": "ensemble.cli.commands.members",
    "inspect": "ensemble.cli.commands.members",
    "quantize": "ensemble.cli.commands.quantize",
    "folds": "ensemble.cli.commands.folds",
    "oof": "ensemble.cli.commands.tune",
    "tune-weights": "ensemble.cli.commands.tune",
    "run": "ensemble.cli.commands.run",
    "vote": "ensemble.cli.commands.run",
    "score": "ensemble.cli.commands.scores",
    "diff": "ensemble.cli.commands.scores",
    "verify-exit": "ensemble.cli.commands.store",
    "store": "ensemble.cli.commands.store",
    "doctor": "ensemble.cli.commands.doctor",
}


class Lazy(click.Group):
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
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
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
    args = given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        if arguments is None and is_supervised(given):
            sys.exit(Supervisor(given).run())
        if arguments is None and WATCH in os.environ:
            become_worker()
        _check_arguments(args)
        code = cli.main(args, prog_name="ensemble", standalone_mode=False)
    except errors.EnsembleError as error:
        _fail(error, debug=debug)
        sys.exit(_code_of(error))
    except click.ClickException as error:
        tell_origin(error)
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(resume_line("interrupted", given), err=True)
        sys.exit(130)
    except _Terminated:
        click.echo(resume_line("terminated", given), err=True)
        sys.exit(143)
    except StopError:
        leave()
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        lacking = f"this needs {error.name}: pip install 'ensemble-vote[{extra}]', or in a clone "
        lacking += f"pip install '.[{extra}]'"
        _fail(errors.UsageError(lacking) if extra else error, debug=debug, unforeseen=not extra)
        sys.exit(2 if extra else 1)
    except Exception as error:
        _fail(error, debug=debug, unforeseen=True)
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(code if isinstance(code, int) else 0)


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


def _code_of(error: errors.EnsembleError) -> int:
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))


def _fail(error: BaseException, *, debug: bool, unforeseen: bool = False) -> None:
    if debug:
        traceback.print_exception(error)
    text = str(error)
    if unforeseen:
        text = f"a fault of ensemble itself, {type(error).__name__}: {text}"
        text += "" if debug else "; run it again as `ensemble --debug …` and report what it prints"
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(text, err=True)
