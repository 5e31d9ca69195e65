"""Names and files: which of the two a text is."""

from pathlib import Path

import pytest

from ensemble.cli.options import classes_of, named_files
from ensemble.paths import split_named
from ensemble.weights import Weights, from_text


@pytest.fixture(autouse=True)
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose name holds an equals sign, as sweeps make them."""
    monkeypatch.chdir(tmp_path)
    Path("lr=0.1").mkdir()
    Path("lr=0.1/weights.json").write_text('{"weights": {"ant": 1}}')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=0.1/weights.json", ("", "lr=0.1/weights.json")),
        ("ant=lr=0.1/weights.json", ("ant", "lr=0.1/weights.json")),
        ("ant=missing.csv", ("ant", "missing.csv")),
        ("missing.csv", ("", "missing.csv")),
    ],
)
def test_a_file_is_a_file_and_else_the_first_equals_sign_splits(
    text: str, expected: tuple[str, str]
) -> None:
    assert split_named(text) == expected
    assert named_files([text]) == [(expected[0] or None, Path(expected[1]))]


def test_a_weights_file_may_lie_in_a_folder_with_an_equals_sign() -> None:
    assert from_text("lr=0.1/weights.json") == Weights({"ant": 1.0})


def test_a_thousand_classes_are_too_long_for_a_file_and_still_classes() -> None:
    names = tuple(f"class{number}" for number in range(1000))
    assert classes_of(",".join(names)) == names
    assert split_named("label=" + ",".join(names))[0] == "label"
