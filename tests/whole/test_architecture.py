"""The house as a table: rooms and their levels, doors to packages; and what an import may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import ensemble

PACKAGE = Path(ensemble.__file__).parent

LEVELS = {
    1: {
        "errors",
        "arrays",
        "cores",
        "boxes",
        "records",
        "progress",
        "progress_bar",
        "html_table",
        "label_map",
        "label_tasks",
        "worker",
        "user_code",
        "files",
    },
    2: {"images", "views", "members", "voting", "evaluation"},
    3: {"runtime", "predictions", "recipe", "stopping"},
    4: {"inference", "tuning", "submission", "export"},
    5: {"early_exit", "reports"},
    6: {"pipeline"},
    7: {"api", "cli"},
}  # fmt: skip
"""Imports go to lower levels, or stay in the room; on the ground (1) they may go anywhere."""

DOORS = {
    "recipe": {"settings", "resolve", "saving", "sources", "units", "policy", "track"},
    "images": {"sources", "reading", "scan_index", "loader", "sizes", "box_choice", "crop_table",
               "crops", "resize"},
    "views": {"policy", "parse", "pixels", "families", "spelling", "merging"},
    "members": {"card", "card_json", "member", "together", "onnx_checks", "signature",
                "operators", "layout", "independence", "crop", "detector", "answers",
                "fetched"},
    "runtime": {"scorer", "session", "devices", "graph", "float16", "wheels", "diagnosis",
                "nvidia", "places", "agreement", "openvino", "merges"},
    "inference": {"start", "start_members", "ready", "find", "forecast", "score", "loop",
                  "batches", "probe", "batch_size", "fingerprint", "held_images", "started",
                  "costs", "places", "dispatch", "quicker"},
    "predictions": {"store", "table", "join", "formats", "stored", "inventory", "garbage",
                    "references", "run_record", "run_told", "oof_file", "hints", "parsed",
                    "row_values", "tasks", "slices", "run_file", "file_slices",
                    "kept_views", "join_views", "views_file"},
    "tuning": {"tune", "weigh", "checks", "choose", "budget", "evidence"},
    "early_exit": {"checks", "run", "setup", "forecast", "verify"},
    "submission": {"asked", "sample", "rows", "publish", "folder", "ledger", "proofread",
                   "melted", "sample_table", "staging"},
    "export": {"spec", "names", "to_onnx", "int8", "loaded_net", "soup",
               "about", "files", "graph", "inputs", "joined", "triton", "vote"},
    "api": {"choose", "crops", "pack", "predict", "vote", "weights", "members", "report",
            "results"},
    "cli": {"__init__"},
}  # fmt: skip
"""The modules by which a room is entered from outside; a room that is not named here is open."""

PACKAGES = {
    "PIL": {"images.decode", "images.crops", "images.exif", "images.resize", "images.bands",
            "images.formats", "evaluation.lookalikes", "reports.contact_sheet",
            "reports.trackers.tensorboard", "reports.page.thumbnails"},
    "jinja2": {"reports.page.render"},
    "imagehash": {"evaluation.lookalikes"},
    "simplejpeg": {"images.decode", "images.sizes"},
    "onnx": {"members.member", "members.onnx_checks", "members.signature", "members.layout",
             "members.operators", "members.independence", "members.detector", "runtime.graph",
             "runtime.merges", "runtime.float16", "inference.start", "inference.probe",
             "export.exporters", "export.proof", "export.int8",
             "export.pack.light", "export.pack.joined", "export.pack.pools", "export.pack.blend",
             "export.pack.graph", "export.pack.about", "export.pack.files", "export.pack.triton"},
    "openvino": {"runtime.openvino"},
    "onnxruntime": {"runtime.devices", "runtime.session", "runtime.float16", "export.int8"},
    "torch": {"export.checkpoint_files", "export.checkpoints", "export.exporters",
              "export.loaded_net", "export.nets", "export.proof", "export.soup",
              "export.timm_nets", "export.weights"},
    "timm": {"export.timm_nets"},
    "safetensors": {"export.checkpoint_files"},
    "ttach": {"views.parse"},
    "sklearn": {"evaluation.split"},
    "threadpoolctl": {"cores"},
    "matplotlib": {"reports.figures", "reports.spread_figure", "reports.frontier_figure"},
    "pyarrow": {"files.parquet", "images.parquet_images", "images.parquet_rows", "files.remote",
                "files.remote_listing",
                "predictions.store", "predictions.formats",
                "predictions.foreign", "predictions.oof_file", "predictions.task_file",
                "predictions.run_told", "predictions.run_file", "predictions.stored",
                "predictions.plain_file", "predictions.file_slices", "predictions.views_file"},
    "pandas": {"submission.publish", "api.tables"},
    "ray": {"inference.executors.ray", "inference.executors.ray_cluster"},
    "mlflow": {"reports.trackers.mlflow"},
    "wandb": {"reports.trackers.wandb"},
    "tensorboardX": {"reports.trackers.tensorboard"},
    "click": {"cli"},
    "rich": {"cli"},
}  # fmt: skip
"""The only modules, or rooms, that may import a package."""

ANY = {"cli", "runtime.session"}
"""The only rooms, or modules, that may say `Any`: the options of click, the seam to ONNX Runtime.
Elsewhere what comes from outside is an `object`, checked before it is used, or a protocol."""

HEAVY = ("numpy", "pandas", "scipy", "onnx", "pyarrow", "torch", "timm", "ttach", "onnxruntime",
         "ray", "mlflow", "wandb", "tensorboardX")  # fmt: skip

SLOW = ("pandas", "scipy", "rich", "sklearn", "matplotlib", "jinja2")
TORCH = ("torch", "torchvision", "timm", "ttach")


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name in it; the package's own `__init__` apart."""
    named = {path.relative_to(package).with_suffix(""): path for path in package.rglob("*.py")}
    dotted = {".".join(name.parts).removesuffix("__init__"): path for name, path in named.items()}
    return {name.strip("."): path for name, path in sorted(dotted.items()) if name}


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Return what a module imports while it runs, wherever in it, as `package.module.name`."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    typed = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(package: Path) -> Iterator[tuple[str, str]]:
    """Yield each import of one module of a package by another, as two dotted names in it."""
    known = modules(package)
    for name, path in known.items():
        for full in imported(path):
            if full.split(".")[0] == package.name:
                here = full.removeprefix(f"{package.name}.")
                yield name, here if here in known else here.rpartition(".")[0]


