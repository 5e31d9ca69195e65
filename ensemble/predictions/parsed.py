"""The JSON of our own files, checked as it is taken: what is of another kind is a TypeError."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ensemble.errors import UsageError
from ensemble.records import Ordinal, Quarantined

Taken = TypeVar("Taken")


def mapping_of(told: object) -> Mapping[str, object]:
    """Return a JSON object.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(told, dict):
        raise TypeError(f"expected an object, found {told!r:.80}")
    return told


def list_of(told: object) -> Sequence[object]:
    """Return a JSON list, or the tuple that one is written from.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(told, list | tuple):
        raise TypeError(f"expected a list, found {told!r:.80}")
    return told


def text_of(told: object) -> str:
    """Return a JSON text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(told, str):
        raise TypeError(f"expected a text, found {told!r:.80}")
    return told


def texts_of(told: object) -> tuple[str, ...]:
    """Return a JSON list of texts.

    Raises:
        TypeError: it is none.
    """
    return tuple(map(text_of, list_of(told)))


def number_of(told: object) -> int:
    """Return a JSON whole number.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(told, int) or isinstance(told, bool):
        raise TypeError(f"expected a whole number, found {told!r:.80}")
    return told


def real_of(told: object) -> float:
    """Return a JSON number.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(told, int | float) or isinstance(told, bool):
        raise TypeError(f"expected a number, found {told!r:.80}")
    return told


def or_none(take: Callable[[object], Taken], told: object) -> Taken | None:
    """Return what one of these readers takes, or None for null.

    Raises:
        TypeError: it is neither.
    """
    return None if told is None else take(told)


def choice_of(told: object, choices: tuple[Taken, ...]) -> Taken:
    """Return the one of these that a JSON text names.

    Raises:
        TypeError: it is none of them.
    """
    for choice in choices:
        if choice == told:
            return choice
    raise TypeError(f"expected one of {', '.join(map(str, choices))}, found {told!r:.80}")


def record_of(make: Callable[..., Taken], told: object) -> Taken:
    """Return the flat dataclass `make` with the fields of a JSON object, each of its own kind.

    Raises:
        TypeError: it is no object, lacks a field, or has one that is unknown or of another kind.
    """
    fields, kinds = mapping_of(told), _kinds(make)
    for name in fields.keys() & kinds.keys():
        check_kind(name, fields[name], kinds[name])
    return make(**fields)


@cache
def _kinds(make: Callable[..., object]) -> Mapping[str, object]:
    return get_type_hints(make)


def check_kind(name: str, told: object, kind: object) -> None:
    """Check that a value is of the kind that an annotation names; `name` is its own in the error.

    A float may be a whole number, and a flag 0 or 1, since Python may have been given these.

    Raises:
        TypeError: it is of another kind.
    """
    if not _is_of(kind, told):
        raise TypeError(f"{name}: expected {_described(kind)}, found {told!r:.80}")


def _described(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _is_of(kind: object, told: object) -> bool:
    """Tell whether a value is of a class, a Literal, a union, or a tuple of any length."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return told in args
    if origin in (Union, UnionType):
        return any(_is_of(each, told) for each in args)
    if origin is tuple:
        return isinstance(told, tuple) and all(_is_of(args[0], each) for each in told)
    return isinstance(kind, type) and _is_one(kind, told)


def _is_one(kind: type, told: object) -> bool:
    if isinstance(told, bool) or kind is bool:
        return kind is bool and told in (0, 1)
    return isinstance(told, (int, float) if kind is float else kind)


def quarantined_of(told: object) -> tuple[Quarantined, ...]:
    """Return a JSON list of images without a prediction.

    Raises:
        TypeError: it is none, or one lacks a field, or has one that is of another kind.
    """
    return tuple(record_of(Quarantined, each) for each in list_of(told))


def ordinal_of(told: object) -> Ordinal:
    """Return how thresholds of ordered classes are meant.

    Raises:
        ValueError: none of the ways.
    """
    return choice_of(told, get_args(Ordinal))


def check_schema(where: object, about: Mapping[str, object], known: int) -> None:
    """Check that a file is of the schema that is read here; one that says nothing is of the first.

    Raises:
        UsageError: it is of another; names both.
    """
    found = about.get("schema", 1)
    if found != known:
        raise UsageError(
            f"{where}: it is of schema {found!r:.40}, and this version reads {known}: read it with "
            f"the version that wrote it, or write it anew"
        )
