"""Flags that say something of each head: `--classes`, `--task`, `--activation`, `--output-name`."""

from collections.abc import Sequence
from typing import TypeVar, cast, get_args

from ensemble.errors import UsageError
from ensemble.files.classes import classes_of
from ensemble.files.paths import is_file, split_named

Choice = TypeVar("Choice", bound=str)


def classes_by_head(given: Sequence[str], head: str | None) -> dict[str, tuple[str, ...]]:
    """Read --classes: one list, or HEAD=list for each of several heads.

    Args:
        given: The texts: names with commas, or a file with a class a line, perhaps after HEAD=.
        head: What --head calls the one head; None is "label".

    Returns:
        The classes of each head, in the order in which they are given.

    Raises:
        UsageError: there are none, a head has no name or is given twice, or a text may be read
            in two ways.
    """
    if not given:
        raise UsageError(
            "--classes is needed: a,b,c or a file with a class a line; of a regression, what its "
            "target is called"
        )
    heads: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, listed = split_named(text)
        if len(given) > 1 and not name:
            raise UsageError(f"--classes {text!r}: with several heads, say HEAD=FILE for each")
        if name and head:
            raise UsageError(f"--head {head}: --classes names the head {name!r} already")
        _check_plain(text, name, listed, alone=len(given) == 1)
        name = name or head or "label"
        if name in heads:
            raise UsageError(f"--classes: head {name!r} stands there twice")
        heads[name] = classes_of(listed)
    return heads


def _check_plain(text: str, name: str, listed: str, *, alone: bool) -> None:
    """Refuse a list whose = may belong to the name of a class as well."""
    if not name or is_file(listed):
        return
    if "=" in listed:
        raise UsageError(
            f"--classes {text!r}: names of classes that hold = are given by a file with a class a "
            f"line: --classes FILE, or {name}=FILE for the head {name!r}"
        )
    if alone and "," in listed:
        raise UsageError(
            f"--classes {text!r}: a head {name!r}, or a class whose name holds =? For the head, "
            f"say --head {name} --classes {listed}; names that hold = or , are given by a file "
            f"with a class a line: --classes FILE"
        )


def choices_by_head(
    flag: str, given: Sequence[str], choices: object, heads: Sequence[str]
) -> tuple[Choice | None, dict[str, Choice]]:
    """Read a flag that takes `[HEAD=]CHOICE`, several times.

    Args:
        flag: Its name, for messages.
        given: The texts.
        choices: The `Literal` of what may be chosen.
        heads: The heads that there are.

    Returns:
        What is said of every head, None where nothing is; and what is said of single ones.

    Raises:
        UsageError: no such choice or head, or something is said twice.
    """
    found: dict[str, Choice] = {}
    for text in given:
        name, _, choice = text.rpartition("=")
        if choice not in get_args(choices):
            raise UsageError(f"{flag} {text!r}: expected one of {', '.join(get_args(choices))}, "
                             f"or HEAD= and one of them")  # fmt: skip
        if name and name not in heads:
            raise UsageError(f"{flag} {text!r}: no head {name!r}; the heads are {', '.join(heads)}")
        if name in found:
            raise UsageError(f"{flag} {text!r}: said twice; leave one of them out")
        found[name] = cast(Choice, choice)
    return found.pop("", None), found


def outputs_by_head(given: Sequence[str], heads: Sequence[str]) -> str | dict[str, str] | None:
    """Read --output-name, which takes `[HEAD=]NAME`, several times.

    What stands before = is a head where there is one of that name, and else a part of the output's.

    Returns:
        The one output where no head is named, those of heads by name, or None where none is said.

    Raises:
        UsageError: several outputs of which one names no head, or a head is named twice.
    """
    found: dict[str, str] = {}
    for text in given:
        head = max((name for name in heads if text.startswith(f"{name}=")), key=len, default=None)
        if head is None:
            if len(given) == 1:
                return text
            raise UsageError(f"--output-name {text!r}: of which head? Say HEAD=NAME; the heads are "
                             f"{', '.join(heads)}")  # fmt: skip
        if head in found:
            raise UsageError(f"--output-name {text!r}: said twice; leave one of them out")
        found[head] = text.removeprefix(f"{head}=")
    return found or None
