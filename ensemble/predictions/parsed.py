"""The JSON of our own files, checked as it is taken: what is of another kind is a TypeError."""

from collections.abc import Mapping, Sequence

from ensemble.records import Quarantined


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


def quarantined_of(told: object) -> tuple[Quarantined, ...]:
    """Return a JSON list of images without a prediction.

    Raises:
        TypeError: it is none, or one lacks a field, or has one that is of another kind.
    """
    return tuple(_quarantined(mapping_of(each)) for each in list_of(told))


def _quarantined(told: Mapping[str, object]) -> Quarantined:
    texts = {name: text_of(value) for name, value in told.items() if name != "bytes"}
    return Quarantined(**texts, bytes=number_of(told.get("bytes")))
