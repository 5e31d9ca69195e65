"""The architecture as a table: rows, doors, no cycles; and what an import may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ensemble

PACKAGE = Path(ensemble.__file__).parent

ROWS = {
    "amounts": 1, "arrays": 1, "errors": 1, "files": 1, "paths": 1, "tables": 1, "watch": 1,
    "driver": 1,
    "spec": 2, "card": 2, "config": 2, "pools": 2, "ops": 2, "columns": 2, "protos": 2,
    "providers": 2, "binding": 2, "metrics": 2, "resample": 2, "decision": 2, "weights": 2,
    "foreign": 2,
    "images": 3, "decode": 3, "preprocess": 3, "views": 3, "graph": 3, "members": 3, "session": 3,
    "store": 3, "voting": 3, "submission": 3, "checkpoints": 3, "nets": 3, "runs": 3, "tuning": 3,
    "oof": 3, "gate": 3, "truth": 4, "compare": 3, "exits": 3, "turns": 3,
    "folds": 3, "twins": 3, "ledger": 3, "doctor": 3, "halves": 3,
    "lineup": 4, "batches": 4, "shards": 4, "fingerprints": 4, "exitplan": 4, "votes": 4,
    "export": 4, "quantize": 4, "inventory": 4,
    "proofread": 4,
    "predict": 5, "warmup": 5, "cast": 5, "exitrecord": 5, "outcome": 5,
    "early": 6, "scoring": 6, "publish": 6, "checkup": 6, "scorecard": 6,
    "pacing": 7, "audit": 7,
    "exiting": 8, "foresight": 8,
    "pipeline": 9, "outoffold": 9, "blending": 9, "folding": 9, "quantizing": 9, "picture": 9,
    "api": 10, "reports": 10,
    "cli": 11,
}  # fmt: skip
"""Imports go to lower rows only; see docs/design.md."""

DOORS = {
    "PIL": {"decode", "preprocess", "twins"},
    "imagehash": {"twins"},
    "simplejpeg": {"decode"},
    "onnx": {"protos", "graph", "members", "halves", "export", "lineup", "quantize"},
    "onnxruntime": {"providers", "session", "quantize", "halves"},
    "torch": {"checkpoints", "nets", "export"},
    "timm": {"nets"},
    "safetensors": {"checkpoints"},
    "ttach": {"views"},
    "sklearn": {"folds"},
    "matplotlib": {"picture"},
    "pyarrow": {"columns", "store", "submission", "oof", "foreign"},
    "pandas": {"publish", "api"},
    "click": {"cli"},
    "rich": {"cli"},
}
"""The only modules that may import a package."""

HEAVY = ("numpy", "pandas", "scipy", "onnx", "pyarrow", "torch", "timm", "ttach", "onnxruntime",
         "ray")  # fmt: skip

SLOW = ("pandas", "scipy", "rich", "sklearn", "matplotlib")
TORCH = ("torch", "torchvision", "timm", "ttach")


def imports_of(name: str) -> set[str]:
    """Every module that a module of the package imports, wherever in it."""
    found: set[str] = set()
    root = PACKAGE / name
    files = sorted(root.glob("*.py")) if root.is_dir() else [root.with_suffix(".py")]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "ensemble":
                found |= {f"ensemble.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return found


def own(name: str) -> set[str]:
    """The package's own modules that one of them imports."""
    parts = {i.split(".")[1] for i in imports_of(name) if i.startswith("ensemble.")}
    return parts - {name}


def test_every_module_has_a_row() -> None:
    modules = {p.stem for p in PACKAGE.glob("*.py")} | {
        p.parent.name for p in PACKAGE.glob("*/*.py")
    }
    assert modules - {"__init__"} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_imports_go_downward(name: str) -> None:
    assert {other for other in own(name) if ROWS[other] >= ROWS[name]} - _same_row(name) == set()


@pytest.mark.parametrize("package", DOORS)
def test_a_package_is_imported_behind_its_door_only(package: str) -> None:
    users = {n for n in ROWS if any(i.split(".")[0] == package for i in imports_of(n))}
    assert users <= DOORS[package]


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys, ensemble\nfrom ensemble.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_loads_no_torch_and_defers_what_is_slow(members: list[Path], images: Path) -> None:
    script = (
        "import sys\n"
        "from ensemble.cli import main\n"
        "from ensemble.session import OnnxScorer\n"
        "seen, score = set(), OnnxScorer.score\n"
        "def watched(self, images):\n"
        "    seen.update(sys.modules)\n"
        "    return score(self, images)\n"
        "OnnxScorer.score = watched\n"
        "try:\n"
        f"    main(['run', '--members', {str(members[0].parent)!r}, "
        f"'--images', {str(images)!r}, '--tta', 'flip'])\n"
        "except SystemExit as end:\n"
        "    code = end.code\n"
        f"print(code, len(seen) > 0, [m for m in {SLOW + TORCH!r} if m in seen], "
        f"[m for m in {TORCH!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        cwd=images.parent,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "0 True [] []"


def test_public_names_are_listed_sorted_and_there() -> None:
    assert ensemble.__all__ == sorted(ensemble.__all__)
    for name in ensemble.__all__:
        assert getattr(ensemble, name).__name__ == name


def test_the_library_has_no_assert_print_or_exit() -> None:
    for path in sorted(PACKAGE.glob("*.py")):
        tree = ast.parse(path.read_text())
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"print", "exit"}, path
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path


def _same_row(name: str) -> set[str]:
    """Rows 1 and 2 hold records and helpers that build on each other; the rest must not."""
    return {other for other in ROWS if ROWS[other] == ROWS[name] and ROWS[name] <= 2}
