"""The same images, wherever they lie: the same ids, keys and bytes of the submission."""

import json
from pathlib import Path

import pandas as pd
import pytest
from buckets import BUCKET, Server, put, upload
from detectors import picture, save_detector
from packed import files_of, packed, to_tar
from PIL import Image
from toys import MakeMember, save_images, save_member, toy_card, toy_model

import ensemble as package
from ensemble.errors import UsageError
from ensemble.files.atomic import sha256_file
from ensemble.records import Size

KINDS = ("tar", "zip", "parquet")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images in two folders, one of them damaged, and two members beside them."""
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path / "photos" / "one", 12)
    save_images(tmp_path / "photos", 7, seed=1)
    (tmp_path / "photos" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for number, name in enumerate(("ant-f0", "bee-f0")):
        card = toy_card(name)
        save_member(tmp_path / "folds", card, toy_model(card, seed=number))
    return tmp_path / "photos"


def run(images: str | Path, name: str) -> tuple[bytes, dict[str, str], list[str]]:
    """Run on images: the submission's bytes, the hash of each part, and who was quarantined."""
    done = package.run(
        "folds", images, out=name, store=f"store-{name}", id_from="path", output="probs",
        device="cpu", tta="hflip", fill="0", shard_size=5, progress=None,
    )  # fmt: skip
    lost = sorted(each.id for each in done.quarantined)
    return (Path(name) / "submission.csv").read_bytes(), parts(Path(f"store-{name}")), lost


def parts(store: Path) -> dict[str, str]:
    """The hash of each part of a store, by its key and name."""
    found = (store / "predictions").rglob("part-*.parquet")
    return {path.relative_to(store).as_posix(): sha256_file(path) for path in found}


def placed(photos: Path, kind: str, bucket: Server) -> str | Path:
    """The same images in another place."""
    return upload(bucket, photos, "set") if kind == "s3" else packed(photos, kind)


@pytest.mark.parametrize("kind", [*KINDS, "s3"])
def test_the_same_images_give_the_same_bytes_wherever_they_lie(
    photos: Path, bucket: Server, kind: str
) -> None:
    there = run(placed(photos, kind, bucket), kind)
    assert there == run(photos, "folder")
    assert there[2] == ["torn.png"]
    assert b"one/img10.png," in there[0]
    assert len(there[1]) == 2 * 4


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_images_packed_on_s3_give_the_same_bytes(
    photos: Path, bucket: Server, kind: str
) -> None:
    path = packed(photos, kind)
    there = run(put(bucket, path.name, path.read_bytes()), "s3")
    assert there == run(photos, "folder")


def test_an_object_that_vanishes_and_one_that_is_refused_are_quarantined(
    photos: Path, bucket: Server
) -> None:
    prefix = upload(bucket, photos, "set")
    bucket.fail("set/img3.png", 404)
    bucket.fail("set/img4.png", 403)
    _, _, lost = run(prefix, "s3")
    assert lost == ["img3.png", "img4.png", "torn.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_run_is_answered_by_the_store_of_a_folders(photos: Path, kind: str) -> None:
    package.run("folds", photos, id_from="path", device="cpu", fill="cat", progress=None, out="a")
    again = package.run("folds", packed(photos, kind), id_from="path", device="cpu", fill="cat",
                        progress=None, out="b")  # fmt: skip
    assert json.loads((again.folder / "run.json").read_text())["evaluations"] == 0


def cut_tar(photos: Path, behind: int) -> tuple[Path, list[str]]:
    """A tar that ends so many bytes behind the header of an image, and the names up to that one."""
    path, names = packed(photos, "tar"), list(files_of(photos))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"one/img9.png") + 512 + behind])
    return path, names[: names.index("one/img9.png") + 1]


