"""What Python is given, as the library takes it: paths, texts, weights by name."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from ensemble.errors import UsageError
from ensemble.files.classes import classes_of
from ensemble.recipe.policy import Policy
from ensemble.records import DecodePolicy
from ensemble.submission.publish import Submission
from ensemble.voting import weights
from ensemble.voting.weights import Weights

WeightsGiven = Weights | Mapping[str, float] | str | Path | None

Paths = str | Path | Iterable[str | Path]

ClassesGiven: TypeAlias = str | Path | Sequence[str]
"""Names, in order; or as text a,b,c or a file with a class a line."""

TasksGiven: TypeAlias = str | Mapping[str, Mapping[str, object]]
"""What is declared of a label map's tasks: TOML, or a mapping of tasks to what it would say."""

ConstraintsGiven: TypeAlias = str | Sequence[str] | Mapping[str, str]
"""Equations, such as "total = a + b"; or by target what it is the sum of."""

TtaGiven: TypeAlias = str | Mapping[str, str]
"""A policy of views, such as flip; or one for each family, by its name."""

Value = TypeVar("Value")


def either(value: Value | None, default: Value) -> Value:
    """Return what was given, be it empty, or the default where nothing was."""
    return default if value is None else value


def texts_of(paths: Paths, what: str = "paths") -> tuple[str, ...]:
    """Return paths as text.

    Raises:
        UsageError: they are neither a path nor several.
    """
    if isinstance(paths, str | Path):
        return (str(paths),)
    texts = tuple(paths) if isinstance(paths, Iterable) else (paths,)
    if odd := [text for text in texts if not isinstance(text, str | Path)]:
        raise unlike(what, "a path, or several", odd[0])
    return tuple(map(str, texts))


def path_of(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def decode_of(given: DecodePolicy | None) -> DecodePolicy:
    """Return how files become pixels, by default where nothing was given.

    Raises:
        UsageError: another type.
    """
    if given is not None and not isinstance(given, DecodePolicy):
        raise unlike("decode", "an ensemble.DecodePolicy", given)
    return given or DecodePolicy()


def text_of(value: object) -> str | None:
    return None if value is None else str(value)


def constraints_of(given: ConstraintsGiven) -> tuple[str, ...]:
    """Return equations as text.

    Raises:
        UsageError: what was given are none.
    """
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Mapping):
        given = [f"{target} = {total}" for target, total in given.items()]
    if not isinstance(given, Sequence) or not all(isinstance(text, str) for text in given):
        raise unlike("constraints", "equations such as 'total = a + b'", given)
    return tuple(given)


def folder_of(run: object) -> Path:
    """Return the folder of a run, which is named or was given back.

    Raises:
        UsageError: another type.
    """
    if isinstance(run, Submission):
        return run.folder
    if isinstance(run, str | Path):
        return Path(run)
    raise unlike("run", "a run's folder, or what `run` gave", run)


def weights_of(given: WeightsGiven) -> Weights | None:
    """Return weights; None, which weighs families alike, for None and "uniform".

    Raises:
        UsageError: what was given are no weights.
    """
    if given is None or given == "uniform":
        return None
    if isinstance(given, Weights):
        return given
    if isinstance(given, Mapping):
        return Weights(dict(given))
    if isinstance(given, str | Path):
        return weights.from_text(str(given))
    raise unlike("weights", "Weights, a mapping, a path or text", given)


def policy_of(given: Policy | str | Path | None) -> Policy | None:
    """Return a policy, which may be named.

    Raises:
        UsageError: another type, or no file of a policy.
    """
    if given is None or isinstance(given, Policy):
        return given
    if isinstance(given, str | Path):
        return Policy.load(given)
    raise unlike("policy", "a Policy, or the path of a policy.json", given)


def classes_in(given: ClassesGiven) -> tuple[str, ...]:
    """Return the names of classes, which may stand in a text or a file."""
    return classes_of(str(given)) if isinstance(given, str | Path) else tuple(given)


def unlike(what: str, expected: str, given: object) -> UsageError:
    """Return the error of an argument of another type than expected."""
    return UsageError(f"{what}: expected {expected}; found {type(given).__name__}")
