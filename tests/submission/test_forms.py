"""What a sample's one column asks for is told by its cells, or refused with the flag."""

import pytest
from toys import CLASSES

from ensemble.errors import UsageError
from ensemble.submission.forms import (
    Form,
    Wanted,
    form_of_column,
    positive_of,
)


def form(cells: list[str], *, classes: tuple[str, ...] = CLASSES, column: str = "target",
         **wanted: object) -> Form:  # fmt: skip
    return form_of_column("s.csv", column, cells, classes, Wanted(**wanted))  # type: ignore[arg-type]


def test_a_class_a_cell_is_a_label() -> None:
    assert form(["cat", "", "eel"]) == Form("label")
    assert form(["2", "0"], classes=("0", "1", "2")) == Form("label")
    assert form(["0"], labels_as="index") == Form("label", index_labels=True)


@pytest.mark.parametrize(("cell", "near"), [("Cat", "'cat'"), ("dogs", "'dog'"), ("EEL", "'eel'")])
def test_a_label_that_is_no_class_is_refused_with_the_nearest(cell: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"'{cell}' are no class: did you mean {near}?"):
        form(["cat", cell])


def test_a_label_like_none_is_refused_and_may_stand_in() -> None:
    with pytest.raises(UsageError, match="'unknown' are no class: The classes are cat, dog, eel"):
        form(["unknown"])
    assert form(["unknown"], labels_as="name") == Form("label")


# ---- two classes


@pytest.mark.parametrize(
    ("classes", "positive"),
    [(("0", "1"), "1"), (("1", "0"), "1"), (("yes", "no"), "yes"), (("False", "True"), "True"),
     (("Negative", "Positive"), "Positive")],
)  # fmt: skip
def test_names_tell_which_class_is_the_positive_one(
    classes: tuple[str, ...], positive: str
) -> None:
    assert form(["0.5", "0"], classes=classes) == Form("probs", (positive,))


def test_names_that_do_not_tell_ask_for_the_class() -> None:
    pair = ("benign", "malignant")
    with pytest.raises(UsageError, match="one of benign, malignant: say which by --positive NAME"):
        form(["0.5"], classes=pair)
    assert form(["0.5"], classes=pair, positive="malignant") == Form("probs", ("malignant",))
    assert form(["0"], classes=pair, column="benign") == Form("probs", ("benign",))
    with pytest.raises(UsageError, match="--positive bad: no class"):
        positive_of("s.csv", "target", pair, "bad")


def test_zeros_alone_may_be_labels_or_probabilities() -> None:
    pair = ("0", "1")
    with pytest.raises(UsageError, match="--output labels or --output probs"):
        form(["0", "0"], classes=pair)
    assert form(["0", "0"], classes=pair, output="labels") == Form("label")
    assert form(["0", "0"], classes=pair, output="probs") == Form("probs", ("1",))
    assert form(["0", "1"], classes=pair) == Form("label")


def test_a_positive_class_beside_labels_is_refused() -> None:
    with pytest.raises(UsageError, match="--positive cat: s.csv holds labels"):
        form(["cat"], positive="cat")


# ---- several labels


def test_cells_of_several_labels_ask_for_as_many() -> None:
    assert form(["cat dog", "eel cat"]) == Form("top", top=2)
    assert form(["cat", "dog"], top=3) == Form("top", top=3)
    with pytest.raises(UsageError, match="cells hold 1, 2 labels; say by --top"):
        form(["cat dog", "eel"])
    with pytest.raises(UsageError, match="--top 4: there are 3 classes"):
        form(["cat"], top=4)


def test_a_class_with_a_space_is_one_label() -> None:
    spaced = ("polar bear", "cat", "dog")
    assert form(["polar bear", "cat"], classes=spaced) == Form("label")
    with pytest.raises(UsageError, match="polar bear have spaces.*--labels-as index"):
        form(["cat dog"], classes=spaced)


def test_a_head_of_labels_has_those_that_are_given_in_a_cell() -> None:
    assert form(["cat dog", "", "eel"], task="multilabel") == Form("list")
    assert form(["0 2", "1"], task="multilabel", labels_as="index") == Form("list", (), True)
    assert form(["cat"], task="multilabel", top=2) == Form("top", top=2)
    with pytest.raises(UsageError, match="'fox' are no class"):
        form(["cat fox"], task="multilabel")


def test_one_label_or_value_has_the_one_column_whatever_it_is_called() -> None:
    assert form(["0"], classes=("age",), task="regression") == Form("probs", ("age",))
    assert form(["0.5"], classes=("rain",), task="multilabel") == Form("probs", ("rain",))
    with pytest.raises(UsageError, match="a column is needed for each of age, weight"):
        form(["0"], classes=("age", "weight"), task="regression")
