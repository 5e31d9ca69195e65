"""The whole path on toy members: what is written, kept, refused and resumed."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from toys import CLASSES, MakeMember, ensemble, save_images, save_member, toy_card, toy_model

from ensemble import Submission
from ensemble.api import predict
from ensemble.cli import main
from ensemble.errors import ContractError, MemberError, ScoreError, StoreError, UsageError
from ensemble.images import resize
from ensemble.inference.fingerprint import shard_size_of
from ensemble.members.member import open_member
from ensemble.pipeline.vote import vote
from ensemble.recipe import settings
from ensemble.recipe.resolve import Resources
from ensemble.records import Activation, DecodePolicy, Task
from ensemble.submission import publish


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def submit(members: list[Path], images: Path, out: str = "out", **more: Any) -> Submission:
    """Run on the CPU."""
    return predict.run(members, images, out=out, device="cpu", **more)


def parts(store: Path = Path(".ensemble")) -> dict[str, int]:
    """The parts of the store and when they were written."""
    return {str(p): p.stat().st_mtime_ns for p in sorted(store.rglob("part-*.parquet"))}


def recipe_of(result: Submission) -> dict[str, Any]:
    return dict(result.record["recipe"])  # type: ignore[call-overload]


def damaged(images: Path) -> Path:
    """Cut one image short."""
    path = images / "img3.png"
    path.write_bytes(path.read_bytes()[:200])
    return images


def test_a_run_gives_a_row_for_each_image_in_natural_order(
    members: list[Path], images: Path
) -> None:
    result = submit(members, images, tta="flip")
    assert list(result.ids) == [f"img{n}" for n in range(1, 13)]
    assert set(result.labels) <= set(CLASSES)
    np.testing.assert_allclose(result.probs.sum(1), 1, atol=1e-6)


def test_the_folder_holds_what_it_should(members: list[Path], images: Path) -> None:
    submit(members, images)
    names = {p.name for p in Path("out").iterdir()}
    assert names == {"submission.csv", "predictions.parquet", "run.json", "_SUCCESS"}
    record = json.loads(Path("out/run.json").read_text())
    assert record["counts"] == {"inputs": 12, "predicted": 12, "quarantined": 0}
    assert record["provider"] == "CPUExecutionProvider"
    table = pq.read_table("out/predictions.parquet")
    assert table.column_names == ["id", "label", "probs", "family:ant", "family:bee"]


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


def test_a_bad_image_is_quarantined_and_its_neighbours_do_not_change(
    members: list[Path], images: Path
) -> None:
    whole = submit(members, images, "one")
    result = submit(members, damaged(images), "two")
    assert [q.id for q in result.quarantined] == ["img3"]
    assert result.path is None
    assert not Path("two/_SUCCESS").exists()
    rows = [whole.ids.index(i) for i in result.ids]
    assert np.array_equal(result.probs, whole.probs[rows])
    assert "img3" in Path("two/quarantine.csv").read_text()


def test_fill_publishes_a_label_for_a_quarantined_image(members: list[Path], images: Path) -> None:
    result = submit(members, damaged(images), fill="dog")
    assert "img3,dog\n" in Path("out/submission.csv").read_text()
    assert (result.path, Path("out/_SUCCESS").exists()) == (Path("out/submission.csv"), True)


def test_fill_publishes_a_number_for_every_probability(members: list[Path], images: Path) -> None:
    submit(members, damaged(images), fill=0, output="probs")
    assert "img3,0,0,0\n" in Path("out/submission.csv").read_text()


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


def test_out_that_holds_another_run_is_refused(members: list[Path], images: Path) -> None:
    submit(members, images)
    with pytest.raises(UsageError, match="other settings"):
        submit(members, images, voting="hard")
    submit(members, images, voting="hard", force=True)


def test_the_same_run_may_write_to_its_folder_again(members: list[Path], images: Path) -> None:
    submit(members, images)
    submit(members, images)


def test_a_vote_on_a_run_needs_no_model(members: list[Path], images: Path) -> None:
    soft = submit(members, images)
    for path in members:
        path.unlink()
    hard = predict.vote("out", voting="hard", out="hard")
    assert hard.ids == soft.ids
    assert set(np.unique(hard.probs)) <= {0, 0.25, 0.5, 0.75, 1}


def test_a_vote_equals_the_run_it_repeats(members: list[Path], images: Path) -> None:
    submit(members, images, weights={"ant": 0.3, "bee": 0.7})
    predict.vote("out", weights="ant=0.3,bee=0.7", out="again")
    assert Path("out/submission.csv").read_bytes() == Path("again/submission.csv").read_bytes()


def test_a_vote_keeps_the_place_of_a_quarantined_image(members: list[Path], images: Path) -> None:
    submit(members, damaged(images), fill="dog")
    predict.vote("out", fill="dog", out="again")
    assert Path("out/submission.csv").read_bytes() == Path("again/submission.csv").read_bytes()


def test_a_vote_on_another_run_does_not_replace_the_first(
    members: list[Path], images: Path
) -> None:
    submit(members, images, "one")
    submit(members, images, "two", tta="hflip")
    predict.vote("one", out="vote")
    predict.vote("one", out="vote")
    with pytest.raises(UsageError, match="other settings"):
        predict.vote("two", out="vote")


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


def test_the_frame_has_a_row_an_image(members: list[Path], images: Path) -> None:
    frame = submit(members, images).frame
    assert list(frame.columns) == ["id", "label", *CLASSES]
    assert list(frame["id"]) == [f"img{n}" for n in range(1, 13)]


def test_nothing_temporary_is_left(members: list[Path], images: Path) -> None:
    submit(members, images)
    assert not list(Path().rglob(".tmp-*"))


def test_each_vote_has_a_folder_of_its_own(members: list[Path], images: Path) -> None:
    run = submit(members, images).folder
    one = predict.vote(run, weights={"ant": 1, "bee": 0})
    two = predict.vote(run, weights={"ant": 0, "bee": 1})
    assert one.folder != two.folder
    assert not np.array_equal(one.probs, two.probs)


def test_a_vote_records_what_made_its_predictions(members: list[Path], images: Path) -> None:
    submit(members, images, tta="hflip", store="elsewhere")
    first = predict.vote("out", out="first")
    second = predict.vote("first", voting="hard", out="second")
    assert recipe_of(second)["tta"] == recipe_of(first)["tta"] == "hflip"
    assert recipe_of(second)["images"] == (str(images),)
    assert recipe_of(second)["store"] == "elsewhere"
    assert second.record["run"] == "first"


def rewritten(run: Path, without: str) -> None:
    """Take a setting out of a run's record, as a version that did not know it wrote it."""
    record = json.loads((run / "run.json").read_text())
    del record["recipe"][without]
    (run / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize("later", ["precision", "labels_as", "max_pixels", "store"])
def test_a_run_from_before_a_setting_is_voted_on_with_its_default(
    members: list[Path], images: Path, later: str
) -> None:
    submit(members, images)
    rewritten(Path("out"), later)
    default = settings.settings_of(settings.Settings(members=(), images=()))[later]
    assert recipe_of(predict.vote("out", out="again"))[later] == default


@pytest.mark.parametrize("needed", ["members", "images"])
def test_a_record_without_what_every_run_has_is_damaged(
    members: list[Path], images: Path, needed: str
) -> None:
    submit(members, images)
    rewritten(Path("out"), needed)
    with pytest.raises(UsageError, match=r"run\.json: damaged"):
        predict.vote("out", out="again")


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 1, "members": [1]}'])
def test_a_damaged_record_of_a_run_is_refused(members: list[Path], images: Path, text: str) -> None:
    (submit(members, images).folder / "run.json").write_text(text)
    with pytest.raises(UsageError, match="run.json"):
        predict.vote("out", out="again")