def room(module: str) -> str:
    """The room of a module: its folder, or itself where it stands at the root."""
    return (
        "stopping" if module.startswith("early_exit.stopping") else module.split(".", maxsplit=1)[0]
    )


def upward(package: Path) -> set[tuple[str, str]]:
    """The imports that leave a room and do not go down."""
    level = {name: number for number, names in LEVELS.items() for name in names}
    ground = {(name, other) for name in LEVELS[1] for other in LEVELS[1]}
    pairs = {(a, b) for a, b in inside(package) if room(a) != room(b)}
    return {
        (a, b)
        for a, b in pairs
        if level[room(a)] <= level[room(b)] and (room(a), room(b)) not in ground
    }


def past_the_door(package: Path) -> set[tuple[str, str]]:
    """The imports that enter a room elsewhere than by its doors."""
    between = {(a, b) for a, b in inside(package) if room(a) != room(b)}
    doors = {(b, b.rpartition(".")[2] in DOORS.get(room(b), {b.rpartition(".")[2]}))
             for _, b in between}  # fmt: skip
    return {(a, b) for a, b in between if (b, False) in doors}


def cycles(package: Path) -> set[str]:
    """The modules that import themselves, by way of others."""
    graph: dict[str, set[str]] = {}
    for name, other in inside(package):
        graph.setdefault(name, set()).add(other)

    def reached(name: str) -> set[str]:
        found, todo = set(), [name]
        while todo:
            new = graph.get(todo.pop(), set()) - found
            found |= new
            todo += new
        return found

    return {name for name in graph if name in reached(name)}


def rooms_without_a_level(package: Path) -> set[str]:
    """The rooms that the table does not know."""
    return {room(name) for name in modules(package)} - set().union(*LEVELS.values())


def untyped(package: Path) -> set[str]:
    """The modules that say `Any` where they may not, be it for the type checker alone."""
    named = {
        name
        for name, path in modules(package).items()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.alias) and node.name == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
    }
    return {name for name in named if not {name, room(name)} & ANY}


