"""Help fits a terminal of 80 columns, whole words on every line."""

import click
import pytest

from ensemble.cli import _COMMANDS, cli

COLUMNS = 80


def commands() -> dict[str, click.Command]:
    """Every command, and those of a group, by what is typed."""
    found: dict[str, click.Command] = {"": cli}
    for name in _COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in command.commands.items()}
    return found


def help_of(name: str, columns: int) -> str:
    command = commands()[name]
    given = {"terminal_width": columns, "max_content_width": columns}
    context = cli.make_context("ensemble", [], resilient_parsing=True, **given)
    if name:
        context = command.make_context(name, [], context, resilient_parsing=True, **given)
    return command.get_help(context)


@pytest.mark.parametrize("name", commands())
def test_no_line_is_longer_than_the_terminal(name: str) -> None:
    assert [line for line in help_of(name, COLUMNS).splitlines() if len(line) > COLUMNS] == []


@pytest.mark.parametrize("name", commands())
def test_no_word_is_cut_or_parted(name: str) -> None:
    assert help_of(name, COLUMNS).split() == help_of(name, 100_000).split()


@pytest.mark.parametrize("name", commands())
def test_every_flag_is_explained(name: str) -> None:
    command = commands()[name]
    lacking = [p.opts[0] for p in command.params if isinstance(p, click.Option) and not p.help]
    assert lacking == []


@pytest.mark.parametrize("name", commands())
def test_what_is_written_may_be_named_by_a_letter(name: str) -> None:
    for param in commands()[name].params:
        if "--out" in param.opts:
            assert param.opts == ["--out", "-o"]
