"""Archives as they are listed: names as in folders, each once, and the keys of a WebDataset."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest
from packed import to_tar, to_zip

from ensemble.errors import UsageError
from ensemble.images.archives import is_archive, listed
from ensemble.images.location import local_file
from ensemble.images.sources import scan


def tar(folder: Path, *names: str) -> Path:
    return to_tar(
        folder / "a.tar", [(name, name.encode("utf-8", "surrogateescape")) for name in names]
    )


def reasons(path: Path) -> dict[str, str]:
    return {found.name.as_posix(): found.reason for found in listed(local_file(path))}


def test_names_are_judged_as_those_of_folders(tmp_path: Path) -> None:
    names = ["a.jpg", "d/b.png", "._c.jpg", "__MACOSX/d.jpg", "Thumbs.db", "e.txt", "f.npy",
             "g.zip"]  # fmt: skip
    expected = ["", "", "hidden", "system file", "system file", "other extension",
                "array in an archive", "archive in an archive"]  # fmt: skip
    for path in (tar(tmp_path, *names), to_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x"))):
        assert list(reasons(path).values()) == expected


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../a.jpg", "name that leads out of its archive"),
        ("d/../../a.jpg", "name that leads out of its archive"),
        ("/etc/a.jpg", "absolute name in an archive"),
    ],
)
def test_names_that_lead_out_of_an_archive_are_skipped(
    tmp_path: Path, name: str, reason: str
) -> None:
    path = tar(tmp_path, name, "good.jpg")
    assert scan([path]).skipped == {reason: 1}
    assert scan([to_zip(tmp_path / "a.zip", {name: b"x", "good.jpg": b"y"})]).skipped == {reason: 1}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.tar", "a.zip"]


def test_a_name_with_a_nul_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as packed:
        for name in ("\u00fc-x.jpg", "good.jpg"):
            packed.addfile(tarfile.TarInfo(name), io.BytesIO())
    path.write_bytes(path.read_bytes().replace("\u00fc-x".encode(), "\u00fc\0x".encode()))
    assert scan([path]).skipped == {"NUL in a name": 1}


def test_a_name_that_is_not_utf8_is_told_with_its_archive(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.tar!\\udcff\.jpg' is not UTF-8"):
        scan([tar(tmp_path, "\udcff.jpg")])


def test_a_name_twice_in_one_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.tar: 'a\.jpg' is in it twice"):
        listed(local_file(tar(tmp_path, "a.jpg", "b.jpg", "./a.jpg")))


def test_a_name_twice_in_one_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.jpg", b"x")
        with pytest.warns(UserWarning, match="Duplicate"):
            packed.writestr("a.jpg", b"y")
    with pytest.raises(UsageError, match=r"a\.zip: 'a\.jpg' is in it twice"):
        listed(local_file(tmp_path / "a.zip"))


def test_a_name_in_two_tars_names_both(tmp_path: Path) -> None:
    one = to_tar(tmp_path / "one.tar", {"a.jpg": b"x"})
    two = to_tar(tmp_path / "two.tar", {"a.jpg": b"y"})
    with pytest.raises(UsageError, match=r"one\.tar!a\.jpg and .*two\.tar!a\.jpg"):
        scan([one, two])


def test_interleaved_keys_are_refused_with_archive_and_key(tmp_path: Path) -> None:
    path = tar(tmp_path, "000000.jpg", "000001.jpg", "000000.txt", "000001.txt")
    with pytest.raises(UsageError, match=r"a\.tar: the files of the key '000000' lie apart"):
        listed(local_file(path))


def test_keys_end_at_the_first_dot_of_the_base_name(tmp_path: Path) -> None:
    tar(tmp_path, "v1.0/a.jpg", "v1.0/b.jpg", "v1.0/b.seg.png", "v1.0/b.txt", "c.jpg")
    assert len(reasons(tmp_path / "a.tar")) == 5


def test_ids_are_the_stems_of_base_names_however_long(tmp_path: Path) -> None:
    names = ["train.v1/0001.jpg", "train.v1/" + "k" * 200 + ".jpg"]
    assert [s.id for s in scan([tar(tmp_path, *names)]).images] == ["0001", "k" * 200]


def test_a_compressed_tar_is_refused_by_its_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    with pytest.raises(UsageError, match=r"a\.tar\.gz: a compressed tar"):
        scan([tmp_path / "a.tar.gz"])


def test_archives_are_told_by_their_names() -> None:
    assert [is_archive(name) for name in ("a.TAR", "a.zip", "a.tgz", "a.parquet", "a.jpg")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_a_pattern_takes_several_archives(tmp_path: Path) -> None:
    to_tar(tmp_path / "s-0.tar", {"a.jpg": b"x"})
    to_tar(tmp_path / "s-1.tar", {"b.jpg": b"y"})
    assert [s.id for s in scan([tmp_path / "s-*.tar"]).images] == ["a", "b"]


def test_a_location_of_an_archive_goes_to_another_process(tmp_path: Path) -> None:
    for path in (tar(tmp_path, "a.jpg"), to_zip(tmp_path / "a.zip", {"a.jpg": b"a.jpg"})):
        (found,) = listed(local_file(path))
        again = pickle.loads(pickle.dumps(found.location))
        assert (again, hash(again)) == (found.location, hash(found.location))
        assert again.read_bytes() == b"a.jpg"


def test_what_followed_a_cut_is_counted(tmp_path: Path) -> None:
    path = tar(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    path.write_bytes(path.read_bytes()[: 1024 + 600])
    found = scan([path])
    assert [s.id for s in found.images] == ["a", "b"]
    ((reason, count),) = found.skipped.items()
    assert (count, "cut short at byte 1624, after the member 'b.jpg'" in reason) == (1, True)