def package(folder: Path, **texts: str) -> Path:
    """A small package called ensemble: `images__decode` is the module images.decode."""
    for name, text in texts.items():
        path = folder.joinpath("ensemble", *name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "ensemble"


def test_every_room_has_a_level_and_every_level_its_rooms() -> None:
    assert rooms_without_a_level(PACKAGE) == set()
    assert set().union(*LEVELS.values()) == {room(name) for name in modules(PACKAGE)}


def test_a_room_that_is_added_is_seen(tmp_path: Path) -> None:
    assert rooms_without_a_level(package(tmp_path, utils__misc="")) == {"utils"}


def test_an_upward_import_is_seen(tmp_path: Path) -> None:
    low = "def late() -> None:\n    from ensemble.pipeline import run\n    run.run()\n"
    found = upward(package(tmp_path, voting__vote=low, pipeline__run=""))
    assert found == {("voting.vote", "pipeline.run")}


def test_an_import_of_a_room_beside_is_seen(tmp_path: Path) -> None:
    beside = package(tmp_path, views__policy="import ensemble.images.sources", images__sources="")
    assert upward(beside) == {("views.policy", "images.sources")}


def test_a_door_that_is_added_is_seen(tmp_path: Path) -> None:
    past = "from ensemble.images.exif import turned"
    found = past_the_door(package(tmp_path, pipeline__folds=past, images__exif=""))
    assert found == {("pipeline.folds", "images.exif")}


def test_a_circle_inside_a_room_is_seen(tmp_path: Path) -> None:
    one, two = "from ensemble.voting import vote", "from ensemble.voting.blend import Blend"
    assert cycles(package(tmp_path, voting__blend=one, voting__vote=two)) == {
        "voting.blend", "voting.vote",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "from typing import Any",
        "from typing import Any as Anything",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from typing import Any",
        "import typing\ndef told(record: typing.Any) -> None:\n    pass",
    ],
)
def test_a_module_that_says_any_is_seen(tmp_path: Path, text: str) -> None:
    names = ("predictions__run_record", "runtime__scorer", "runtime__session", "cli__options")
    small = package(tmp_path, errors="", **dict.fromkeys(names, text))
    assert untyped(small) == {"predictions.run_record", "runtime.scorer"}


def test_any_stands_at_the_seams_only() -> None:
    assert untyped(PACKAGE) == set()


def test_imports_go_downward() -> None:
    assert upward(PACKAGE) == set()


def test_a_room_is_entered_by_its_doors() -> None:
    assert past_the_door(PACKAGE) == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert cycles(PACKAGE) == set()


def test_every_module_has_a_file_of_tests_and_every_file_a_module() -> None:
    tests = Path(__file__).parents[1]
    own = [name for name, path in modules(PACKAGE).items() if path.name != "__init__.py"]
    dotted = [name if "." in name else f"ground.{name}" for name in [*own, "cli.cli"]]
    places = [name.rpartition(".")[::2] for name in dotted]
    wanted = {tests.joinpath(*rooms.split("."), f"test_{name}.py") for rooms, name in places}
    there = {path for path in tests.rglob("test_*.py") if path.parent.name != "whole"}
    assert there == wanted


def test_a_room_begins_with_a_docstring_and_imports_nothing() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent not in (PACKAGE, PACKAGE / "cli"):
            assert len(ast.parse(path.read_text()).body) == 1, path


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_behind_its_door_only(package: str) -> None:
    users = {
        name
        for name, path in modules(PACKAGE).items()
        if any(full.split(".")[0] == package for full in imported(path))
    }
    assert {u for u in users if not {u, room(u)} & PACKAGES[package]} == set()


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


def test_what_an_export_is_told_is_there_without_torch() -> None:
    script = (
        "import sys, ensemble\nensemble.ExportSpec, ensemble.HeadSpec, ensemble.PreprocessFlags\n"
        f"print([m for m in {TORCH!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_loads_no_torch_and_defers_what_is_slow(members: list[Path], images: Path) -> None:
    script = (
        "import sys\n"
        "from ensemble.cli import main\n"
        "from ensemble.runtime.session import OnnxScorer\n"
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


def test_only_who_splits_folds_waits_for_scikit_learn() -> None:
    script = (
        "import sys, ensemble\nensemble.tune_weights, ensemble.score_submission, ensemble.vote\n"
        "import ensemble.pipeline.tune, ensemble.pipeline.scores, ensemble.pipeline.oof\n"
        "import ensemble.pipeline.vote, ensemble.tuning.weigh\n"
        "print([m for m in ('sklearn', 'torch', 'timm') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_public_names_are_listed_sorted_and_there() -> None:
    assert ensemble.__all__ == sorted(ensemble.__all__)
    for name in ensemble.__all__:
        assert getattr(ensemble, name).__name__ == {"Oof": "Predictions"}.get(name, name)


def test_the_library_has_no_assert_print_or_exit() -> None:
    for name, path in modules(PACKAGE).items():
        tree = ast.parse(path.read_text())
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"print", "exit"}, name
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), name
