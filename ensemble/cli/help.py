"""Help of a group: its commands, each with a whole sentence."""

from typing import Final

import click

_WHOLE: Final = 10_000


class Sentences(click.Group):
    """A group whose help wraps what it says of a command; click cuts it where the line ends."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each command with the first sentence of its help."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, each.get_short_help_str(_WHOLE)) for name, each in found if each]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