def two_headed(folder: Path, name: str, ages: tuple[str, ...]) -> Path:
    """A member with the heads `label` and `age`, which give the same numbers."""
    card = toy_card(name)
    heads = (card.heads[0], replace(card.heads[0], name="age", output="age", classes=ages))
    card = replace(card, heads=heads)
    model = toy_model(card)
    model.graph.node.append(helper.make_node("Identity", ["logits"], ["age"]))
    model.graph.output.append(
        helper.make_tensor_value_info("age", TensorProto.FLOAT, ["N", len(ages)])
    )
    return save_member(folder, card, model)


def test_a_vote_on_another_head_checks_the_classes_of_every_member(
    tmp_path: Path, images: Path
) -> None:
    first = two_headed(tmp_path / "folds", "ant-f0", ("young", "middle", "old"))
    second = two_headed(tmp_path / "folds", "bee-f0", ("old", "middle", "young"))
    submit([first, second], images, head="label")
    with pytest.raises(MemberError, match="another order"):
        predict.vote("out", head="age", out="age")


def test_a_vote_on_another_head_gives_that_head(tmp_path: Path, images: Path) -> None:
    ages = ("young", "middle", "old")
    members = [two_headed(tmp_path / "folds", f"{n}-f0", ages) for n in ("ant", "bee")]
    labels = submit(members, images, head="label").labels
    found = predict.vote("out", head="age", out="age")
    assert found.labels == tuple(ages[CLASSES.index(label)] for label in labels)


def test_a_head_that_a_member_lacks_is_refused(
    tmp_path: Path, make_member: MakeMember, images: Path
) -> None:
    both = two_headed(tmp_path / "folds", "ant-f0", ("young", "middle", "old"))
    submit([both, make_member("bee-f0")], images, head="label")
    with pytest.raises(MemberError, match="bee-f0 has no head 'age'"):
        predict.vote("out", head="age", out="age")


def test_an_image_that_is_missing_can_be_filled_in_by_a_later_vote(
    members: list[Path], images: Path
) -> None:
    rows = [f"img{n},{images / f'img{n}.png'}" for n in range(1, 13)] + ["gone,nowhere.png"]
    Path("list.csv").write_text("\n".join(["id,path", *rows]))
    first = submit(members, Path("list.csv"))
    assert [(q.id, q.stage) for q in first.quarantined] == [("gone", "read")]
    assert first.path is None
    again = predict.vote("out", fill="dog", out="filled")
    assert (again.path or Path()).read_text().splitlines()[1] == "gone,dog"


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


