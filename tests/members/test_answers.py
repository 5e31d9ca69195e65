"""Which tasks a head answers, by names alone."""

from itertools import permutations

import pytest

from ensemble.errors import MemberError, UsageError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.members.answers import Answer, answering, answers_of, check_answered
from ensemble.members.card import Head
from ensemble.records import Task

AGE = LabelTask("age", ("<30", "30-59", ">=60"), (30.0, 60.0), None, (("kid", "<30"),))
MASK = LabelTask("mask", ("off", "on"))
ROWS = tuple((a, m) for a in AGE.classes for m in MASK.classes)
MAP = LabelMap(tuple("012345"), (AGE, MASK), ROWS)


def head(name: str, *classes: str, task: Task = "classification") -> Head:
    return Head(name, name, task, "none", classes)


def test_a_head_of_a_tasks_name_answers_it_in_any_order_of_its_classes() -> None:
    for order in permutations(AGE.classes):
        (found,) = answers_of(head("age", *order), MAP, "one")
        assert (found.task, found.kind) == ("age", "classes")
        assert [[order[c] for c in own] for own in found.columns] == [[c] for c in AGE.classes]


def test_a_head_of_another_name_is_told_by_its_classes() -> None:
    assert answers_of(head("label", "on", "off"), MAP, "one")[0].task == "mask"
    assert answers_of(head("label", *"543210"), MAP, "one")[0].task is None


def test_a_tasks_name_decides_where_the_labels_have_its_classes_too() -> None:
    digits = LabelTask("digit", tuple("01"))
    map_ = LabelMap(("0", "1"), (digits,), (("1",), ("0",)))
    (found,) = answers_of(head("digit", "0", "1"), map_, "one")
    assert found == Answer("digit", "classes", ((0,), (1,)))


def test_finer_classes_are_merged_and_numbers_are_cut() -> None:
    years = ("0", "29", "30", "59.5", "60", "81", "kid")
    (found,) = answers_of(head("age", *years), MAP, "one")
    assert [[years[c] for c in own] for own in found.columns] == [
        ["0", "29", "kid"], ["30", "59.5"], ["60", "81"],
    ]  # fmt: skip


def test_a_number_that_is_merged_and_cut_is_what_a_truth_would_have_it_be() -> None:
    both = LabelTask("age", ("<30", ">=30"), (30.0,), None, (("30", "<30"),))
    map_ = LabelMap(("0", "1"), (both,), (("<30",), (">=30",)))
    names = ("29", "30", "31")
    (found,) = answers_of(head("age", *names), map_, "one")
    of = {names[c]: both.classes[k] for k, own in enumerate(found.columns) for c in own}
    assert of == {name: both.class_of(name) for name in names}


def test_no_order_of_finer_classes_changes_what_is_summed() -> None:
    years = ("0", "29", "30", "60")
    for order in permutations(years):
        (found,) = answers_of(head("age", *order), MAP, "one")
        named = [[order[c] for c in own] for own in found.columns]
        assert named == [["0", "29"], ["30"], ["60"]]


def test_values_answer_the_tasks_of_their_names() -> None:
    tall = LabelTask("tall", ("<2", ">=2"), (2.0,))
    map_ = LabelMap(("0", "1"), (AGE, tall), (("<30", "<2"), ("<30", ">=2")))
    found = answers_of(head("body", "tall", "age", task="regression"), map_, "one")
    assert found == (Answer("tall", "value", ((0,),)), Answer("age", "value", ((1,),)))


def test_a_single_value_may_be_called_as_its_head() -> None:
    assert answers_of(head("age", "value", task="regression"), MAP, "one")[0].task == "age"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (head("age", "<30", "30-59"), "no column for >=60"),
        (head("age", "<30", "30-59", ">=60", "old"), "no task class for old"),
        (head("mask", "on", "off", "half"), "no task class for half"),
        (head("hair", "red", "black"), "is no task of the label map"),
        (head("label", *"012346"), "missing 5, unknown 6"),
        (head("mask", "mask", task="regression"), "where its classes are cut is not known"),
        (head("hair", "hair", task="regression"), "is no task of the label map"),
        (head("mask", "off", "on", task="multilabel"), "is multilabel"),
    ],
)
def test_a_head_that_answers_nothing_is_refused_with_its_classes(given: Head, said: str) -> None:
    with pytest.raises(MemberError, match=said) as caught:
        answers_of(given, MAP, "member one")
    assert "member one" in str(caught.value)


def test_a_head_with_the_classes_of_two_tasks_must_be_called_as_one() -> None:
    other = LabelTask("scarf", MASK.classes)
    map_ = LabelMap(("0", "1"), (MASK, other), (("on", "on"), ("off", "on")))
    with pytest.raises(MemberError, match=r"mask, scarf.*called as its task"):
        answers_of(head("label", "on", "off"), map_, "one")


def test_a_head_beside_those_that_answer_is_left_out_and_told_of() -> None:
    heads = [head("mask", "off", "on"), head("sharp", "no", "yes")]
    found, idle = answering(heads, MAP, "one")
    assert [each.name for each, _ in found] == ["mask"]
    assert idle == ["sharp"]


def test_two_heads_that_answer_the_same_are_refused() -> None:
    heads = [head("mask", "off", "on"), head("label", "on", "off")]
    with pytest.raises(MemberError, match="several heads answer mask"):
        answering(heads, MAP, "one")


def test_a_task_without_an_answer_is_named_unless_the_label_is_answered() -> None:
    with pytest.raises(UsageError, match=r"no member answers the task age.*Answered: mask"):
        check_answered({"mask"}, MAP)
    check_answered({"mask", None}, MAP)


def thresholds(*classes: str, name: str = "age") -> Head:
    return Head(name, name, "multilabel", "sigmoid", classes, ordinal="conditional")


def test_thresholds_are_of_each_class_but_the_lowest_by_name() -> None:
    (found,) = answers_of(thresholds(">=60", "30-59"), MAP, "one")
    assert found == Answer("age", "thresholds", ((1,), (0,)))


@pytest.mark.parametrize(
    "given", [thresholds("<30", "30-59"), thresholds(">=60"), thresholds("a", name="hair")]
)
def test_other_thresholds_are_refused(given: Head) -> None:
    with pytest.raises(MemberError, match="has each class but the lowest"):
        answers_of(given, MAP, "one")


def test_a_head_that_is_called_as_a_task_and_does_not_answer_it_is_refused() -> None:
    heads = [head("mask", "off", "on"), head("age", "<30", "30-60", ">=60")]
    with pytest.raises(MemberError, match="no column for 30-59"):
        answering(heads, MAP, "one")
