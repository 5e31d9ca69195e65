"""The tasks of a label map: what their names and their declarations say."""

import pytest

from ensemble.errors import UsageError
from ensemble.label_tasks import LabelTask, cuts_of_names, declared_tasks

AGES = {"<30", "30-59", ">=60"}
GENDERS = {"female", "male"}


def age(text: str, there: set[str] = AGES) -> LabelTask:
    return declared_tasks({"age": there}, text)[0]


@pytest.mark.parametrize(
    ("names", "order", "cuts"),
    [
        (("30-59", "<30", ">=60"), ("<30", "30-59", ">=60"), (30.0, 60.0)),
        (("60+", "<30", "[30, 60)"), ("<30", "[30, 60)", "60+"), (30.0, 60.0)),
        (("<-1", ">=-1"), ("<-1", ">=-1"), (-1.0,)),
        (("<0.5", ">=0.5"), ("<0.5", ">=0.5"), (0.5,)),
    ],
)
def test_names_that_state_their_bounds_give_the_order_and_the_cuts(
    names: tuple[str, ...], order: tuple[str, ...], cuts: tuple[float, ...]
) -> None:
    assert cuts_of_names(names) == (order, cuts)


@pytest.mark.parametrize(
    "names",
    [
        ("<30", "30-59"),  # no end
        ("30-59", ">=60"),  # no beginning
        ("<30", "35-59", ">=60"),  # a gap
        ("<30", "25-59", ">=60"),  # an overlap
        ("<30", "31-59", ">=60"),  # 30 is of none
        ("<30", "[30,59)", ">=60"),
        ("<30", "30 to 59", ">=60"),
        ("young", "old"),
        (">=60",),
    ],
)
def test_names_of_another_kind_give_none(names: tuple[str, ...]) -> None:
    assert cuts_of_names(names) is None


def test_without_a_declaration_classes_stand_in_the_natural_order_of_their_names() -> None:
    task = declared_tasks({"gender": GENDERS}, "")[0]
    assert task == LabelTask("gender", ("female", "male"))


def test_a_declaration_gives_cuts_spread_and_finer_classes() -> None:
    task = age('age = {cuts = [29, 58], spread = 4, merge = {"<20" = "<30", "20-29" = "<30"}}')
    merge = (("20-29", "<30"), ("<20", "<30"))
    assert task == LabelTask("age", ("<30", "30-59", ">=60"), (29.0, 58.0), 4.0, merge)


def test_a_spread_that_is_to_be_tuned_is_none() -> None:
    assert age('age = {spread = "tuned"}').spread is None


def test_classes_that_are_words_take_their_order_from_the_declaration() -> None:
    task = age('age = {classes = ["young", "old"], cuts = [40]}', {"old", "young"})
    assert (task.classes, task.cuts) == (("young", "old"), (40.0,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age = {cuts = [60, 30]}", "cuts that ascend"),
        ("age = {cuts = [30]}", "2 for 3 classes"),
        ("age = {spread = 0}", "a number above 0"),
        ("age = {spread = -1}", "a number above 0"),
        ("age = {spread = inf}", "a finite number"),
        ('age = {classes = ["<30", ">=60", "30-59"]}', "the order that their names tell"),
        ('age = {classes = ["<30"]}', "the label map's, each once"),
        ('age = {merge = {"<20" = "<40"}}', "a class of the label map"),
        ("age = {cut = [30, 60]}", "no such field"),
        ("age = 3", "an object"),
        ("height = {cuts = [3]}", "the label map has no column 'height'"),
        ("age = {", "not TOML"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        age(text)


def test_a_spread_of_a_task_without_cuts_is_refused() -> None:
    with pytest.raises(UsageError, match="tasks.gender.spread: expected cuts too"):
        declared_tasks({"gender": GENDERS}, "gender = {spread = 2}")


def test_cuts_of_classes_without_an_order_are_refused() -> None:
    with pytest.raises(UsageError, match="in the order of the cuts"):
        age("age = {cuts = [40]}", {"old", "young"})


CUT = LabelTask("age", ("<30", ">=30"), (30.0,), None, (("kid", "<30"), ("30", "<30")))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (">=30", ">=30"), ("kid", "<30"), ("29.999", "<30"), ("30.0", ">=30"), ("-1", "<30"),
        ("old", None), ("nan", None), ("inf", None), ("", None),
    ],
)  # fmt: skip
def test_a_name_says_itself_what_it_is_merged_into_or_where_it_is_cut(
    name: str, said: str | None
) -> None:
    assert CUT.class_of(name) == said


def test_what_is_declared_of_a_number_goes_before_what_it_is_as_a_number() -> None:
    assert CUT.class_of("30") == "<30"


def test_a_number_of_a_task_without_cuts_is_no_class() -> None:
    assert LabelTask("mask", ("off", "on")).class_of("1") is None


def test_no_cuts_that_are_declared_are_refused_not_read_from_the_names() -> None:
    with pytest.raises(UsageError, match="tasks.age.cuts: expected a number or more"):
        age("age = {cuts = []}")
