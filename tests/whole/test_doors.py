"""Two doors to the same functions: what the command line takes, Python takes by the same name."""

import inspect
from collections.abc import Callable
from dataclasses import fields

import click
import pytest

import ensemble as package
from ensemble.cli import _COMMANDS, cli
from ensemble.export.spec import ExportSpec, PreprocessFlags
from ensemble.recipe.settings import DECODE

SPEC = {f.name for f in (*fields(ExportSpec), *fields(PreprocessFlags))} | {
    "classes",
    "head",
    "ordinal",
    "arg",
}
"""What a record of Python's holds: `heads` are the flags --classes, --head and --ordinal, `args`
--arg."""

DOORS: dict[str, Callable[..., object]] = {
    "export": package.export_members,
    "inspect": package.inspect_members,
    "quantize": package.quantize_members,
    "folds": package.split_folds,
    "oof": package.predict_oof,
    "tune-weights": package.tune_weights,
    "choose": package.choose,
    "crops": package.crops,
    "run": package.run,
    "vote": package.vote,
    "score": package.score_submission,
    "diff": package.diff_submissions,
    "pack": package.pack,
    "report": package.report,
    "verify-exit": package.verify_exit,
}

ECHO = {"as_json", "dry_run", "show_config", "verbose"}
"""What a command prints, or that it only looks: no argument of the function."""

APART = {"score": {"public"}}
"""The other form of `ensemble score` is `record_public`."""


def flags_of(name: str) -> set[str]:
    """The arguments and flags of a command, as Python would write them."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    flags = set()
    for param in command.params:
        option = isinstance(param, click.Option) and param.name not in ECHO
        told = param.opts[0].removeprefix("--").replace("-", "_") if option else param.name
        flags.add(str(told))
    return flags - ECHO - APART.get(name, set())


def arguments_of(name: str) -> set[str]:
    """The arguments of the Python function, a record of several flags as these."""
    taken = set(inspect.signature(DOORS[name]).parameters) - {"progress"}
    for record, held in (("decode", set(DECODE)), ("spec", SPEC), ("write_card", SPEC)):
        if record in taken:
            taken = taken - {record} | held
    return taken


@pytest.mark.parametrize("name", DOORS)
def test_a_function_takes_what_its_command_takes_by_the_same_names(name: str) -> None:
    of_checkpoints = {"arch", "arg", "in_chans", "ema", "key", "drop", "trust_pickle"}
    beyond = {"heads", "preprocess", "args"} | (of_checkpoints if name == "inspect" else set())
    assert arguments_of(name) - beyond == flags_of(name) - {"write_card"}


def test_every_command_has_its_function_but_those_that_keep_house() -> None:
    assert set(_COMMANDS) - set(DOORS) == {"store", "doctor"}


@pytest.mark.parametrize(
    "name", ["run", "vote", "oof", "crops", "tune-weights", "choose", "folds", "quantize", "pack"]
)
def test_what_takes_time_tells_how_far_it_is(name: str) -> None:
    assert "progress" in inspect.signature(DOORS[name]).parameters
