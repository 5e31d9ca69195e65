"""What a vote comes to: a row for each input, also for one that is quarantined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rows import submission
from runs import damaged, submit
from toys import CLASSES, ensemble

from ensemble.errors import ContractError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.predictions.table import Predictions
from ensemble.predictions.tasks import join_tasks
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Quarantined
from ensemble.submission.rows import ExitLabels, VoteInput, results_of
from ensemble.submission.sample import Sample, plain_sample
from ensemble.submission.tasks import TaskForm
from ensemble.voting.constraints import Residual


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_fill_publishes_a_label_for_a_quarantined_image(members: list[Path], images: Path) -> None:
    result = submit(members, damaged(images), fill="dog")
    assert "img3,dog\n" in Path("out/submission.csv").read_text()
    assert (result.path, Path("out/_SUCCESS").exists()) == (Path("out/submission.csv"), True)


def test_fill_publishes_a_number_for_every_probability(members: list[Path], images: Path) -> None:
    submit(members, damaged(images), fill=0, output="probs")
    assert "img3,0,0,0\n" in Path("out/submission.csv").read_text()


def test_a_submission_of_nothing_but_fill_is_not_written(
    members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert ensemble("run", "--members", "folds", "--images", "torn", "--fill", "dog",
                    "--device", "cpu", "--out", "out") == 3  # fmt: skip
    told = capsys.readouterr().err
    assert "1 image quarantined, 1 as truncated, such as 'a': " in told
    assert "no submission was written: nothing is known" in told
    assert not Path("out/submission.csv").exists()


LOST = Quarantined("c", "c.png", "decode", "ImageError", "cut short", "", 0)


def asked(ids: tuple[str, ...] = ("b", "a"), fill: str | None = None) -> tuple[Recipe, VoteInput]:
    """Two rows of one family, a sample of some ids, and what to fill in."""
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    given = Predictions(("a", "b"), CLASSES, {"ant": probs})
    recipe = resolve(Settings((), (), device="cpu", fill=fill))
    return recipe, VoteInput(given, plain_sample(ids, CLASSES, "labels", "auto"), {})


def test_rows_stand_in_the_order_of_the_sample() -> None:
    recipe, voted = asked()
    assert submission(recipe, voted) == b"id,label\nb,eel\na,cat\n"


@pytest.mark.parametrize("ids", [("a",), ("a", "b", "c")])
def test_a_row_too_few_or_too_many_is_no_result(ids: tuple[str, ...]) -> None:
    with pytest.raises(ContractError, match="2 predicted and 0 quarantined"):
        results_of(*asked(ids))


def test_an_image_is_not_predicted_and_quarantined_too() -> None:
    recipe, voted = asked()
    twice = replace(voted.predictions, quarantined=(replace(LOST, id="a"),))
    with pytest.raises(ContractError, match="Nothing was published"):
        results_of(recipe, replace(voted, predictions=twice))


@pytest.mark.parametrize(
    ("fill", "text"), [(None, None), ("dog", b"id,label\nc,dog\na,cat\nb,eel\n")]
)
def test_a_quarantined_image_has_a_row_where_something_stands_in(
    fill: str | None, text: bytes | None
) -> None:
    recipe, voted = asked(("c", "a", "b"), fill)
    voted = replace(voted, predictions=replace(voted.predictions, quarantined=(LOST,)))
    assert submission(recipe, voted) == text


def test_labels_that_were_decided_stand_in_place_of_the_ballots() -> None:
    recipe, voted = asked()
    decided = ExitLabels(np.array([[1], [0]]), np.array([1, 2]))
    (found,) = results_of(recipe, replace(voted, decided=decided))
    assert found.labels == ("dog", "cat")
    assert found.fused.probs.shape == (2, 0)


AGE, MASK = LabelTask("age", ("<30", ">=30"), (30.0,)), LabelTask("mask", ("none", "wear"))
PAIRS = LabelMap(
    tuple("0123"), (AGE, MASK), tuple((a, m) for a in AGE.classes for m in MASK.classes)
)


def of_tasks(voting: str = "soft") -> tuple[Recipe, VoteInput]:
    """Two images whose likeliest label says another age than the ages of all labels together."""
    shares = np.array([[0.1, 0.4, 0.3, 0.2], [0.9, 0.1, 0.0, 0.0]])
    given = Predictions(("a", "b"), PAIRS.labels, {"ant": shares})
    tasks = join_tasks([given], PAIRS)
    forms = {"mask": TaskForm(MASK.classes, by_number=True), "age": TaskForm(AGE.classes)}
    sample = Sample("id", ("b", "a"), "tasks", tuple(forms), False, tasks=forms)
    recipe = resolve(Settings((), (), device="cpu", voting=voting))  # type: ignore[arg-type]
    return recipe, VoteInput(tasks.label, sample, {}, tasks=tasks)


def test_tasks_are_written_by_what_all_labels_say_of_them() -> None:
    recipe, voted = of_tasks()
    (outcome,) = results_of(recipe, voted)
    assert outcome.labels == ("1", "0")
    assert submission(recipe, voted) == b"id,mask,age\nb,0,<30\na,1,<30\n"


def test_tasks_of_a_hard_vote_are_those_of_its_label() -> None:
    recipe, voted = of_tasks("hard")
    assert submission(recipe, voted) == b"id,mask,age\nb,0,<30\na,1,<30\n"


def test_tasks_that_were_not_predicted_are_not_written() -> None:
    recipe, voted = asked()
    alone = replace(voted, sample=of_tasks()[1].sample)
    with pytest.raises(ContractError, match="asks for age, mask"):
        submission(recipe, alone)


def test_values_fulfil_constraints_and_tell_by_how_much_they_were_off() -> None:
    probs = np.array([[1.0, 2.0, 6.0], [1.0, 1.0, 2.0]])
    given = Predictions(("a", "b"), CLASSES, {"ant": probs}, task="regression")
    recipe = resolve(Settings((), (), device="cpu", constraints=("eel = cat + dog",)))
    voted = VoteInput(given, plain_sample(("a", "b"), CLASSES, "probs", "auto"), {})
    (found,) = results_of(recipe, voted)
    np.testing.assert_allclose(found.fused.probs, [[2, 3, 5], [1, 1, 2]])
    assert found.residuals == {"eel = cat + dog": Residual(3.0, 1.5)}
    np.testing.assert_array_equal(found.fused.families["ant"], probs)
    assert submission(recipe, voted) == b"id,cat,dog,eel\na,2,3,5\nb,1,1,2\n"