def test_a_truncated_tar_has_a_row_for_what_was_cut_and_says_that_more_is_missing(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, names = cut_tar(photos, 20)
    sample = pd.DataFrame({"id": names, "label": "cat"})
    done = package.run("folds", path, id_from="path", device="cpu", fill="cat", out="cut",
                       sample=sample)  # fmt: skip
    assert [each.id for each in done.quarantined] == ["one/img9.png"]
    assert done.quarantined[0].error_class == "truncated"
    assert set(done.ids) == set(names[:-1])
    assert "not predicted: the rest of " in capsys.readouterr().err


@pytest.mark.parametrize("behind", [20, 500])
def test_a_truncated_tar_is_refused_where_no_sample_says_what_is_missing(
    photos: Path, behind: int
) -> None:
    path, _ = cut_tar(photos, behind)
    with pytest.raises(UsageError, match=r"cut short at byte .* or give --sample"):
        package.run("folds", path, id_from="path", device="cpu", fill="cat", progress=None)


def test_oof_reads_what_a_run_reads(photos: Path) -> None:
    (photos / "torn.png").unlink()
    names = [*files_of(photos)]
    folds = dict.fromkeys(names, 0)
    given = [package.predict_oof("folds", where, folds, id_from="path", device="cpu", progress=None,
                                 store=f"s-{Path(where).name}")
             for where in (photos, packed(photos, "tar"), packed(photos, "parquet"))]  # fmt: skip
    for other in given[1:]:
        assert other.ids == given[0].ids
        assert (other.families["ant"] == given[0].families["ant"]).all()


@pytest.mark.parametrize("kind", [*KINDS, "s3"])
def test_crops_are_the_same_wherever_images_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: Server, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_detector(tmp_path / "detector")
    (tmp_path / "photos").mkdir()
    for number in range(3):
        drawn = picture(Size(30, 40), red=(5 + number, 4, 20, 21 + number, 255))
        drawn.save(tmp_path / "photos" / f"{number}.png")
    tables = []
    for name, where in (("a", "photos"), ("b", placed(tmp_path / "photos", kind, bucket))):
        package.crops("detector", where, f"{name}.csv", store=name, device="cpu",
                      progress=None)  # fmt: skip
        tables.append((Path(f"{name}.csv").read_bytes(), parts(Path(name))))
    assert tables[0] == tables[1]
    assert tables[0][0].count(b"sure") == 3


def test_folds_find_copies_in_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_images(tmp_path / "p", 8)
    files = files_of(tmp_path / "p")
    files["img2.png"] = files["img1.png"]
    path = to_tar(tmp_path / "p.tar", files)
    labels = {f"img{n}": "ab"[n % 2] for n in range(1, 9)}
    check = {f"img{n}": n % 2 for n in range(1, 9)}
    report = package.split_folds(labels, check=check, images=path, progress=None)
    assert report.twins == (("img1", "img2"),)


def test_quantize_takes_its_images_from_parquet(tmp_path: Path, make_member: MakeMember) -> None:
    member = make_member(size=Size(16, 16), classes=tuple("ab"))
    path = packed(save_images(tmp_path / "p", 24), "parquet")
    (made,) = package.quantize_members(
        member, path, tmp_path / "int8", image_col="image", max_disagreement=1, progress=None
    )
    assert made.path.exists()
    with pytest.raises(UsageError, match="no column 'other', as --image-col says"):
        package.quantize_members(member, path, tmp_path / "more", image_col="other", progress=None)


def test_an_image_col_is_recorded_and_said_in_the_recipe(photos: Path) -> None:
    path = packed(photos, "parquet")
    Path("ensemble.toml").write_text('image_col = "image"\n')
    done = package.run("folds", path, image_col="image", id_from="path", device="cpu", fill="cat",
                       progress=None)  # fmt: skip
    told = json.loads((done.folder / "run.json").read_text())["recipe"]
    assert told["image_col"] == "image"


def test_a_jpeg_called_png_in_an_archive_is_odd_as_in_a_folder(photos: Path) -> None:
    Image.new("RGB", (9, 9)).save(photos / "x.jpg", "PNG")
    odd = []
    for name, where in (("f", photos), ("t", packed(photos, "tar"))):
        done = package.run("folds", where, id_from="path", device="cpu", fill="cat", out=name,
                           store=name + "s", progress=None)  # fmt: skip
        odd.append(json.loads((done.folder / "run.json").read_text())["odd_files"])
    assert odd[0] == odd[1] == {"extension": 1}


def test_a_run_takes_its_members_from_s3_and_a_second_copies_none(
    photos: Path, bucket: Server
) -> None:
    upload(bucket, Path("folds"), "folds")
    given = f"s3://{BUCKET}/folds/*.onnx"
    asked = {"id_from": "path", "device": "cpu", "fill": "cat", "progress": None}
    there = package.run(given, photos, out="a", store="one", **asked)
    bucket.requests.clear()
    again = package.run(given, photos, out="b", store="one", **asked)
    here = package.run("folds", photos, out="c", store="two", **asked)
    assert [name for name in bucket.gets() if name.endswith(".onnx")] == []
    assert there.labels == again.labels == here.labels
    assert json.loads((Path("b") / "run.json").read_text())["evaluations"] == 0


@pytest.mark.parametrize("name", ["store", "out"])
def test_what_is_written_lies_on_a_file_system(photos: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"--{name} s3://b/x is a URL"):
        package.run("folds", photos, **{name: "s3://b/x"})
    assert not Path("s3:").exists()


def test_folds_are_not_written_to_a_store_far_away(photos: Path) -> None:
    with pytest.raises(UsageError, match="is a URL"):
        package.split_folds(dict.fromkeys("abcdef", "x"), "s3://b/folds.csv", k=2, progress=None)
