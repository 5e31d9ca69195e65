"""Settings of ensemble.toml and the environment: read, or refused with the nearest name."""

from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.recipe.settings import TABLE
from ensemble.recipe.sources import VARIABLES, check_environment, read_toml, tta_text


def written(folder: Path, text: bytes) -> Path:
    path = folder / "ensemble.toml"
    path.write_bytes(text)
    return path


def test_settings_come_as_toml_has_them(tmp_path: Path) -> None:
    path = written(tmp_path, b'tta = "hflip"\nthreads = 2\n[weights]\nant = 0.25\n')
    assert read_toml(path) == {"tta": "hflip", "threads": 2, "weights": {"ant": 0.25}}


def test_an_empty_recipe_sets_nothing(tmp_path: Path) -> None:
    assert read_toml(written(tmp_path, b"")) == {}


@pytest.mark.parametrize("name", TABLE)
def test_every_setting_is_a_key_and_a_variable(tmp_path: Path, name: str) -> None:
    assert read_toml(written(tmp_path, f"{name} = 1".encode())) == {name: 1}
    check_environment([f"ENSEMBLE_{name.upper()}"])


@pytest.mark.parametrize("text", [b"tta = hflip", b"tta", b'tta = "\xff"', b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused_by_its_path(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(UsageError, match=r"ensemble\.toml: not a TOML file: "):
        read_toml(written(tmp_path, text))


def test_a_recipe_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml: cannot read the recipe: No such file"):
        read_toml(tmp_path / "nowhere.toml")


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown setting 'batchsize'; did you mean 'batch_size'"):
        read_toml(written(tmp_path, b"batchsize = 4"))


def test_a_key_that_is_near_none_is_refused_with_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"'qqq'; known: {', '.join((*TABLE, 'label_col'))}$"):
        read_toml(written(tmp_path, b"qqq = 4"))


def test_a_flag_written_with_hyphens_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'early-exit'; did you mean 'early_exit'"):
        read_toml(written(tmp_path, b'early-exit = "1%"'))


def test_variables_of_others_and_those_of_no_setting_are_left_alone() -> None:
    check_environment(["PATH", "MY_ENSEMBLE_TTA", "ensemble_tta", *VARIABLES])


def test_an_unknown_variable_is_refused_with_the_nearest() -> None:
    told = "unknown environment variable ENSEMBLE_TTTA; did you mean 'ENSEMBLE_TTA'"
    with pytest.raises(UsageError, match=told):
        check_environment(["PATH", "ENSEMBLE_TTTA"])


def test_views_by_family_are_one_text() -> None:
    assert tta_text("flip") == "flip"
    assert tta_text({"ant": "multiscale(0.8,1)", "bee": "none"}) == "ant=multiscale(0.8,1),bee=none"


@pytest.mark.parametrize("given", [{}, None, 3, {"a,b": "flip"}, {"": "flip"}, {"ant": 2},
                                   {"ant": "bee=flip"}, {"a=b": "flip"}])  # fmt: skip
def test_views_that_no_text_could_tell_are_refused(given: object) -> None:
    with pytest.raises(UsageError, match="expected"):
        tta_text(given)
