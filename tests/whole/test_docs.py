"""The documentation says what the code does."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest
from toys import ensemble

import ensemble as package
from ensemble.files.csv_tables import column_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FASHION = ROOT / "models_zoo" / "fashion"
GARMENTS = ROOT / "models_zoo" / "garments"
PAGES = [ROOT / "README.md", *DOCS.glob("*.md"), *ROOT.glob("models_zoo/*/README.md")]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the zoos where a clone has them."""
    leave = shutil.ignore_patterns("work", "checkpoints")
    for zoo in (FASHION, GARMENTS):
        shutil.copytree(zoo, tmp_path / "models_zoo" / zoo.name, ignore=leave)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_reference_is_fresh() -> None:
    spec = importlib.util.spec_from_file_location("make_cli", DOCS / "make_cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "cli.md").read_text() == module.reference(), "stale: run `make docs`"
    page = (DOCS / "recipe.md").read_text()
    assert page == module.recipe_page(page), "stale: run `make docs`"


def test_what_the_design_says_lives_somewhere_lives_there() -> None:
    page = (DOCS / "design.md").read_text()
    section = page.partition("### Where does")[2].partition("## Contracts")[0]
    named = set(re.findall(r"`([a-z_]+/(?:[a-z_]+/)?[a-z_]+)`", section))
    assert len(named) > 30
    assert {name for name in named if not (ROOT / "ensemble" / f"{name}.py").exists()} == set()


@pytest.mark.slow
@pytest.mark.usefixtures("clone")
def test_the_examples_of_python_run_as_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = blocks(DOCS / "python.md", "python")
    assert len(scripts) == 3
    for script in scripts:
        exec(compile(script, "python.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "<Scorecard of 200 rows: accuracy 0.9" in shown
    assert "2000 of 2000 evaluations, " in shown
    assert Path("weights.png").exists()


def test_the_page_of_python_names_every_function() -> None:
    page = (DOCS / "python.md").read_text()
    functions = {name for name in package.__all__ if name[0].islower()}
    assert {name for name in functions if f"`{name}`" not in page} == set()


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands_and_is_right_about_most_images(clone: Path) -> None:
    commands = [shlex.split(line) for block in blocks(DOCS / "tutorial.md", "bash")
                for line in block.splitlines()]  # fmt: skip
    assert len(commands) == 14
    for name, *arguments in commands:
        assert name == "ensemble"
        assert ensemble(*arguments) == 0
    for script in blocks(DOCS / "tutorial.md", "python"):
        exec(compile(script, "tutorial", "exec"), {})
    written = {path.parent.name for path in (clone / "submissions").glob("*/_SUCCESS")}
    assert written == {"first", "hard", "weighted", "tuned", "team", "early", "python"}
    truth = column_of(FASHION / "labels.csv", "label")
    for name in written:
        labels = column_of(clone / "submissions" / name / "submission.csv", "label")
        assert list(labels) == list(truth)
        assert sum(labels[i] == truth[i] for i in truth) > 0.9 * len(truth), name


@pytest.mark.slow
def test_the_tutorial_of_tasks_runs_as_it_stands(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = [shlex.split(line) for block in blocks(DOCS / "tasks-tutorial.md", "bash")
                for line in block.splitlines()]  # fmt: skip
    assert len(commands) == 7
    for name, *arguments in commands:
        assert name == "ensemble"
        assert ensemble(*arguments) == 0
    told = capsys.readouterr()
    assert "three/size: its values are cut hard" in told.err
    assert "verdict: gain" in told.out
    for script in blocks(DOCS / "tasks-tutorial.md", "python"):
        exec(compile(script, "tutorial", "exec"), {})
    truth = column_of(GARMENTS / "test_labels.csv", "label")
    for name in ("garments", "garments-tuned", "garments-python"):
        labels = column_of(clone / "submissions" / name / "submission.csv", "label")
        assert sorted(labels) == sorted(truth)
        assert sum(labels[i] == truth[i] for i in truth) > 0.6 * len(truth), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))
    assert [t for t in targets if "://" not in t and not (page.parent / t).exists()] == []
