"""Ids that are written otherwise than those that are known: with a folder or an extension more."""

import re
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

Tell: TypeAlias = Callable[[str], object]
"""Who is told of what a person should know, a line at a time."""

_EXTENSION: Final = re.compile(r"\.[0-9]*[A-Za-z][0-9A-Za-z]{0,4}\Z")


def counterparts(written: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Return the known id that each written one means, a folder or an extension apart.

    One of the two sides carries it in each of its ids, and without it they are one to one: as many
    as the smaller side has. Empty where it is not so, or where some ids are the same as they stand.

    Args:
        written: The ids of a table, each once.
        known: Those of the images or of the predictions, each once.
    """
    if set(written) & set(known):
        return {}
    for strip in _STRIPS:
        if found := _stripped(written, known, strip):
            return found
        if found := _stripped(known, written, strip):
            return {short: long for long, short in found.items()}
    return {}


def are_known(written: Collection[str], known: Collection[str]) -> bool:
    """Tell whether all ids are known: as they stand, or a folder or an extension apart."""
    return set(written) <= set(known) or len(counterparts(written, known)) == len(set(written))


def recognise(known: Collection[str]) -> Callable[[str], bool]:
    """Return what tells whether an id may be one that is known, perhaps a strip of it apart."""
    held = set(known)
    short = {strip(name) for name in held for strip in _STRIPS}
    return lambda name: name in held or name in short or any(s(name) in held for s in _STRIPS)


def describe_counterparts(where: object, found: dict[str, str]) -> str:
    """Return the line that tells of ids that were joined so."""
    written, known = next(iter(found.items()))
    return (
        f"{where}: its ids are those that are known, a folder or an extension apart, one to one, "
        f"such as {written!r} for {known!r}: they are joined so"
    )


def _stripped(
    long: Collection[str], short: Collection[str], strip: Callable[[str], str]
) -> dict[str, str]:
    wanted = set(short)
    pairs = [(name, strip(name)) for name in long if strip(name) in wanted]
    unique = len({name for _, name in pairs})
    return dict(pairs) if unique == len(pairs) == min(len(long), len(short)) else {}


def _without_folders(name: str) -> str:
    return name.rpartition("/")[2]


def _without_first_folder(name: str) -> str:
    return name.partition("/")[2] or name


def _without_extension(name: str) -> str:
    return _EXTENSION.sub("", name) or name


def _stem(name: str) -> str:
    return _without_extension(_without_folders(name))


def _path(name: str) -> str:
    return _without_extension(_without_first_folder(name))


_STRIPS: Final = (_without_folders, _without_first_folder, _without_extension, _stem, _path)
