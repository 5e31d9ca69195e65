"""Fixtures: the working directory of an export."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import FACTORIES, MODULE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with the factories in it."""
    folder = tmp_path_factory.mktemp("export")
    (folder / f"{MODULE}.py").write_text(FACTORIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder
    sys.modules.pop(MODULE, None)
