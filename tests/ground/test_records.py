"""Records are frozen values: equal where their fields are, and keys of what they decide."""

import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ensemble import records
from ensemble.boxes import Crop
from ensemble.errors import UsageError
from ensemble.records import (
    EXTENSIONS,
    TASKS,
    Alpha,
    DecodePolicy,
    Exif,
    Fit,
    MemberId,
    Op,
    OpName,
    Preprocess,
    Quarantined,
    Size,
    Task,
    View,
    Voting,
    check_choice,
)

PRE = Preprocess(Size(8, 10), "crop", 0.9, "bicubic", (0.5, 0.25, 0.75), (0.1, 0.2, 0.3))
RECORDS: list[Any] = [
    MemberId("ant-f0", "ant", 0, "ab"), Crop(0.25, square=True),
    Size(3, 4), PRE, PRE.geometry, DecodePolicy(), Op("rot90", (1,)),
    View("turned", (Op("rot90", (1,)),)), TASKS["regression"],
    Quarantined("a", "a.jpg", "read", "x", "y", "", -1),
]  # fmt: skip
MEANS = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(tuple)


def named(record: object) -> str:
    return type(record).__name__


def test_every_record_is_looked_at_here() -> None:
    made = {n for n, v in vars(records).items() if isinstance(v, type) and is_dataclass(v)}
    assert made == {named(record) for record in RECORDS}


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_a_record_cannot_be_changed(record: Any) -> None:
    for field in fields(record):
        with pytest.raises(FrozenInstanceError):
            setattr(record, field.name, None)


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_a_record_holds_its_fields_and_nothing_else(record: Any) -> None:
    with pytest.raises((FrozenInstanceError, TypeError, AttributeError)):
        record.more = 1
    assert not hasattr(record, "__dict__")


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_records_of_equal_fields_are_one_key(record: Any) -> None:
    assert {record: 1}[replace(record)] == 1


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_a_record_is_the_same_in_another_process(record: Any) -> None:
    assert pickle.loads(pickle.dumps(record)) == record


def test_a_size_is_told_as_height_by_width() -> None:
    assert f"{Size(100, 300)}" == "100x300"


def test_a_size_is_not_its_transpose() -> None:
    assert Size(100, 300) != Size(300, 100)


# ---- geometry


def test_members_that_normalise_otherwise_share_their_pixels() -> None:
    other = replace(PRE, mean=(0.1, 0.1, 0.1), std=(1.0, 1.0, 1.0))
    assert other.geometry == PRE.geometry


@pytest.mark.parametrize(
    "change",
    [
        {"size": Size(10, 8)}, {"fit": "squash"}, {"crop_pct": 0.95},
        {"interpolation": "bilinear"}, {"mean": (0.5,), "std": (0.1,)},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_members_that_resize_otherwise_do_not(change: dict[str, Any]) -> None:
    assert replace(PRE, **change).geometry != PRE.geometry


@settings(deadline=None, max_examples=40)
@given(MEANS)
def test_a_border_has_the_mean_as_a_byte_for_each_channel(mean: tuple[float, ...]) -> None:
    fill = replace(PRE, fit="pad", mean=mean).geometry.fill
    assert len(fill) == 3
    assert all(0 <= f <= 255 and abs(f - 255 * m) <= 0.5 for f, m in zip(fill, mean, strict=True))


@settings(deadline=None, max_examples=40)
@given(MEANS, st.sampled_from([fit for fit in get_args(Fit) if fit != "pad"]))
def test_what_is_not_padded_has_no_border(mean: tuple[float, ...], fit: Fit) -> None:
    assert replace(PRE, fit=fit, mean=mean).geometry.fill == ()


def test_channels_are_counted_by_the_mean() -> None:
    assert PRE.geometry.channels == 3
    assert replace(PRE, mean=(0.5,), std=(0.5,)).geometry.channels == 1


# ---- choices


CHOICES = {name: v for name, v in vars(records).items() if get_origin(v) is Literal}


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_taken(name: str) -> None:
    for value in get_args(CHOICES[name]):
        check_choice(name, value, CHOICES[name])


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["", "Soft", None, 3, ("soft",), "soft "])
def test_what_is_no_choice_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError):
        check_choice(name, value, CHOICES[name])


def test_a_refused_choice_names_the_setting_and_the_choices() -> None:
    with pytest.raises(UsageError) as caught:
        check_choice("voting", "sotf", Voting)
    assert str(caught.value) == "voting 'sotf': expected one of soft, hard, geometric, rank"


def test_a_list_is_no_choice_and_no_crash() -> None:
    with pytest.raises(UsageError, match=r"task \['regression'\]: expected one of"):
        check_choice("task", ["regression"], Task)


def test_the_policy_by_default_is_one_that_can_be_asked_for() -> None:
    policy = DecodePolicy()
    check_choice("exif", policy.exif, Exif)
    check_choice("alpha", policy.alpha, Alpha)
    assert not policy.allow_truncated


# ---- tables


def test_an_extension_belongs_to_one_format() -> None:
    every = [extension for known in EXTENSIONS.values() for extension in known]
    assert len(set(every)) == len(every)
    assert all(e == e.lower() and not e.startswith(".") for e in every)


def test_pillow_knows_each_format_by_the_same_extensions() -> None:
    theirs = Image.registered_extensions()
    for kind, known in EXTENSIONS.items():
        for extension in known:
            assert theirs.get(f".{extension}", kind) == kind


def test_every_operation_is_told_in_the_words_of_its_record() -> None:
    assert all(name in (Op.__doc__ or "") for name in get_args(OpName))
