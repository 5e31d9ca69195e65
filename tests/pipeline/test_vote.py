"""A vote on what a run has predicted: what it keeps, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from runs import damaged, recipe_of, submit
from toys import CLASSES, MakeMember, ensemble, save_member, toy_card, toy_model

from ensemble.api.vote import vote as vote_again
from ensemble.cli import main
from ensemble.errors import MemberError, UsageError
from ensemble.pipeline.vote import vote
from ensemble.recipe import settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_vote_on_a_run_needs_no_model(members: list[Path], images: Path) -> None:
    soft = submit(members, images)
    for path in members:
        path.unlink()
    hard = vote_again("out", voting="hard", out="hard")
    assert hard.ids == soft.ids
    assert set(np.unique(hard.probs)) <= {0, 0.25, 0.5, 0.75, 1}


def test_a_vote_equals_the_run_it_repeats(members: list[Path], images: Path) -> None:
    submit(members, images, weights={"ant": 0.3, "bee": 0.7})
    vote_again("out", weights="ant=0.3,bee=0.7", out="again")
    assert Path("out/submission.csv").read_bytes() == Path("again/submission.csv").read_bytes()


def test_a_vote_keeps_the_place_of_a_quarantined_image(members: list[Path], images: Path) -> None:
    submit(members, damaged(images), fill="dog")
    vote_again("out", fill="dog", out="again")
    assert Path("out/submission.csv").read_bytes() == Path("again/submission.csv").read_bytes()


def test_a_vote_on_another_run_does_not_replace_the_first(
    members: list[Path], images: Path
) -> None:
    submit(members, images, "one")
    submit(members, images, "two", tta="hflip")
    vote_again("one", out="vote")
    vote_again("one", out="vote")
    with pytest.raises(UsageError, match="made with .*--tta none; this run has .*--tta hflip"):
        vote_again("two", out="vote")


def test_each_vote_has_a_folder_of_its_own(members: list[Path], images: Path) -> None:
    run = submit(members, images).folder
    one = vote_again(run, weights={"ant": 1, "bee": 0})
    two = vote_again(run, weights={"ant": 0, "bee": 1})
    assert one.folder != two.folder
    assert not np.array_equal(one.probs, two.probs)


def test_a_vote_records_what_made_its_predictions(members: list[Path], images: Path) -> None:
    submit(members, images, tta="hflip", store="elsewhere")
    first = vote_again("out", out="first")
    second = vote_again("first", voting="hard", out="second")
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
    assert recipe_of(vote_again("out", out="again"))[later] == default


@pytest.mark.parametrize("needed", ["members", "images"])
def test_a_record_without_what_every_run_has_is_damaged(
    members: list[Path], images: Path, needed: str
) -> None:
    submit(members, images)
    rewritten(Path("out"), needed)
    with pytest.raises(UsageError, match=r"run\.json: damaged"):
        vote_again("out", out="again")


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 1, "members": [1]}'])
def test_a_damaged_record_of_a_run_is_refused(members: list[Path], images: Path, text: str) -> None:
    (submit(members, images).folder / "run.json").write_text(text)
    with pytest.raises(UsageError, match="run.json"):
        vote_again("out", out="again")


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
        vote_again("out", head="age", out="age")


def test_a_vote_on_another_head_gives_that_head(tmp_path: Path, images: Path) -> None:
    ages = ("young", "middle", "old")
    members = [two_headed(tmp_path / "folds", f"{n}-f0", ages) for n in ("ant", "bee")]
    labels = submit(members, images, head="label").labels
    found = vote_again("out", head="age", out="age")
    assert found.labels == tuple(ages[CLASSES.index(label)] for label in labels)


def test_a_head_that_a_member_lacks_is_refused(
    tmp_path: Path, make_member: MakeMember, images: Path
) -> None:
    both = two_headed(tmp_path / "folds", "ant-f0", ("young", "middle", "old"))
    submit([both, make_member("bee-f0")], images, head="label")
    with pytest.raises(MemberError, match="bee-f0 has no head 'age'"):
        vote_again("out", head="age", out="age")


def test_an_image_that_is_missing_can_be_filled_in_by_a_later_vote(
    members: list[Path], images: Path
) -> None:
    rows = [f"img{n},{images / f'img{n}.png'}" for n in range(1, 13)] + ["gone,nowhere.png"]
    Path("list.csv").write_text("\n".join(["id,path", *rows]))
    first = submit(members, Path("list.csv"))
    assert [(q.id, q.stage) for q in first.quarantined] == [("gone", "read")]
    assert first.path is None
    again = vote_again("out", fill="dog", out="filled")
    assert (again.path or Path()).read_text().splitlines()[1] == "gone,dog"


def test_a_device_that_is_none_is_refused_by_a_vote_too(members: list[Path], images: Path) -> None:
    recipe = settings.Settings((str(members[0].parent),), (str(images),), device="gpu")
    with pytest.raises(UsageError, match="device 'gpu'"):
        vote(recipe)


def test_a_vote_takes_the_devices_of_a_recipe_that_has_several(
    members: list[Path], images: Path
) -> None:
    recipe = settings.Settings((str(members[0].parent),), (str(images),), device="cuda:0,1")
    with pytest.raises(UsageError, match="lacks predictions of ant-f0"):  # and not of the device
        vote(recipe)


def test_a_vote_keeps_the_sample_weights_and_voting_of_its_run(
    members: list[Path], images: Path
) -> None:
    rows = "\n".join(f"img{n},0,0,0" for n in range(12, 0, -1))
    Path("sample.csv").write_text(f"image,eel,dog,cat\n{rows}\n")
    weights = {"ant": 0.9, "bee": 0.1}
    run = submit(members, images, sample="sample.csv", weights=weights)
    same = vote_again("out", out="same")
    assert Path("same/submission.csv").read_bytes() == Path("out/submission.csv").read_bytes()
    plain = vote_again("out", weights="uniform", out="plain")
    np.testing.assert_array_equal(same.probs, run.probs)
    equal = submit(members, images, "equal", sample="sample.csv")
    np.testing.assert_array_equal(plain.probs, equal.probs)


def test_a_run_can_be_voted_on_from_another_folder(members: list[Path], images: Path) -> None:
    submit(members, images)
    Path("below").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("below")
        with pytest.raises(UsageError, match="no longer holds"):
            vote_again("../out")
        with pytest.raises(SystemExit) as done:
            main(["vote", "../out", "--store", "../.ensemble", "--out", "again"])
    assert done.value.code == 0


def test_constraints_stay_with_the_run_until_the_vote_is_told_otherwise(
    tmp_path: Path, images: Path
) -> None:
    card = toy_card("ant-f0", task="regression", activation="none")
    member = save_member(tmp_path / "folds", card, toy_model(card))
    equation = {"eel": "cat + dog"}
    result = submit([member], images, constraints=equation)
    np.testing.assert_allclose(result.probs[:, 2], result.probs[:, :2].sum(1), atol=1e-9)
    again = vote_again("out", out="again")
    np.testing.assert_array_equal(again.probs, result.probs)
    free = vote_again("out", out="free", constraints={})
    assert not np.allclose(free.probs[:, 2], free.probs[:, :2].sum(1))
    assert "constraints" not in free.record
    assert ensemble("vote", "out", "--out", "off", "--constraint", "off") == 0
    assert Path("off/submission.csv").read_bytes() == Path("free/submission.csv").read_bytes()
