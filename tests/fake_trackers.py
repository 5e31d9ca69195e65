"""Packages of trackers that keep what they are told in a file, or fail where they are asked to."""

import json
from pathlib import Path
from typing import Any

import pytest

_FAULT = """
import json, os, sys, time

def may_fail(step):
    match os.environ.get("FAULT", "").split():
        case ["raise", at] if at == step:
            raise RuntimeError(f"no {step},\\nwhatever one tries")
        case ["hang", at] if at == step:
            time.sleep(600)
        case ["crash", at] if at == step:
            os._exit(7)
        case ["quit", at] if at == step:
            sys.exit(3)

def keep(*told):
    may_fail(told[0])
    with open(os.environ["TOLD"], "a") as file:
        print(json.dumps(told), file=file)

print("a package prints on stdout")
may_fail("import")
"""

_TENSORBOARD = """
class SummaryWriter:
    def __init__(self, logdir):
        keep("open", os.path.relpath(logdir))
    def add_text(self, name, value):
        keep("setting", name, value)
    def add_scalar(self, name, value, step):
        keep("score", name, value)
    def add_image(self, name, pixels, step, dataformats):
        keep("picture", name, list(pixels.shape))
    def close(self):
        keep("close")
"""


@pytest.fixture
def fake_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensorboardX that keeps what it is told; `FAULT` says where it fails: "raise close"."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "tensorboardX.py").write_text(_FAULT + _TENSORBOARD)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.chdir(tmp_path)


def told(folder: Path) -> list[list[Any]]:
    """What the fake was told, in order."""
    return [json.loads(line) for line in (folder / "told").read_text().splitlines()]
