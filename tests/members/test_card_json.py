"""A card is written and read again; what breaks its schema is refused by field."""

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import toy_card

from ensemble.boxes import Crop
from ensemble.errors import MemberError
from ensemble.members.card import ACTIVATIONS, BoxOutput, Card, Head
from ensemble.members.card_json import from_json, make_card, read_heads, to_json
from ensemble.records import (
    VOTED,
    Activation,
    BoxScale,
    Fit,
    Interpolation,
    Preprocess,
    Size,
    Task,
)


def test_a_card_survives_the_round_trip() -> None:
    card = toy_card()
    assert from_json(to_json(card), "here") == card


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('"schema": 1|"schema": 9', "schema"),
        ('"fit": "crop"|"fit": "zoom"', "fit"),
        ('"height": 8|"height": 0', "height"),
        ('"crop_pct": 1.0|"crop_pct": 0', "crop_pct"),
        ('"activation": "softmax"|"activation": "sigmoid"', "activation"),
        ('"eel"|"dog"', "classes"),
        ('"arch": "toy"|"arch": "toy", "run": "rm"', "run"),
        ('"fold": 0|"fold": -1', "fold"),
    ],
)
def test_a_wrong_field_of_a_card_is_named(change: str, field: str) -> None:
    before, after = change.split("|")
    text = to_json(toy_card())
    assert before in text
    with pytest.raises(MemberError, match=field):
        from_json(text.replace(before, after), "here")


@pytest.mark.parametrize(
    "name", ["/home/me/x", "../../x", "a/b", "a\\b", "C:x", "..", ".hidden", "x" * 201]
)
def test_a_card_whose_name_is_no_file_name_is_refused(name: str) -> None:
    text = to_json(replace(toy_card(), name=name))
    with pytest.raises(MemberError, match="'name': expected what a file may be called"):
        from_json(text, "here")


@pytest.mark.parametrize("name", ["resnet-f0", "Größe 2.1 (ema)", "x" * 200])
def test_a_card_may_have_any_file_name(name: str) -> None:
    assert from_json(to_json(replace(toy_card(), name=name)), "here").name == name


def test_a_mean_on_the_scale_of_bytes_is_refused() -> None:
    card = toy_card()
    card = replace(card, preprocess=replace(card.preprocess, mean=(123.675, 116.28, 103.53)))
    with pytest.raises(MemberError, match=r"mean.*from 0 to 1.*divide by 255"):
        from_json(to_json(card), "here")


@pytest.mark.parametrize("count", [2, 4, 16])
def test_a_member_may_take_several_bands(count: int) -> None:
    assert len(from_json(to_json(toy_card(channels=count)), "here").preprocess.mean) == count


def test_more_bands_than_sixteen_are_refused() -> None:
    with pytest.raises(MemberError, match="1 to 16 values"):
        from_json(to_json(toy_card(channels=17)), "here")


def test_the_order_of_colours_is_that_of_three_channels() -> None:
    card = toy_card(channels=4)
    card = replace(card, preprocess=replace(card.preprocess, channel_order="bgr"))
    with pytest.raises(MemberError, match="bgr for 3 channels only, found 4"):
        from_json(to_json(card), "here")


def test_what_a_card_declares_is_written_only_where_it_is_not_usual() -> None:
    plain = json.loads(to_json(toy_card()))
    assert not {"batch", "layout"} & set(plain)
    assert "channel_order" not in plain["preprocess"]
    odd = replace(toy_card(), batch="alone", layout="nhwc")
    odd = replace(odd, preprocess=replace(odd.preprocess, channel_order="bgr"))
    assert from_json(to_json(odd), "here") == odd


def test_one_class_is_no_classification() -> None:
    with pytest.raises(MemberError, match="two or more"):
        from_json(to_json(toy_card(classes=("cat",))), "here")


def test_a_huge_card_is_refused() -> None:
    with pytest.raises(MemberError, match="bytes"):
        from_json(" " * (9 * 1024 * 1024), "here")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ('"eel"|"\\ud800"', "JSON"),
        ('"eel"|"a\\u0000b"', "control characters"),
        ('"crop_pct": 1.0|"crop_pct": 1' + "0" * 400, "finite"),
        ('"fold": 0|"fold": 1' + "0" * 30, "fold"),
        ('"name": "toy-f0"|"name": ' + "[" * 400 + "]" * 400, "name"),
    ],
    ids=["surrogate", "control", "number", "fold", "depth"],
)
def test_odd_values_of_a_card_are_refused_by_field(change: str, field: str) -> None:
    before, after = change.split("|")
    text = to_json(toy_card())
    assert before in text
    with pytest.raises(MemberError, match=field):
        from_json(text.replace(before, after, 1), "here")


def test_a_card_that_names_a_factory_is_refused() -> None:
    text = to_json(toy_card()).replace('"arch": "toy"', '"arch": "toy", "factory": "os:system"')
    with pytest.raises(MemberError, match="factory"):
        from_json(text, "here")


# ---- round trips

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9)
SIDES = st.integers(1, 16_384)
SCALES = get_args(BoxScale)
UNIT = st.floats(0, 1, allow_subnormal=False)


