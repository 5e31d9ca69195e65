"""Who is told how far it is, and of what the user should know."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    pass


class Progress(Protocol):
    """Told how far a run is, in evaluations: one image through one member, or one fit."""

    def start(self, total: int, members: int, unit: str = "images") -> None:
        """Begin: evaluations in all, of so many members, which make `unit` when they are one."""

    def advance(self, evaluations: int) -> None:
        """So many more are done."""

    def warn(self, message: str) -> None:
        """Something that the user should know, and that does not stop the run."""


class Quiet:
    """A progress that says nothing."""

    def start(self, total: int, members: int, unit: str = "images") -> None:
        """Say nothing."""

    def advance(self, evaluations: int) -> None:
        """Say nothing."""

    def warn(self, message: str) -> None:
        """Say nothing."""


class Listener(Protocol):
    """Told of what the user should know, and that does not stop the run."""

    def warn(self, message: str) -> None:
        """One line, for a person."""
