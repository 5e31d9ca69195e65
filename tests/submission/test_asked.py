"""What a run is asked to write follows from the sample, the head and the flags, or is refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fake_workers import Told
from toys import CLASSES

from ensemble.errors import ContractError, UsageError
from ensemble.members.card import Head
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Task
from ensemble.submission.asked import sample_for
from ensemble.submission.sample import Sample


def asked(
    text: str | None = None,
    ids: Sequence[str] = ("a", "b"),
    *,
    task: Task = "classification",
    notes: Told | None = None,
    **flags: object,
) -> Sample:
    """What a sample of this text asks for, in the working folder, under these flags."""
    if text is not None:
        Path("s.csv").write_text(text)
        flags["sample"] = Path("s.csv")
    recipe = resolve(Settings((), (), device="cpu", **flags))  # type: ignore[arg-type]
    head = Head("label", "logits", task, "none", CLASSES)
    return sample_for(recipe, head, ids, Told() if notes is None else notes)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_sample_each_image_has_its_label() -> None:
    found = asked()
    assert (found.ids, found.kind, found.columns) == (("a", "b"), "label", ("label",))
    assert asked(output="probs").columns == CLASSES


def test_without_a_sample_a_regression_has_no_labels() -> None:
    assert asked(task="regression").kind == "probs"
    with pytest.raises(UsageError, match="is regression and has no labels"):
        asked(task="regression", output="labels")


def test_ids_with_an_extension_are_joined_and_said() -> None:
    notes = Told()
    found = asked("id,label\nb.png,cat\na.png,cat\n", notes=notes)
    assert (found.ids, dict(found.written)) == (("b", "a"), {"b": "b.png", "a": "a.png"})
    assert "one to one, such as 'b.png' for 'b'" in notes.said[0]


def test_ids_that_differ_are_no_sample_of_the_run() -> None:
    with pytest.raises(ContractError, match="1 images are not in the sample"):
        asked("id,label\na,cat\n")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"output": "binary"}, "--output binary is for multilabel heads"),
        ({"round": "nearest"}, "--round is for values of a regression"),
        ({"fill": "fox"}, "--fill 'fox' is none of the 3 classes"),
    ],
)
def test_flags_that_do_not_suit_the_head_are_refused(
    flags: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        asked(**flags)


# ---- forms


def test_a_form_that_is_said_holds_without_a_sample() -> None:
    assert asked(form="wide").form == "wide"
    assert (asked(form="list", top=2).kind, asked(form="list", top=2).top) == ("top", 2)
    assert asked(task="multilabel", form="list").kind == "list"
    assert asked(task="multilabel").kind == "probs"


@pytest.mark.parametrize(
    ("task", "form", "message"),
    [
        ("classification", "melted", "give a sample"),
        ("classification", "tasks", "no tasks are predicted"),
        ("classification", "list", "say by --top"),
        ("multilabel", "label", "say --form list"),
        ("regression", "list", "has no labels"),
    ],
)
def test_a_form_that_nothing_tells_is_refused(task: Task, form: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        asked(task=task, form=form)


def test_tasks_have_a_column_each_without_a_sample() -> None:
    recipe = resolve(Settings((), (), device="cpu", form="tasks"))
    head = Head("label", "logits", "classification", "none", CLASSES)
    found = sample_for(recipe, head, ["a"], Told(), {"mask": ("wear", "none"), "age": ()})
    assert (found.form, found.header) == ("tasks", ("id", "mask", "age"))
    plain, none = resolve(Settings((), (), device="cpu")), replace(head, classes=())
    assert sample_for(plain, none, ["a"], Told(), {"mask": ("wear", "none"), "age": ()}) == found


def test_melted_ids_with_an_extension_are_those_of_the_images() -> None:
    rows = "".join(f"{i}.jpg_{c},0\n" for i in "ba" for c in CLASSES)
    notes = Told()
    found = asked(f"id,value\n{rows}", notes=notes)
    assert (found.ids, dict(found.written)) == (("b", "a"), {"b": "b.jpg", "a": "a.jpg"})
    assert "such as 'b.jpg' for 'b'" in notes.said[0]


def test_an_image_without_melted_rows_is_listed() -> None:
    rows = "".join(f"a_{c},0\n" for c in CLASSES)
    with pytest.raises(ContractError, match=r"1 images are not in the sample \(b\)"):
        asked(f"id,value\n{rows}")


def test_a_copied_column_is_said() -> None:
    notes = Told()
    asked("id,label,Usage\na,cat,Public\nb,cat,Private\n", notes=notes)
    assert notes.said == [
        "the sample's 'Usage' is neither class nor target: it is copied as it stands"
    ]


def test_rounded_values_fulfil_no_constraints() -> None:
    with pytest.raises(UsageError, match="--round nearest: rounded values no longer fulfil"):
        asked(task="regression", round="nearest", constraints=("eel = cat + dog",))


def test_the_best_of_a_cell_are_asked_for_where_cells_have_several() -> None:
    assert asked("id,label\na,cat dog\nb,dog cat\n", top=2).top == 2
    with pytest.raises(UsageError, match="--top 2: the submission is of the form wide"):
        asked("id,cat,dog,eel\na,0,0,0\nb,0,0,0\n", top=2)
