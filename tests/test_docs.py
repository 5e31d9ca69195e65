"""The documentation says what the code does."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import ensemble

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *DOCS.glob("*.md"), *ROOT.glob("models_zoo/*/README.md")]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the fashion zoo where a clone has it."""
    leave = shutil.ignore_patterns("work", "checkpoints")
    shutil.copytree(ROOT / "models_zoo" / "fashion", tmp_path / "models_zoo/fashion", ignore=leave)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_reference_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "cli.md").read_text() == module.reference(), "stale: run `make docs`"


def test_the_tutorial_runs_as_it_stands(clone: Path) -> None:
    commands = [shlex.split(line) for block in blocks(DOCS / "tutorial.md", "bash")
                for line in block.splitlines()]  # fmt: skip
    assert len(commands) == 10
    for name, *arguments in commands:
        assert name == "ensemble"
        assert ensemble(*arguments) == 0
    for script in blocks(DOCS / "tutorial.md", "python"):
        exec(compile(script, "tutorial", "exec"), {})
    written = {path.parent.name for path in (clone / "submissions").glob("*/_SUCCESS")}
    assert written == {"first", "hard", "weighted", "tuned", "team", "python"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []
