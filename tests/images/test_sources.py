"""Which images are found, under which ids, and what is skipped or refused."""

import os
import socket
from pathlib import Path

import pytest
from toys import tree

from ensemble.errors import UsageError
from ensemble.images import sources
from ensemble.images.sources import scan

pytestmark = pytest.mark.filterwarnings("error")


def ids(folder: str | Path, id_from: sources.IdFrom = "stem") -> list[str]:
    return [s.id for s in scan([folder], id_from).images]


# ---- scan


def test_a_folder_gives_its_images_and_those_of_its_subfolders(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "sub/b.PNG", "sub/deeper/c.TiF")
    assert ids(tmp_path) == ["a", "b", "c"]


def test_ids_are_in_natural_order(tmp_path: Path) -> None:
    tree(tmp_path, "10.jpg", "9.jpg", "x10.jpg", "x2.jpg", "010.jpg")
    assert ids(tmp_path) == ["9", "010", "10", "x2", "x10"]


@pytest.mark.parametrize(
    ("id_from", "expected"),
    [("stem", ["a.b"]), ("name", ["a.b.jpg"]), ("path", ["sub/a.b.jpg"])],
)
def test_ids_come_from_stem_name_or_path(
    tmp_path: Path, id_from: sources.IdFrom, expected: list[str]
) -> None:
    tree(tmp_path, "sub/a.b.jpg")
    assert ids(tmp_path, id_from) == expected


def test_a_file_is_an_input(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "b.jpg")
    assert ids(tmp_path / "b.jpg") == ["b"]


def test_inputs_are_joined(tmp_path: Path) -> None:
    tree(tmp_path, "one/b.jpg", "two/a.jpg")
    found = scan([tmp_path / "one", tmp_path / "two"])
    assert [s.id for s in found.images] == ["a", "b"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a"]),
        ("*/*.jpg", ["b", "c"]),
        ("**/*.jpg", ["a", "b", "c", "d"]),
        ("d[12]/b.*", ["b"]),
        ("d?/**/d.jpg", ["d"]),
    ],
)
def test_patterns_are_expanded(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    tree(tmp_path, "a.jpg", "d1/b.jpg", "d3/c.jpg", "d3/e/d.jpg")
    assert ids(tmp_path / pattern) == expected


def test_a_folder_with_brackets_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    tree(tmp_path, "d[1]/a.jpg", "d1/b.jpg")
    assert ids(tmp_path / "d[1]") == ["a"]


def test_what_is_no_image_is_skipped_and_counted(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "._a.jpg", ".git/b.jpg", "Thumbs.db", "desktop.ini", "notes.txt")
    tree(tmp_path, ".DS_Store", "__MACOSX/a.jpg", "x.jpg/inside.jpg")
    found = scan([tmp_path])
    assert [s.id for s in found.images] == ["a"]
    assert found.skipped == {
        "hidden": 2, "system file": 4, "other extension": 1, "folder named like an image": 1,
    }  # fmt: skip


def test_links_out_of_a_folder_are_not_followed_so_loops_are_harmless(tmp_path: Path) -> None:
    tree(tmp_path, "in/a.jpg", "out/b.jpg")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/out").symlink_to(tmp_path / "out")
    (tmp_path / "in/b.jpg").symlink_to(tmp_path / "out/b.jpg")
    for given in ("in", "in/**/*"):
        found = scan([tmp_path / given])
        assert [s.id for s in found.images] == ["a"]
        assert sum(found.skipped.values()) == 3
        assert found.skipped["symbolic link to a folder (name it itself)"] == 2


def test_a_link_to_a_file_inside_the_folder_is_followed(tmp_path: Path) -> None:
    """As a hub keeps its snapshots: links with names, and blobs without."""
    tree(tmp_path, "blobs/3f2a", "blobs/77e0")
    (tmp_path / "snapshot").mkdir()
    for name, blob in (("a.jpg", "3f2a"), ("b.jpg", "77e0")):
        (tmp_path / "snapshot" / name).symlink_to(Path("../blobs") / blob)
    for given in (".", "**/*.jpg"):
        assert ids(tmp_path / given) == ["a", "b"]


def test_a_link_to_an_image_of_another_name_is_an_image_too(tmp_path: Path) -> None:
    tree(tmp_path, "real/a.png")
    (tmp_path / "c.png").symlink_to("real/a.png")
    assert ids(tmp_path) == ["a", "c"]


def test_a_link_to_an_image_of_the_same_name_is_no_second_one(tmp_path: Path) -> None:
    tree(tmp_path, "all/a.png", "all/b.png")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.png").symlink_to("../all/a.png")
    assert ids(tmp_path) == ["a", "b"]


def test_a_folder_of_links_out_of_it_is_told_what_to_do(tmp_path: Path) -> None:
    tree(tmp_path, "real/a.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").symlink_to("../real/a.png")
    (tmp_path / "in" / "gone.png").symlink_to("../real/gone.png")
    told = r"1 skipped: symbolic link out of the folder \(name such files one by one, or in a CSV"
    with pytest.raises(UsageError, match=told):
        scan([tmp_path / "in"])
    assert ids(tmp_path / "in" / "a.png") == ["a"]


def test_arrays_are_images_where_they_are_named(tmp_path: Path) -> None:
    tree(tmp_path, "a.png", "labels.npy", "x.npy")
    assert ids(tmp_path) == ["a"]
    assert ids(tmp_path / "*.npy") == ["labels", "x"]
    assert ids(tmp_path / "x.npy") == ["x"]
    assert ids(tmp_path / "*") == ["a"]


def test_what_is_no_regular_file_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)  # the name of a socket is at most 108 bytes long
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket.jpg")
        assert scan([tmp_path]).skipped == {"not a regular file": 2}


