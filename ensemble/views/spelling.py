"""Any views as text: `views(plain;hflip;hflip+rot90(1))`, written and read back as they were.

It needs no NumPy: settings, which the command line reads, may hold views.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ensemble.errors import UsageError
from ensemble.records import Merge, Op, OpName, View

PLAIN: Final = "plain"
"""What the view without operations is called."""

_LIST: Final = re.compile(r"views\((.*)\)")
_OPERATION: Final = re.compile(r"(\w+)(?:\(([^()]*)\))?")

_Read = Callable[[str], float | int | str]

_TAKEN: Final[Mapping[OpName, Sequence[_Read]]] = {
    "hflip": (),
    "vflip": (),
    "rot90": (int,),
    "scale": (float,),
    "resize": (int, int),
    "crop": (str, int, int),
    "add": (float,),
    "multiply": (float,),
    "jitter": (float, float, float),
}
"""What each operation takes, in order."""


def spell(view: View) -> str:
    """Spell a view by all that it does, as "hflip+rot90(1)"; others are spelled otherwise."""
    return "+".join(_spelled(op.name, op.args) for op in view.ops) or PLAIN


def spell_list(views: Iterable[View]) -> str:
    """Spell views as `--tta` takes them, as "views(plain;hflip)"."""
    return f"views({';'.join(map(spell, views))})"


def merge_words(views: Sequence[str], merge: Merge) -> str:
    """Say how views, as they are spelled, become one: "mean of plain, hflip"; one is itself."""
    return f"{merge} of {', '.join(views)}" if len(views) > 1 else ", ".join(views)


def is_list(text: str) -> bool:
    """Tell whether a text is meant as such a list."""
    return text.strip().startswith("views(")


def read_list(text: str) -> tuple[View, ...]:
    """Read what `spell_list` writes.

    Raises:
        UsageError: it is none; says which view or operation is not.
    """
    found = _LIST.fullmatch(text.strip())
    if found is None or not found[1].strip():
        raise UsageError(f"--tta {text!r}: expected views(plain;hflip), one view or more")
    return tuple(read_view(part) for part in found[1].split(";"))


def read_view(text: str) -> View:
    """Read what `spell` writes.

    Raises:
        UsageError: it is no view; says which operation is not.
    """
    plain = text.strip()
    if plain == PLAIN:
        return View("identity")
    return View(plain, tuple(map(_operation, plain.split("+"))))


def _spelled(name: str, args: Sequence[float | int | str]) -> str:
    return f"{name}({', '.join(map(str, args))})" if args else name


def _operation(text: str) -> Op:
    found = _OPERATION.fullmatch(text.strip())
    name = next((known for known in _TAKEN if found is not None and known == found[1]), None)
    if found is None or name is None:
        raise UsageError(f"views: {text!r} is no operation; expected one of {', '.join(_TAKEN)}")
    told = [part.strip() for part in found[2].split(",")] if found[2] else []
    try:
        return Op(name, tuple(read(part) for read, part in zip(_TAKEN[name], told, strict=True)))
    except ValueError as error:
        raise UsageError(
            f"views: {text!r}: {name} takes {len(_TAKEN[name])} numbers or places"
        ) from error
