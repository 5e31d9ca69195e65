"""Names that can be written down, names of files, and which texts are files."""

import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.cli.options import named_files
from ensemble.errors import UsageError
from ensemble.files import paths
from ensemble.files.paths import (
    check_utf8,
    expand,
    is_file,
    is_file_name,
    is_url,
    natural_key,
    natural_order,
    split_named,
)
from ensemble.voting.weights import Weights, from_text

LATIN = os.fsdecode(b"gr\xfc\xdfe")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "a\\b", "C:a", "a\0b", "a\nb", "a*", LATIN, "ü" * 101]
)
def test_what_is_no_file_name_is_told(name: str) -> None:
    assert not is_file_name(name)


@pytest.mark.parametrize("name", ["a", "a b.c", "grüße", "a" * 200])
def test_a_file_name_is_told(name: str) -> None:
    assert is_file_name(name)


def test_a_name_that_is_not_utf8_is_named_in_ascii() -> None:
    with pytest.raises(UsageError, match=r"--out 'gr\\udcfc\\udcdfe' is not UTF-8"):
        check_utf8(LATIN, "--out")


@pytest.mark.parametrize("name", ["", "grüße", "a\nb"])
def test_any_other_name_can_be_written_down(name: str) -> None:
    check_utf8(name, "--out")


def test_a_file_that_is_found_in_a_folder_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / LATIN).mkdir()
    (tmp_path / LATIN / "a.onnx").touch()
    with pytest.raises(UsageError, match="is not UTF-8"):
        expand([f"{tmp_path}/*/a.onnx"], ".onnx", "member")


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose name holds an equals sign, as sweeps make them."""
    monkeypatch.chdir(tmp_path)
    Path("lr=0.1").mkdir()
    Path("lr=0.1/weights.json").write_text('{"weights": {"ant": 1}}')


@pytest.mark.usefixtures("sweep")
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


@pytest.mark.usefixtures("sweep")
def test_a_weights_file_may_lie_in_a_folder_with_an_equals_sign() -> None:
    assert from_text("lr=0.1/weights.json") == Weights({"ant": 1.0})


def test_a_thousand_classes_are_too_long_for_a_file() -> None:
    names = tuple(f"class{number}" for number in range(1000))
    assert split_named("label=" + ",".join(names))[0] == "label"


# ---- natural order


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 10**30), max_size=8))
def test_numbers_within_names_are_in_their_own_order(numbers: list[int]) -> None:
    names = [f"img{n}.png" for n in numbers]
    assert sorted(names, key=natural_key) == [f"img{n}.png" for n in sorted(numbers)]


@given(st.lists(st.text(st.sampled_from("ab0129. \x01\uffff")), max_size=20))
def test_natural_order_is_that_of_runs_of_letters_and_numbers(names: list[str]) -> None:
    def runs(text: str) -> tuple[list[tuple[int, str]], str]:
        found = [r.lstrip("0") if i % 2 else r for i, r in enumerate(re.split("([0-9]+)", text))]
        return [(len(run) if i % 2 else 0, run) for i, run in enumerate(found)], text

    assert sorted(names, key=natural_key) == sorted(names, key=runs)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=8), max_size=8, unique=True))
def test_names_that_differ_have_other_keys(names: list[str]) -> None:
    assert len({repr(natural_key(name)) for name in names}) == len(names)


@settings(deadline=None, max_examples=40)
@given(st.permutations(["", "1", "01", "001", "a", "a1", "a01", "a1b2", "a1b10", "2", "10", "Ä9"]))
def test_the_order_is_one_whatever_came_first(names: list[str]) -> None:
    expected = ["", "001", "01", "1", "2", "10", "a", "a01", "a1", "a1b2", "a1b10", "Ä9"]
    assert sorted(names, key=natural_key) == expected


def test_digits_of_other_scripts_are_letters() -> None:
    assert sorted(["٣", "10", "2"], key=natural_key) == ["2", "10", "٣"]


@given(st.lists(st.lists(st.text("ab.01239٣"))), st.booleans())
def test_parts_are_put_into_natural_order(parts: list[list[str]], ordered: bool) -> None:
    given_ = [sorted(part, key=natural_key) for part in parts] if ordered else parts
    together = [text for part in parts for text in part]
    assert natural_order(*given_) == sorted(together, key=natural_key)


def test_texts_in_natural_order_need_no_keys_but_where_a_number_grows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(paths, "natural_key", lambda text: asked.append(text) or natural_key(text))
    names = [f"img{n}.png" for n in range(200)]
    assert natural_order(names) == names
    assert asked == ["img9.png", "img10.png", "img99.png", "img100.png"]


# ---- URLs


@pytest.mark.parametrize("text", ["https://a.b/c", "s3://bucket/x", "http:/a", "git+ssh://x"])
def test_a_url_is_told_even_with_one_slash(text: str) -> None:
    assert is_url(Path(text))


@pytest.mark.parametrize("text", ["a", "/a/b", "a:b", "C:/a", "c:/a", "./a:/b", "a//b"])
def test_a_path_is_no_url(text: str) -> None:
    assert not is_url(Path(text))


# ---- lists of files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four members in two folders, and what is none."""
    monkeypatch.chdir(tmp_path)
    for name in ("f/m10.onnx", "f/m9.onnx", "g/m1.onnx", "g/deep/m2.onnx", "f/m.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["f"], ["f/m9.onnx", "f/m10.onnx"]),
        (["g"], ["g/m1.onnx"]),
        (["f/m10.onnx", "f/m9.onnx"], ["f/m9.onnx", "f/m10.onnx"]),
        (["*/m?.onnx"], ["f/m9.onnx", "g/m1.onnx"]),
        (["g/**/*.onnx"], ["g/deep/m2.onnx", "g/m1.onnx"]),
        (["f/m[19]*.onnx", "g"], ["f/m9.onnx", "f/m10.onnx", "g/m1.onnx"]),
    ],
)
def test_folders_files_and_patterns_are_their_files_in_natural_order(
    inputs: list[str], names: list[str]
) -> None:
    assert [str(path) for path in expand(inputs, ".onnx", "member")] == names