@st.composite
def cards(draw: st.DrawFn) -> Card:
    """Any card that keeps the schema."""
    task: Task = draw(st.sampled_from(get_args(Task)))
    activation = draw(st.sampled_from(sorted({ACTIVATIONS[task], "none"})))
    least = 2 if task == "classification" else 1
    most = 1 if task == "boxes" else 4
    classes = draw(st.lists(NAMES, min_size=least, max_size=most, unique=True))
    output = BoxOutput(draw(NAMES), draw(st.integers(1, 10_000)), draw(st.sampled_from(SCALES)))
    channels = draw(st.sampled_from([1, 3]))
    pre = Preprocess(
        Size(draw(SIDES), draw(SIDES)),
        draw(st.sampled_from(get_args(Fit))),
        draw(st.floats(0.05, 20)),
        draw(st.sampled_from(get_args(Interpolation))),
        tuple(draw(UNIT) for _ in range(channels)),
        tuple(draw(st.floats(1e-3, 9)) for _ in range(channels)),
        crop=draw(st.none() | st.builds(Crop, st.floats(0, 10), st.booleans())),
    )
    return Card(
        name=f"m{draw(st.integers(0, 9))}", family=draw(NAMES),
        fold=draw(st.none() | st.integers(0, 1_000_000)), arch=draw(NAMES), preprocess=pre,
        heads=(Head(draw(NAMES), draw(NAMES), task, activation, tuple(classes),
                    output if task == "boxes" else None),),
        dynamic_size=draw(st.booleans()),
        source=draw(st.dictionaries(NAMES, NAMES | st.integers(-9, 9) | UNIT, max_size=2)),
    )  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(card=cards())
def test_any_card_survives_the_round_trip(card: Card) -> None:
    assert from_json(to_json(card), "here") == card
    assert from_json(to_json(card).encode(), "here") == card


@settings(deadline=None, max_examples=40)
@given(text=st.text(max_size=40))
def test_any_text_is_a_card_or_refused_with_its_file(text: str) -> None:
    with pytest.raises(MemberError, match="^here.onnx: "):
        from_json(text, "here.onnx")


@settings(deadline=None, max_examples=40)
@given(record=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["schema", "heads", "preprocess", "name", "fold", "source", "mean"]),
        inner, max_size=4,
    ), max_leaves=8,
))  # fmt: skip
def test_any_json_is_refused_by_field(record: object) -> None:
    with pytest.raises(MemberError, match="here: card field "):
        from_json(json.dumps(record), "here")


def test_a_card_is_written_in_the_order_of_the_schema() -> None:
    record = json.loads(to_json(toy_card()))
    assert list(record) == ["schema", "name", "family", "fold", "arch", "preprocess", "heads",
                            "dynamic_size", "source"]  # fmt: skip
    assert list(record["preprocess"])[:2] == ["height", "width"]


# ---- fields, one by one


def altered(path: str, value: object) -> str:
    """The card of a toy with one field changed; `...` leaves the field out."""
    record = json.loads(to_json(toy_card()))
    *way, last = path.split(".")
    at = record
    for step in way:
        at = at[int(step) if step.isdigit() else step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(record)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", ..., "'schema': expected 1, found None"),
        ("name", ..., "'name': expected printable text of 1 to 500 characters, found None"),
        ("family", "", "'family': expected printable text of 1 to 500 characters, found ''"),
        ("arch", "a\nb", "'arch': expected printable text"),
        ("fold", True, "'fold': expected a whole number from 0 to 1000000, or null, found True"),
        ("fold", 1.0, "'fold': expected a whole number"),
        ("fold", 1_000_001, "'fold': expected a whole number"),
        ("preprocess", [], "'preprocess': expected an object, found []"),
        ("preprocess.width", 16_385, "'preprocess.width': expected whole pixels from 1 to 16384"),
        ("preprocess.height", 8.0, "'preprocess.height': expected whole pixels"),
        ("preprocess.heigth", 8, "'preprocess.heigth': expected no such field (known: height, "),
        (
            "preprocess.fit",
            ["crop"],
            "'preprocess.fit': expected one of crop, squash, pad, found ['crop']",
        ),
        (
            "preprocess.interpolation",
            "box",
            "'preprocess.interpolation': expected one of nearest, bilinear",
        ),
        ("preprocess.crop_pct", 21, "'preprocess.crop_pct': expected a number from 0.05 to 20"),
        ("preprocess.mean", [0.5, 0.5], "'preprocess.mean': expected 1 to 16 values, one a ch"),
        ("preprocess.mean", ["a", 0, 0], "'preprocess.mean': expected a number, found 'a'"),
        ("preprocess.std", [1, 1, 0], "'preprocess.std': expected values above 0"),
        ("preprocess.std", [1], "expected 1 to 16 values, one a channel, and as many in std"),
        ("preprocess.channel_order", "gbr", "'preprocess.channel_order': expected one of rgb"),
        ("batch", 1, "'batch': expected one of any, alone, found 1"),
        ("layout", "NHWC", "'layout': expected one of nchw, nhwc, found 'NHWC'"),
        ("heads", [], "'heads': expected one head or more, with different names, found []"),
        ("heads", {}, "'heads': expected a list, found {}"),
        ("heads", ["label"], "'heads[0]': expected an object, found 'label'"),
        ("heads.0.classes", ["a", 1], "'heads[0].classes': expected a list of names"),
        ("heads.0.classes", ["a", ""], "'heads[0].classes': expected a list of names"),
        ("heads.0.classes", ["b", "a", "b"], "names that differ, found ['b']"),
        ("heads.0.task", "ranking", "'heads[0].task': expected one of classification, mult"),
        (
            "heads.0.activation",
            "relu",
            "'heads[0].activation': expected one of softmax, sigmoid, exp, none",
        ),
        ("dynamic_size", 1, "'dynamic_size': expected true or false, found 1"),
        ("source", {"run": None}, "'source.run': expected text or a number, found None"),
    ],
)
def test_a_field_is_named_with_what_was_expected_and_found(
    path: str, value: object, message: str
) -> None:
    with pytest.raises(MemberError) as caught:
        from_json(altered(path, value), "here")
    assert message in str(caught.value)
    assert str(caught.value).startswith("here: card field '")