def test_a_run_that_was_cut_off_while_it_wrote_goes_on(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(members, images).folder / "submission.csv"
    expected = first.read_bytes()

    def cut(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(publish, "write_predictions", cut)
        with pytest.raises(StoreError):
            submit(members, images)
    assert not Path("out/_SUCCESS").exists()
    assert first.read_bytes() == expected
    assert submit(members, images).path == first
    assert Path("out/_SUCCESS").exists()


def test_the_mark_of_success_holds_counts_hash_and_versions(
    members: list[Path], images: Path
) -> None:
    submit(members, images)
    mark = json.loads(Path("out/_SUCCESS").read_text())
    data = Path("out/submission.csv").read_bytes()
    assert mark["counts"] == {"inputs": 12, "predicted": 12, "quarantined": 0}
    assert mark["submission_sha256"] == hashlib.sha256(data).hexdigest()
    assert "numpy" in mark["versions"]


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


def test_a_device_that_is_none_is_refused_by_a_vote_too(members: list[Path], images: Path) -> None:
    recipe = settings.Settings((str(members[0].parent),), (str(images),), device="gpu")
    with pytest.raises(UsageError, match="device 'gpu'"):
        vote(recipe)


def test_a_vote_keeps_the_sample_weights_and_voting_of_its_run(
    members: list[Path], images: Path
) -> None:
    rows = "\n".join(f"img{n},0,0,0" for n in range(12, 0, -1))
    Path("sample.csv").write_text(f"image,eel,dog,cat\n{rows}\n")
    weights = {"ant": 0.9, "bee": 0.1}
    run = submit(members, images, sample="sample.csv", weights=weights)
    same = predict.vote("out", out="same")
    assert Path("same/submission.csv").read_bytes() == Path("out/submission.csv").read_bytes()
    plain = predict.vote("out", weights="uniform", out="plain")
    np.testing.assert_array_equal(same.probs, run.probs)
    equal = submit(members, images, "equal", sample="sample.csv")
    np.testing.assert_array_equal(plain.probs, equal.probs)


def test_a_finished_submission_is_not_taken_away_by_a_bad_image(
    members: list[Path], images: Path
) -> None:
    finished = submit(members, images).folder / "submission.csv"
    before = finished.read_bytes()
    (images / "new.png").write_bytes(b"")
    again = submit(members, images)
    assert again.path is None
    assert [q.id for q in again.quarantined] == ["new"]
    assert finished.read_bytes() == before
    assert Path("out/_SUCCESS").exists()
    assert "new" in Path("out/quarantine.csv").read_text()


def test_a_fill_that_is_no_probability_is_refused(members: list[Path], images: Path) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        submit(members, images, output="probs", fill=2)


def test_the_record_names_what_made_the_numbers(members: list[Path], images: Path) -> None:
    versions = submit(members, images).record["versions"]
    assert {"ensemble-vote", "python", "numpy"} <= set(versions)  # type: ignore[arg-type]
    assert any(name.startswith("onnxruntime") for name in versions)  # type: ignore[attr-defined]


def test_a_run_can_be_voted_on_from_another_folder(members: list[Path], images: Path) -> None:
    submit(members, images)
    Path("below").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("below")
        with pytest.raises(UsageError, match="no longer holds"):
            predict.vote("../out")
        with pytest.raises(SystemExit) as done:
            main(["vote", "../out", "--store", "../.ensemble", "--out", "again"])
    assert done.value.code == 0


def test_nothing_of_the_environment_is_written(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    submit(members, images)
    written = [p for folder in ("out", ".ensemble") for p in Path(folder).rglob("*") if p.is_file()]
    assert written
    assert not any(b"hunter2" in p.read_bytes() for p in written)


def test_ids_never_become_file_names(members: list[Path], images: Path, tmp_path: Path) -> None:
    lines = ["id,path", "../../evil,images/img1.png", "/tmp/evil,images/img2.png"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    before = set(tmp_path.rglob("*"))
    result = submit(members, tmp_path / "list.csv", "runs/out")
    assert set(result.ids) == {"../../evil", "/tmp/evil"}
    new = set(tmp_path.rglob("*")) - before
    assert {p.relative_to(tmp_path).parts[0] for p in new} == {"runs", ".ensemble"}
    assert not list(tmp_path.parent.rglob("*evil*"))


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
    assert shard_size_of(resources, [open_member(path) for path in members]) == size


def test_the_same_command_over_other_images_says_that_it_replaces_the_submission(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("run", "--members", members[0], "--images", images, "--out", "out")
    for _ in range(2):
        assert ensemble(*args) == 0
        assert "the images are others" not in capsys.readouterr().err
    next(images.iterdir()).unlink()
    assert ensemble(*args) == 0
    assert "the images are others than when out was written" in capsys.readouterr().err
