"""The family and the fold of a checkpoint, read off its name and the folders that it lies in."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ensemble.errors import UsageError
from ensemble.files.paths import SUFFIXES

_SEPARATORS: Final = "-_. "
_STARTS, _ENDS = r"(?:^|(?<=[-_. ]))", r"(?=$|[-_. ])"
_FOLD: Final = re.compile(
    rf"{_STARTS}(?:k|[0-9]+-?)?fold[-_= ]?([0-9]+)(?:of[0-9]+)?{_ENDS}", re.IGNORECASE
)
"""fold0, fold_0, fold=0; also kfold0, 5fold_0 and fold0of5."""

_PRECISION: Final = r"(?!(?:16|32|64)(?![0-9]))"
_SCORE: Final = r"(?!1[-_=. ][0-9]*\.[0-9])"
_SCORED: Final = r"(?<!best[-_. ])(?<!macro[-_. ])(?<!micro[-_. ])(?<!weighted[-_. ])(?<!val[-_. ])"
_SHORT: Final = re.compile(
    rf"{_STARTS}(?:{_SCORED}f(?=1{_ENDS})|f(?!1{_ENDS})){_PRECISION}{_SCORE}([0-9]+){_ENDS}",
    re.IGNORECASE,
)
"""f0, f12; not f16, f32 and f64, which are precisions, nor the score in best_f1 and f1_0.93."""

_NUMBER: Final = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?"
_METRIC: Final = (
    r"(?:(?:val|valid|validation|train|test|cv|oof|best)[_/.](?!k?fold=)\w+?|[a-z][a-z0-9]*)"
)
_PAIR: Final = re.compile(
    rf"{_STARTS}(?!k?fold=[0-9]+{_ENDS}){_METRIC}=(?:{_NUMBER}|\w*){_ENDS}", re.IGNORECASE
)
"""What Lightning writes into names: epoch=13, val_acc=0.77."""

_VERSION: Final = re.compile(r"[-_. ]v[0-9]+$")
_PLAIN: Final = frozenset(
    ("best", "last", "final", "model", "net", "checkpoint", "ckpt", "weights", "state", "dict")
)
_UP: Final = 3


def family_and_fold(path: Path) -> tuple[str, int | None]:
    """Read the family and the fold: "resnet-f0.pt" is ("resnet", 0).

    The fold is a part of its own between separators: f0, fold0, fold_0, fold-0 or fold=0, also
    kfold0, 5fold_0 and fold0of5. Where the name has none, that of the nearest of three folders is
    taken: "fold_0/resnet.pth". The family is the rest of the name without parts such as epoch=13,
    which differ between folds; where that only says what "best.pth" says, it is the rest of the
    folder's name. It is empty for "fold0.ckpt" and "fold_0/best.pth".

    Raises:
        UsageError: the name holds several folds.
    """
    stem = path.name
    while (suffix := Path(stem).suffix).lower() in SUFFIXES:
        stem = stem.removesuffix(suffix)
    name = _without_pairs(stem)
    if len(found := _folds(name)) > 1:
        names = ", ".join(match[0] for match in found)
        raise UsageError(f"{path}: its name holds several folds: {names}. Give --family and --fold")
    if found:
        return _beside(found[0], name), int(found[0][1])
    for folder in [parent.name for parent in path.parents][:_UP]:
        if len(found := _folds(folder)) == 1:
            family = _beside(found[0], folder) if _says_nothing(name) else name
            return family, int(found[0][1])
    return name, None


def _folds(name: str) -> list[re.Match[str]]:
    return list(_FOLD.finditer(name)) or list(_SHORT.finditer(name))


def _beside(fold: re.Match[str], name: str) -> str:
    """Return a name without the fold in it."""
    before, after = name[: fold.start()], name[fold.end() :]
    return (before.rstrip(_SEPARATORS) + after.rstrip(_SEPARATORS)).lstrip(_SEPARATORS)


def _without_pairs(stem: str) -> str:
    """Drop the parts key=value that are no fold, and the -v1 that Lightning puts behind them."""
    if not _PAIR.search(stem):
        return stem
    kept = list(_between_pairs(_VERSION.sub("", stem)))
    return "".join(kept).strip(_SEPARATORS)


def _between_pairs(stem: str) -> Iterator[str]:
    end = 0
    for pair in _PAIR.finditer(stem):
        yield stem[end : pair.start()].rstrip(_SEPARATORS)
        end = pair.end()
    yield stem[end:]


def _says_nothing(family: str) -> bool:
    words = re.split(r"[-_. ]+", family.lower())
    return all(word in _PLAIN or not word for word in words)