def test_two_heads_of_one_name_are_refused() -> None:
    card = toy_card()
    with pytest.raises(MemberError, match=r"different names, found \['label', 'label'\]"):
        from_json(to_json(replace(card, heads=card.heads * 2)), "here")


@pytest.mark.parametrize("task", VOTED)
@pytest.mark.parametrize("activation", get_args(Activation))
def test_an_activation_suits_its_task(task: Task, activation: Activation) -> None:
    text = to_json(toy_card(task=task, activation=activation))
    log = task == "classification" and activation == "exp"
    suits = log or activation in ("none", ACTIVATIONS[task])
    with nullcontext() if suits else pytest.raises(MemberError, match=f"one that suits {task}"):
        from_json(text, "here")


def test_what_was_found_is_cut_short() -> None:
    with pytest.raises(MemberError) as caught:
        from_json(altered("name", "x" * 100_000), "here")
    assert len(str(caught.value)) < 300


# ---- heads


TWO = (Head("label", "l", "classification", "none", ("a", "b")),
       Head("age", "g", "regression", "none", ("years",)))  # fmt: skip


def test_heads_are_read_as_those_of_a_card() -> None:
    record = json.loads(to_json(replace(toy_card(), heads=TWO)))["heads"]
    assert read_heads(record, "here") == TWO


def test_a_head_that_is_none_is_named_by_its_place() -> None:
    with pytest.raises(MemberError, match=r"here: card field 'heads\[1\]': expected an object"):
        read_heads([json.loads(to_json(toy_card()))["heads"][0], 7], "here")


def test_a_card_is_made_of_fields_without_their_schema() -> None:
    record = json.loads(to_json(toy_card()))
    del record["schema"]
    assert make_card(record, "flags") == toy_card()
    with pytest.raises(MemberError, match="flags: card field 'fold'"):
        make_card({**record, "fold": "first"}, "flags")


# ---- boxes and crops


def detector_record() -> dict[str, object]:
    """The head of a detector, as JSON."""
    boxes = {"scores": "scores", "count": 7, "scale": "unit"}
    return {"name": "face", "output": "boxes", "task": "boxes", "activation": "none",
            "classes": ["face"], "boxes": boxes}  # fmt: skip


def test_a_detector_has_no_other_head() -> None:
    record = json.loads(to_json(toy_card()))
    record["heads"].append(detector_record())
    with pytest.raises(MemberError, match="a head of boxes alone"):
        from_json(json.dumps(record), "here")


def test_a_head_without_boxes_says_nothing_of_them() -> None:
    assert "boxes" not in json.loads(to_json(toy_card()))["heads"][0]


def test_a_card_says_on_which_crops_its_member_was_trained() -> None:
    card = toy_card()
    card = replace(card, preprocess=replace(card.preprocess, crop=Crop(0.25, square=True)))
    written = to_json(card)
    assert json.loads(written)["preprocess"]["crop"] == {"margin": 0.25, "square": True}
    assert from_json(written, "here") == card


@pytest.mark.parametrize(
    ("crop", "field"),
    [
        ({"margin": -0.1, "square": True}, "preprocess.crop.margin"),
        ({"margin": 11, "square": True}, "preprocess.crop.margin"),
        ({"margin": 0.1}, "preprocess.crop.square"),
        ({"margin": 0.1, "square": True, "pad": 1}, "preprocess.crop.pad"),
    ],
)
def test_a_wrong_field_of_a_crop_is_named(crop: object, field: str) -> None:
    with pytest.raises(MemberError, match=f"'{field}'"):
        from_json(altered("preprocess.crop", crop), "here")


def test_thresholds_survive_the_round_trip() -> None:
    card = toy_card()
    ranks = Head("age", "age", "multilabel", "sigmoid", ("30-59", ">=60"), ordinal="conditional")
    again = from_json(to_json(replace(card, heads=(ranks,))), "x.onnx")
    assert again.heads == (ranks,)