@pytest.mark.parametrize("names", [("a.jpg", "a.png"), ("d1/a.jpg", "d2/a.jpg")])
def test_two_files_with_one_id_are_refused_and_named(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    tree(tmp_path, *names)
    with pytest.raises(UsageError, match="--id-from path") as caught:
        scan([tmp_path])
    assert all(str(tmp_path / name) in str(caught.value) for name in names)
    assert ids(tmp_path, "path") == sorted(names)


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, os.fsdecode(b"\xe9.jpg"))
    with pytest.raises(UsageError, match="not UTF-8") as caught:
        scan([tmp_path])
    assert "\\udce9.jpg" in str(caught.value) or "'\\udce9'" in str(caught.value)


def test_ids_that_differ_in_their_unicode_form_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, "1/\u00e9.jpg", "2/e\u0301.jpg")
    with pytest.raises(UsageError, match="Unicode form"):
        scan([tmp_path])


@pytest.mark.parametrize(
    "given", ["missing", "empty", "*.bmp", "gone/*.jpg", "notes.txt", "x" * 300]
)
def test_an_input_without_images_is_refused_and_named(tmp_path: Path, given: str) -> None:
    tree(tmp_path, "a.jpg", "notes.txt", "empty/notes.txt")
    with pytest.raises(UsageError) as caught:
        scan([tmp_path, tmp_path / given])
    assert given in str(caught.value)


def test_no_inputs_are_refused() -> None:
    with pytest.raises(UsageError, match="no images"):
        scan([])


def test_a_url_is_refused() -> None:
    with pytest.raises(UsageError, match="URL"):
        scan(["https://example.org/a.jpg"])


# ---- CSV lists


def listed(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    tree(folder, "007.jpg", "sub/b.png")
    (folder / "list.csv").write_bytes(text.encode(encoding))
    return folder / "list.csv"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id\n007\n", {"007": "007.jpg"}),
        ("id\r\n007.jpg\r\n", {"007.jpg": "007.jpg"}),
        ("image_id,label\n007,cat\n", {"007": "007.jpg"}),
        ("path\nsub/b.png\n007.jpg\n", {"007": "007.jpg", "b": "sub/b.png"}),
        ("id,path,fold\n NA ,sub/b.png,1\n", {" NA ": "sub/b.png"}),
    ],
)
def test_a_csv_lists_images(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    found = scan([listed(tmp_path, text)]).images
    assert {s.id: str(s.path.relative_to(tmp_path)) for s in found} == expected


def test_a_csv_may_have_a_bom(tmp_path: Path) -> None:
    assert ids(listed(tmp_path, "id\n007\n", "utf-8-sig")) == ["007"]


@pytest.mark.parametrize(
    "text", ["", "id\n", "name\na\n", "id,path\n,007.jpg\n", "id,path\n007\n", "id\n8\n",
             "path\nhttp://x/a.jpg\n", 'id\n"007\n'],
)  # fmt: skip
def test_a_bad_csv_is_refused_and_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"list\.csv"):
        scan([listed(tmp_path, text)])


