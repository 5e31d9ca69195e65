"""The whole path on toy members: what is written, kept, refused and resumed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_workers import Told
from onnx import numpy_helper
from PIL import Image
from runs import damaged, parts, recipe_of, submit
from toys import CLASSES, MakeMember, save_images, save_member, toy_card, toy_model

from ensemble.cli import main
from ensemble.errors import ContractError, MemberError, ScoreError, UsageError
from ensemble.images import resize
from ensemble.inference.fingerprint import shard_for, shard_size_of
from ensemble.members.member import open_member
from ensemble.recipe.resolve import Resources
from ensemble.records import Activation, DecodePolicy, IdFrom, Task


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_gives_a_row_for_each_image_in_natural_order(
    members: list[Path], images: Path
) -> None:
    result = submit(members, images, tta="flip")
    assert list(result.ids) == [f"img{n}" for n in range(1, 13)]
    assert set(result.labels) <= set(CLASSES)
    np.testing.assert_allclose(result.probs.sum(1), 1, atol=1e-6)


def test_a_second_run_computes_nothing_and_is_the_same(members: list[Path], images: Path) -> None:
    submit(members, images, "one")
    before = parts()
    again = submit(members, images, "two")
    assert again.record["evaluations"] == 0
    assert parts() == before
    assert Path("one/submission.csv").read_bytes() == Path("two/submission.csv").read_bytes()


def test_a_member_more_costs_one_member(members: list[Path], images: Path) -> None:
    submit(members[:3], images, "one")
    again = submit(members, images, "two")
    assert again.record["evaluations"] == 12


@pytest.mark.parametrize("more", [{"batch_size": 1}, {"batch_size": 5}, {"threads": 1}])
def test_batch_and_threads_change_no_byte(
    members: list[Path], images: Path, more: dict[str, int]
) -> None:
    submit(members, images, "one", output="probs")
    submit(members, images, "two", output="probs", store="other", **more)
    assert Path("one/submission.csv").read_bytes() == Path("two/submission.csv").read_bytes()


def test_shards_change_no_byte(members: list[Path], images: Path) -> None:
    submit(members, images, "one", output="probs")
    submit(members, images, "two", output="probs", store="other", shard_size=5)
    assert Path("one/submission.csv").read_bytes() == Path("two/submission.csv").read_bytes()
    assert len(list(Path("other").rglob("part-*.parquet"))) == 4 * 3


def test_a_changed_image_is_never_answered_from_the_store(
    members: list[Path], images: Path
) -> None:
    submit(members, images, "one")
    Image.new("RGB", (9, 9), (255, 0, 0)).save(images / "img5.png")
    assert submit(members, images, "two").record["evaluations"] == 48


@pytest.mark.parametrize("more", [{"tta": "hflip"}, {"tta": "vflip", "merge": "max"}])
def test_other_views_are_other_predictions(
    members: list[Path], images: Path, more: dict[str, str]
) -> None:
    submit(members, images, "one")
    assert submit(members, images, "two", **more).record["evaluations"] == 48


@pytest.mark.parametrize("policy", [DecodePolicy(exif="ignore"), DecodePolicy(alpha="white"),
                                    DecodePolicy(allow_truncated=True)])  # fmt: skip
def test_how_files_are_decoded_is_recorded_and_is_other_predictions(
    members: list[Path], images: Path, policy: DecodePolicy
) -> None:
    first = submit(members, images, "one")
    other = submit(members, images, "two", decode=policy)
    assert other.record["evaluations"] == first.record["evaluations"] == 48
    changed = {k for k in ("exif", "alpha", "allow_truncated")
               if recipe_of(other)[k] != recipe_of(first)[k]}  # fmt: skip
    assert len(changed) == 1


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_a_bad_image_is_quarantined_and_its_neighbours_do_not_change(
    members: list[Path], images: Path, device: str
) -> None:
    whole = submit(members, images, "one", device=device)
    result = submit(members, damaged(images), "two", device=device)
    assert [q.id for q in result.quarantined] == ["img3"]
    assert result.path is None
    assert not Path("two/_SUCCESS").exists()
    rows = [whole.ids.index(i) for i in result.ids]
    assert np.array_equal(result.probs, whole.probs[rows])
    assert "img3" in Path("two/quarantine.csv").read_text()


def test_a_fill_that_is_no_class_is_refused(members: list[Path], images: Path) -> None:
    with pytest.raises(UsageError, match="--fill"):
        submit(members, images, fill="zebra")


def test_the_sample_gives_ids_order_and_columns(members: list[Path], images: Path) -> None:
    order = [f"img{n}" for n in (7, 2, 12, 1, 3, 4, 5, 6, 8, 9, 10, 11)]
    Path("s.csv").write_text("image,animal\n" + "".join(f"{i},cat\n" for i in order))
    submit(members, images, sample="s.csv")
    lines = Path("out/submission.csv").read_text().splitlines()
    assert lines[0] == "image,animal"
    assert [line.split(",")[0] for line in lines[1:]] == order


def test_a_sample_that_names_other_ids_publishes_nothing(members: list[Path], images: Path) -> None:
    Path("s.csv").write_text("id,label\nimg1,cat\nimg99,cat\n")
    with pytest.raises(ContractError, match="img99"):
        submit(members, images, sample="s.csv")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("id_from", "form"),
    [("stem", "test/{}.png"), ("stem", "{}.jpeg"), ("name", "{}"), ("path", "test/{}.png")],
)
def test_a_sample_a_folder_or_an_extension_apart_is_written_as_it_stands(
    members: list[Path], images: Path, id_from: IdFrom, form: str
) -> None:
    expected = submit(members, images, "plain", output="probs")
    names = [form.format(f"img{n}") for n in (7, *range(1, 7), *range(8, 13))]
    rows = [f"{name},0,0,1" for name in names]
    Path("s.csv").write_text("\n".join([",".join(["image", *CLASSES]), *rows]))
    submit(members, images, sample="s.csv", id_from=id_from)
    lines = [line.split(",") for line in Path("out/submission.csv").read_text().split()[1:]]
    assert [line[0] for line in lines] == names
    np.testing.assert_allclose(
        np.array([line[1:] for line in lines], float), expected.probs[[6, *range(6), *range(7, 12)]]
    )


def test_out_that_holds_another_run_is_refused(members: list[Path], images: Path) -> None:
    submit(members, images)
    with pytest.raises(UsageError, match="made with --voting soft; this run has --voting hard"):
        submit(members, images, voting="hard")
    submit(members, images, voting="hard", force=True)


def test_the_same_run_may_write_to_its_folder_again(members: list[Path], images: Path) -> None:
    submit(members, images)
    submit(members, images)


def test_weights_of_another_family_are_refused_before_any_work(
    members: list[Path], images: Path
) -> None:
    with pytest.raises(UsageError, match="no family for"):
        submit(members, images, weights={"ant": 1, "cow": 1})
    assert not Path(".ensemble").exists()


def with_nan(path: Path) -> Path:
    """Put a NaN among a member's weights."""
    model = onnx.load(path)
    matrix = numpy_helper.to_array(model.graph.initializer[0]).copy()
    matrix[0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    onnx.save(model, path)
    return path


def test_nan_names_the_member_and_the_image(members: list[Path], images: Path) -> None:
    with_nan(members[1])
    with pytest.raises(ScoreError, match=r"ant-f1 gave NaN.*'img1'"):
        submit(members, images)


def test_a_member_that_gives_nan_can_be_dropped_and_is_recorded(
    members: list[Path], images: Path
) -> None:
    expected = submit([members[0], *members[2:]], images, "without")
    with_nan(members[1])
    result = submit(members, images, on_nan="drop-member")
    assert result.record["dropped_members"] == ["ant-f1"]
    assert np.array_equal(result.probs, expected.probs)


def test_members_that_disagree_are_refused_before_images_are_read(
    members: list[Path], make_member: MakeMember
) -> None:
    odd = make_member("cow-f0", classes=("x", "y", "z"))
    with pytest.raises(MemberError, match="cannot vote together"):
        submit([*members, odd], Path("no-such-folder"))


def test_one_channel_members_read_grey(tmp_path: Path) -> None:
    card = toy_card("grey-f0", channels=1)
    member = save_member(tmp_path / "folds", card, toy_model(card))
    result = submit([member], save_images(tmp_path / "images", 3))
    assert len(result.ids) == 3


def test_a_static_batch_gives_what_a_dynamic_one_gives(tmp_path: Path) -> None:
    card = toy_card("toy-f0")
    images = save_images(tmp_path / "images", 7)
    free = save_member(tmp_path / "free", card, toy_model(card))
    frozen = save_member(tmp_path / "frozen", card, toy_model(card, batch=8))
    one = submit([free], images, "one", tta="flip")
    two = submit([frozen], images, "two", tta="flip")
    np.testing.assert_allclose(two.probs, one.probs, atol=1e-6)


def test_an_image_that_was_missing_is_predicted_when_it_is_back(
    members: list[Path], images: Path
) -> None:
    away = (images / "img3.png").rename("img3.png")
    rows = [f"img{n},{images / f'img{n}.png'}" for n in range(1, 13)]
    Path("list.csv").write_text("\n".join(["id,path", *rows]))
    assert submit(members, Path("list.csv")).path is None
    away.rename(images / "img3.png")
    assert len(submit(members, Path("list.csv")).ids) == 12


def test_an_image_that_one_member_cannot_take_is_kept_for_the_other(
    make_member: MakeMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resize, "MAX_PIXELS", 100_000)
    Image.new("L", (20_000, 1)).save(save_images(tmp_path / "images", 2) / "thin.png")
    card = toy_card("bee-f0")
    squash = replace(card, preprocess=replace(card.preprocess, fit="squash"))
    members = [make_member("ant-f0"), save_member(tmp_path / "folds", squash, toy_model(squash))]
    both = submit(members, tmp_path / "images", "both")
    alone = submit(members[1:], tmp_path / "images", "alone")
    assert [q.id for q in both.quarantined] == ["thin"]
    assert alone.quarantined == ()
    assert alone.record["evaluations"] == 0


def test_images_that_exif_turns_are_counted_and_told(members: list[Path], images: Path) -> None:
    told = Told()
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in "ab":
        Image.new("RGB", (9, 12)).save(images / f"{name}.jpg", exif=exif)
    record = submit(members[:1], images, "turned", progress=told).record
    assert record["odd_files"] == {"exif turned": 2}
    assert any("2 images were turned" in text and "--exif ignore" in text for text in told.said)


def test_odd_and_skipped_files_are_counted_in_the_record(members: list[Path], images: Path) -> None:
    (images / "img1.png").rename(images / "img1.jpg")
    frames = [Image.new("RGB", (9, 9), c) for c in ("red", "blue")]
    frames[0].save(images / "moving.gif", save_all=True, append_images=frames[1:])
    for name in ("._img2.png", "Thumbs.db", "notes.txt"):
        (images / name).write_bytes(b"x")
    (images / "folder.jpg").mkdir()
    record = submit(members, images).record
    assert record["odd_files"] == {"extension": 1, "frames": 1}
    assert record["skipped_files"] == {
        "hidden": 1,
        "system file": 1,
        "other extension": 1,
        "folder named like an image": 1,
    }


@pytest.mark.parametrize(
    ("task", "activation"), [("classification", "softmax"), ("multilabel", "sigmoid")]
)
@pytest.mark.parametrize("tta", ["none", "flip"])
def test_infinity_that_an_activation_would_hide_is_found(
    tmp_path: Path, images: Path, task: Task, activation: Activation, tta: str
) -> None:
    card = toy_card(task=task, activation=activation)
    model = toy_model(card)
    matrix = numpy_helper.to_array(model.graph.initializer[0]).copy()
    matrix[:, 0] = 3e38
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    with pytest.raises(ScoreError, match="toy-f0 gave NaN or infinity"):
        submit([save_member(tmp_path / "folds", card, model)], images, tta=tta)


@pytest.mark.parametrize("fill", ["nan", "inf"])
def test_a_fill_that_is_not_finite_is_refused_before_any_work(
    members: list[Path], images: Path, fill: str
) -> None:
    with pytest.raises(UsageError, match="finite"):
        submit(members, images, output="probs", fill=fill)


def test_a_fill_that_is_no_probability_is_refused(members: list[Path], images: Path) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        submit(members, images, output="probs", fill=2)


def test_ids_that_look_like_formulas_are_warned_of_and_kept(
    members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_images(tmp_path / "images", 1)
    (tmp_path / "images" / "img1.png").rename(tmp_path / "images" / "=1+1.png")
    with pytest.raises(SystemExit) as done:
        main(["run", "--members", str(members[0]), "--images", "images", "--out", "out"])
    assert done.value.code == 0
    assert "'=1+1': a spreadsheet" in " ".join(capsys.readouterr().err.split())
    assert Path("out/submission.csv").read_text().splitlines()[1].startswith("=1+1,")


@pytest.mark.parametrize(("memory", "size"), [(2**30, 1024), (2048, 4), (1, 1)])
def test_shards_are_as_large_as_the_memory_for_pixels_allows(
    members: list[Path], memory: int, size: int
) -> None:
    """A toy member takes 192 bytes an image, and two shards are there at once."""
    resources = Resources("auto", 0, memory, 0, Path(".ensemble"))
    geometries = [open_member(path).card.preprocess.geometry for path in members]
    assert shard_size_of(resources, geometries) == size


@pytest.mark.parametrize(
    ("images", "workers", "size"),
    [(600, 1, 1024), (600, 2, 32), (9000, 2, 512), (10, 4, 1), (10**6, 8, 1024), (0, 2, 1)],
)
def test_workers_get_several_shards_each(images: int, workers: int, size: int) -> None:
    assert shard_for(images, workers) == size
