"""What flags say of each head."""

from pathlib import Path

import pytest

from ensemble.cli.heads import choices_by_head, classes_by_head, outputs_by_head
from ensemble.errors import UsageError
from ensemble.records import Activation, Task


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_head_is_called_label_or_as_it_is_said() -> None:
    assert classes_by_head(["cat,dog"], None) == {"label": ("cat", "dog")}
    assert classes_by_head(["cat,dog"], "animal") == {"animal": ("cat", "dog")}


def test_several_heads_are_named_each() -> None:
    Path("sex.txt").write_text("f\nm\n")
    found = classes_by_head(["age=years", "sex=sex.txt"], None)
    assert found == {"age": ("years",), "sex": ("f", "m")}


def test_a_file_holds_any_names() -> None:
    Path("bins.txt").write_text("x=0\nx=1, x=2\n")
    assert classes_by_head(["bins.txt"], None) == {"label": ("x=0", "x=1, x=2")}
    assert classes_by_head(["bin=bins.txt"], None) == {"bin": ("x=0", "x=1, x=2")}


@pytest.mark.parametrize("text", ["x=0,x=1", "size=small,size=large", "a=b=c"])
def test_names_that_hold_an_equals_sign_are_refused_with_the_file_that_takes_them(
    text: str,
) -> None:
    with pytest.raises(UsageError, match="hold = .* --classes FILE"):
        classes_by_head([text], None)


def test_a_list_that_may_name_a_head_or_a_class_is_refused() -> None:
    with pytest.raises(UsageError, match="say --head low --classes 0,high; .*--classes FILE"):
        classes_by_head(["low=0,high"], None)


@pytest.mark.parametrize(
    ("given", "head", "message"),
    [
        ([], None, "--classes is needed"),
        (["a,b", "c,d"], None, "say HEAD=FILE for each"),
        (["x=a"], "y", "--classes names the head 'x' already"),
        (["x=a,b", "x=c,d"], None, "head 'x' stands there twice"),
    ],
)
def test_heads_that_cannot_be_told_apart_are_refused(
    given: list[str], head: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        classes_by_head(given, head)


def test_a_choice_is_of_every_head_or_of_one() -> None:
    every, each = choices_by_head("--task", ["age=regression", "multilabel"], Task, ["age", "tags"])
    assert (every, each) == ("multilabel", {"age": "regression"})


def test_a_head_may_have_an_equals_sign_in_its_name() -> None:
    _, each = choices_by_head("--task", ["k=1=regression"], Task, ["k=1"])
    assert each == {"k=1": "regression"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age=years", "expected one of softmax, "),
        ("relu", "expected one of softmax, "),
        ("sex=none", "no head 'sex'; the heads are age"),
    ],
)
def test_no_such_choice_or_head_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choices_by_head("--activation", [text], Activation, ["age"])


def test_what_is_said_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="said twice"):
        choices_by_head("--task", ["age=regression", "age=multilabel"], Task, ["age"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], None),
        (["Identity:0"], "Identity:0"),
        (["a=b"], "a=b"),
        (["age=dense=1", "k=1=probs"], {"age": "dense=1", "k=1": "probs"}),
        (["sex=logits"], {"sex": "logits"}),
    ],
)
def test_an_output_is_that_of_the_one_head_or_of_the_head_it_names(
    given: list[str], expected: object
) -> None:
    assert outputs_by_head(given, ["age", "sex", "k=1"]) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["age=a", "b"], "'b': of which head\\? Say HEAD=NAME; the heads are age, sex"),
        (["age=a", "age=b"], "'age=b': said twice"),
    ],
)
def test_outputs_whose_heads_cannot_be_told_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        outputs_by_head(given, ["age", "sex"])