def test_a_csv_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        scan([listed(tmp_path, "id\n\u00e9\n", "latin-1")])


def test_a_csv_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("id,path,path\na,x.png,y.png\n")
    with pytest.raises(UsageError, match="'path' stands there twice"):
        scan([table])


def test_a_table_finds_images_beside_it_and_not_below(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="row 1: 0 images beside the file are named 'b'"):
        scan([listed(tmp_path, "id\nb\n")])


def test_a_name_that_two_images_share_is_refused_by_row(tmp_path: Path) -> None:
    table = listed(tree(tmp_path, "a.jpg", "a.png"), "id\n007\na\n")
    with pytest.raises(UsageError, match="row 2: 2 images beside the file are named 'a'.*`path`"):
        scan([table])


def test_a_listed_file_need_not_be_there_until_it_is_read(tmp_path: Path) -> None:
    found = scan([listed(tmp_path, "id,path\na,nowhere.jpg\n")])
    assert [(s.id, s.path.name) for s in found.images] == [("a", "nowhere.jpg")]


def test_a_folder_and_a_table_are_joined(tmp_path: Path) -> None:
    table = listed(tmp_path / "one", "id\n007\n")
    tree(tmp_path, "two/b.jpg")
    assert [s.id for s in scan([tmp_path / "two", table]).images] == ["007", "b"]


def test_the_same_file_given_twice_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg")
    with pytest.raises(UsageError, match="1 ids are given twice"):
        scan([tmp_path, tmp_path / "a.jpg"])


def test_many_twins_are_counted_and_a_few_are_shown(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{d}/{n}.jpg" for d in "ab" for n in range(13)))
    with pytest.raises(UsageError, match="13 ids are given twice") as caught:
        scan([tmp_path])
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (12, "  and 3 more")


def test_a_link_that_is_named_itself_is_followed(tmp_path: Path) -> None:
    tree(tmp_path, "real/a.jpg")
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "real/a.jpg")
    assert (ids(tmp_path / "folder"), ids(tmp_path / "b.jpg")) == (["a"], ["b"])


@pytest.mark.parametrize("name", ["a.JPG", "a.b.jpeg", "ü.webp", " .png", "a\nb.gif", "=1.tif"])
def test_any_name_with_an_extension_of_an_image_is_one(tmp_path: Path, name: str) -> None:
    tree(tmp_path, name)
    assert ids(tmp_path, "name") == [name]


@pytest.mark.parametrize("name", ["jpg", "a.jpg.txt", "a.jpgx", "a.", "a.svg", "a.pdf", "a.eps"])
def test_no_other_name_is(tmp_path: Path, name: str) -> None:
    tree(tmp_path, name, "b.jpg")
    assert scan([tmp_path]).skipped == {"other extension": 1}


def test_what_was_skipped_is_told_where_nothing_is_left(tmp_path: Path) -> None:
    tree(tmp_path, "a.txt", "b.txt", ".c.jpg")
    with pytest.raises(UsageError) as caught:
        scan([tmp_path])
    told = "(1 skipped: hidden, 2 skipped: other extension)"
    assert str(caught.value) == f"no images in {str(tmp_path)!r} {told}"


@pytest.mark.parametrize("pattern", ["**/*.jpg", "*/*.jpg", "[de]*/?.jpg", "**/e/*", "d/**"])
def test_patterns_find_what_pathlib_finds(tmp_path: Path, pattern: str) -> None:
    tree(tmp_path, "a.jpg", "d/b.jpg", "d/e/c.jpg", "e/f.jpg", "d/e/g/h.jpg")
    theirs = {p for p in tmp_path.glob(pattern) if p.is_file()}
    if pattern == "d/**":  # before Python 3.13 pathlib finds folders only
        theirs = {p for p in tmp_path.glob("d/**/*") if p.is_file()}
    assert {s.path for s in scan([tmp_path / pattern]).images} == theirs


def test_ids_that_differ_by_case_are_two(tmp_path: Path) -> None:
    tree(tmp_path, "1/a.jpg", "2/A.jpg")
    assert sorted(ids(tmp_path)) == ["A", "a"]