@pytest.mark.usefixtures("folder")
def test_a_list_names_files_line_by_line() -> None:
    Path("list.txt").write_text("# mine\n\n  g/m1.onnx  \nf\n")
    found = expand(["@list.txt"], ".onnx", "member")
    assert [str(path) for path in found] == ["f/m9.onnx", "f/m10.onnx", "g/m1.onnx"]


@pytest.mark.usefixtures("folder")
def test_a_list_within_a_list_is_refused() -> None:
    Path("list.txt").write_text("g/m1.onnx\n@other.txt\n")
    with pytest.raises(UsageError, match="member @list.txt: @other.txt is a list within a list"):
        expand(["@list.txt"], ".onnx", "member")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("data", [None, b"\xff\xfe"])
def test_a_list_that_cannot_be_read_is_named(data: bytes | None) -> None:
    if data is not None:
        Path("list.txt").write_bytes(data)
    with pytest.raises(UsageError, match="member @list.txt: cannot read the list"):
        expand(["@list.txt"], ".onnx", "member")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "inputs", [["f", "f/m9.onnx"], ["f/m9.onnx", "./f/../f/m9.onnx"], ["f/m9.onnx", "link.onnx"]]
)
def test_a_file_that_is_given_twice_is_refused_by_both_names(inputs: list[str]) -> None:
    Path("link.onnx").symlink_to("f/m9.onnx")
    with pytest.raises(UsageError, match=r"is given twice \(also as f/m9.onnx\)"):
        expand(inputs, ".onnx", "member")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("given", ["empty", "none/*.onnx", "f/*.bin"])
def test_what_matches_nothing_is_refused_by_name(given: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UsageError) as caught:
        expand(["f", given], ".onnx", "member")
    assert str(caught.value) == f"member {given}: nothing there matches (looked for *.onnx)"


def test_nothing_given_is_refused_with_what_may_be() -> None:
    with pytest.raises(UsageError, match="no member given; name files, a folder, a quoted glob"):
        expand([], ".onnx", "member")


def test_a_url_is_refused_before_it_is_looked_for() -> None:
    with pytest.raises(UsageError, match="member https://x/a.onnx: a URL; only files are taken"):
        expand(["https://x/a.onnx"], ".onnx", "member")


@pytest.mark.usefixtures("folder")
def test_a_file_whose_name_looks_like_a_pattern_is_that_file() -> None:
    Path("m[1].onnx").touch()
    Path("m1.onnx").touch()
    assert expand(["m[1].onnx"], ".onnx", "member") == [Path("m[1].onnx")]


def test_a_file_that_is_not_there_is_left_to_who_opens_it() -> None:
    assert expand(["nowhere.onnx"], ".onnx", "member") == [Path("nowhere.onnx")]


# ---- files and names


def test_only_a_regular_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert is_file(str(tmp_path / "a"))
    assert not is_file(str(tmp_path))
    assert not is_file("x" * 5000)


@settings(deadline=None, max_examples=40)
@given(name=st.text("abc", min_size=1), rest=st.text("ab=/", max_size=9))
def test_a_name_and_the_rest_are_what_was_put_together(name: str, rest: str) -> None:
    assert split_named(f"{name}={rest}") == (name, rest)


@settings(deadline=None, max_examples=40)
@given(text=st.text(max_size=250))
def test_a_name_that_is_taken_for_a_file_name_can_be_one(text: str) -> None:
    if not is_file_name(text):
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"{text}.onnx").touch()
        assert os.listdir(folder) == [f"{text}.onnx"]  # noqa: PTH208 - the name, not the path
