"""Code of the user's own is found beside them, called by its name, and never half-imported."""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.user_code import importable, load_object


@pytest.fixture(autouse=True)
def _modules_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder of its own, and forget what was imported from there."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    new = {name: sys.modules[name] for name in set(sys.modules) - before}
    places = {
        name: [*getattr(m, "__path__", []), getattr(m, "__file__", None)] for name, m in new.items()
    }
    for name, where in places.items():
        if any(str(place).startswith(str(tmp_path)) for place in where):
            del sys.modules[name]


def written(name: str, code: str) -> None:
    path = Path(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)


def test_an_object_of_an_installed_module_is_found() -> None:
    assert load_object("collections:OrderedDict", "--x") is OrderedDict


def test_an_object_of_the_working_folder_is_found() -> None:
    written("mine_a", "answer = 42")
    assert load_object("mine_a:answer", "--x") == 42


def test_a_module_within_a_folder_is_found() -> None:
    written("pack_a.deep.mod", "def views(): return 3")
    found = load_object("pack_a.deep.mod:views", "--x")
    assert callable(found)
    assert found() == 3


def test_an_object_may_be_nothing() -> None:
    written("mine_b", "nothing = None")
    assert load_object("mine_b:nothing", "--x") is None


@pytest.mark.parametrize(
    "text", ["", "mod", ":name", "mod:", "mod:a.b", "mod:a b", "mod:1a", "mod:name:more", "mod:f()"]
)
def test_what_names_no_object_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_object(text, "--tta")
    assert str(caught.value) == f"--tta {text!r}: expected pkg.mod:name"


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"--arch 'no_such_mod:f': cannot import no_such_mod: Mod"):
        load_object("no_such_mod:f", "--arch")


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: "),
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("class Odd(Exception): pass\nraise Odd('mine')", "Odd: mine"),
    ],
    ids=["arithmetic", "syntax", "import", "own"],
)
def test_a_module_that_fails_is_named_with_what_it_raised(code: str, raised: str) -> None:
    written("failing", code)
    with pytest.raises(UsageError) as caught:
        load_object("failing:f", "--tta")
    assert f"--tta 'failing:f': cannot import failing: {raised}" in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_module_that_failed_may_be_mended() -> None:
    written("mended", "1 / 0")
    with pytest.raises(UsageError):
        load_object("mended:f", "--tta")
    written("mended", "f = 'right at last'")
    assert load_object("mended:f", "--tta") == "right at last"


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    written("mine_c", "def build_views(): pass")
    with pytest.raises(UsageError) as caught:
        load_object("mine_c:biuld_views", "--tta")
    expected = "mine_c has no 'biuld_views'. Did you mean build_views?"
    assert str(caught.value).endswith(expected)


def test_a_name_that_is_like_no_other_has_no_suggestion() -> None:
    written("mine_d", "def build_views(): pass")
    with pytest.raises(UsageError, match="mine_d has no 'zzz'$"):
        load_object("mine_d:zzz", "--tta")


def test_a_program_that_leaves_is_let_go() -> None:
    written("leaving", "raise SystemExit(7)")
    with pytest.raises(SystemExit, match="7"):
        load_object("leaving:f", "--tta")


# ---- the import path


def test_a_folder_is_first_on_the_path_for_a_while(tmp_path: Path) -> None:
    before = list(sys.path)
    with importable(tmp_path):
        assert sys.path == [str(tmp_path), *before]
    assert sys.path == before


def test_the_path_is_as_it_was_after_a_fault(tmp_path: Path) -> None:
    before = list(sys.path)
    with pytest.raises(KeyError), importable(tmp_path):
        raise KeyError
    assert sys.path == before


@pytest.mark.parametrize("text", ["collections:OrderedDict", "no_such_mod:f"])
def test_loading_leaves_the_path_as_it_was(text: str) -> None:
    before = list(sys.path)
    try:
        load_object(text, "--tta")
    except UsageError:
        assert text == "no_such_mod:f"
    assert sys.path == before


def test_the_working_folder_goes_before_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "twin.py").write_text("where = 'installed'")
    written("twin", "where = 'here'")
    with importable(tmp_path / "installed"):
        assert load_object("twin:where", "--tta") == "here"
