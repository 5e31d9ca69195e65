"""The user's own code: the only place that imports what is named as pkg.mod:name."""

import difflib
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ensemble.errors import UsageError


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Put a folder first on the import path for a while."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def load_object(text: str, what: str) -> object:
    """Import `pkg.mod:name`, looking in the working directory too.

    Only for names from the command line or the user's own recipe: importing runs code.

    Raises:
        UsageError: it is not of that form, or cannot be imported; says why.
    """
    module_name, _, name = text.partition(":")
    if not module_name or not name.isidentifier():
        raise UsageError(f"{what} {text!r}: expected pkg.mod:name")
    try:
        with importable(Path.cwd()):
            module = importlib.import_module(module_name)
    except Exception as error:  # a module of the user's own may raise anything
        raised = f"{type(error).__name__}: {error}"
        raise UsageError(f"{what} {text!r}: cannot import {module_name}: {raised}") from error
    if not hasattr(module, name):
        near = difflib.get_close_matches(name, dir(module), n=1)
        hint = f". Did you mean {near[0]}?" if near else ""
        raise UsageError(f"{what} {text!r}: {module_name} has no {name!r}{hint}")
    return getattr(module, name)
