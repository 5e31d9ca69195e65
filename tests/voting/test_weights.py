"""weights.json: what is written is what is read, and what does not fit is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble.errors import UsageError
from ensemble.voting.decision import Decision
from ensemble.voting.weights import (
    Weights,
    from_record,
    from_text,
    read,
    to_json,
)

TUNED = Weights(
    {"ant": 0.41, "bee": 0.59},
    "log-linear",
    1.5,
    Decision(0.24, (0.1, 0.9), (0.5,)),
    ("cat", "dog"),
    {"ant": ("ab", "cd"), "bee": ("ef",)},
    "f1_macro",
    {"verdict": "gain"},
    {"ant": ((0.0, 0.5, 1.0), (0.1, 0.1, 0.2)), "bee": ((0.0, 0.0, 1.0), (0.1, 0.3, 0.9))},
)


def test_weights_survive_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text(json.dumps(to_json(TUNED)))
    assert read(path) == TUNED


def test_numbers_by_family_are_a_plain_linear_pool() -> None:
    found = from_text("ant=0.4, bee=0.6")
    assert found == Weights({"ant": 0.4, "bee": 0.6})
    assert found.plain
    assert not TUNED.plain


def test_a_file_of_weights_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text('{"weights": {"ant": 1}}')
    assert from_text(str(tmp_path / "w.json")) == Weights({"ant": 1.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 9}, "schema"),
        ({"weights": {}}, "weights: expected a number for each family"),
        ({"weights": {"ant": "much"}}, "ant: expected a number, found 'much'"),
        ({"weights": {"ant": True}}, "ant: expected a number"),
        ({"weights": [1]}, "weights: expected an object"),
        ({"pool": "swimming"}, "pool: expected one of linear, log-linear"),
        ({"temperature": 0}, "temperature: expected a number above 0"),
        ({"decision": [1]}, "decision: expected an object"),
        ({"decision": {"prior": "a"}}, "prior: expected a list"),
        ({"classes": [1]}, "classes: expected a list of texts"),
        ({"families": {"ant": 3}}, "families.ant"),
        ({"decision": {"prior_tau": 1, "prior": [0.5]}}, r"w.json: decision.prior: .*2 classes"),
        ({"decision": {"prior_tau": 1}}, "decision.prior: expected a share a class"),
        ({"decision": {"prior_tau": 1, "prior": [0, 1]}}, "decision.prior: expected shares above"),
        ({"decision": {"cut_points": [1, 2]}}, "decision.cut_points: expected 1 of them"),
        ({"classes": [], "decision": {"cut_points": [2, 1]}}, "cut_points: expected cuts that asc"),
        ({"decision": {"thresholds": [0.5] * 3}}, "decision.thresholds: expected 2 of them"),
        ({"decision": {"order": [1, 1]}}, "decision.order: expected each class's index once"),
        ({"decision": {"order": [0.5, 1]}}, "order: expected a list of whole numbers"),
        ({"ranks": {"ant": [[0, 1]]}}, "ranks.ant: expected 2 of them for 2 classes, found 1"),
        ({"ranks": {"ant": [[0, 1]] * 2, "bee": [[0, 1, 2]] * 2}}, "quantiles for each family"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "w.json").write_text(json.dumps({**to_json(TUNED), **change}))
    with pytest.raises(UsageError, match=message):
        read(tmp_path / "w.json")


@pytest.mark.parametrize("text", ["ant=1,ant=2", "=1", "ant=x", "no-such-file.json"])
def test_text_that_is_no_weights_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        from_text(text)


# ---- numbers by family

FAMILIES = st.dictionaries(
    st.text("abc-_.é", min_size=1, max_size=5), st.floats(0, 1e6), min_size=1, max_size=4
)


@settings(deadline=None, max_examples=40)
@given(families=FAMILIES)
def test_numbers_that_are_written_are_read(families: dict[str, float]) -> None:
    text = ",".join(f"{name}={number!r}" for name, number in families.items())
    assert from_text(text) == Weights(families)


@settings(deadline=None, max_examples=40)
@given(families=FAMILIES)
def test_plain_weights_survive_their_json(families: dict[str, float]) -> None:
    record = json.loads(json.dumps(to_json(Weights(families))))
    assert from_record(record, "here") == Weights(families)


def test_a_family_may_hold_an_equals_sign() -> None:
    assert from_text("lr=0.1=2") == Weights({"lr=0.1": 2.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ant=1,bee", "weights: 'bee' is not family=number"),
        ("ant=1,", "weights: '' is not family=number"),
        ("ant=one", "weights: 'ant=one' is not family=number"),
        ("ant=1, ant =2", "weights: family 'ant' is empty or stands there twice"),
        ("ant=1, =2", "weights: family '' is empty or stands there twice"),
    ],
)
def test_a_part_that_is_no_number_by_family_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_text(text)
    assert str(caught.value) == message


# ---- files


def test_a_file_that_is_not_there_is_told_with_the_other_way() -> None:
    with pytest.raises(UsageError) as caught:
        read(Path("nowhere.json"))
    told = "nowhere.json: cannot read the weights: No such file or directory. "
    assert str(caught.value) == f"{told}Name a weights.json, or say family=0.6,other=0.4"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"ant=1"])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.json").write_bytes(data)
    with pytest.raises(UsageError, match=r"w\.json: not JSON: "):
        read(tmp_path / "w.json")


@pytest.mark.parametrize("record", [None, 1, [], "x", {"schema": 2}, {"schema": "1"}])
def test_a_record_of_another_kind_is_refused(record: object) -> None:
    with pytest.raises(UsageError, match="w.json: not a weights.json of schema 1"):
        from_record(record, "w.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": {"a": float("inf")}}, "weights.a: expected a finite number, found inf"),
        ({"weights": {"a": float("nan")}}, "weights.a: expected a finite number, found nan"),
        ({"weights": {"a": None}}, "weights.a: expected a number, found None"),
        ({"temperature": -1}, "temperature: expected a number above 0, found -1"),
        ({"temperature": "1"}, "temperature: expected a number, found '1'"),
        ({"task": "ranking"}, "task: expected one of classification, multilabel, regression"),
        ({"families": {"a": ["x", 1]}}, "families.a: expected a list of texts"),
        ({"evidence": "much"}, "evidence: expected an object, found 'much'"),
        ({"decision": {"thresholds": [True]}}, "decision.thresholds: expected a number, found T"),
        ({"decision": {"prior_tau": "x"}}, "decision.prior_tau: expected a number, found 'x'"),
        ({"ranks": {"a": []}}, "ranks.a: expected a list of quantiles for each class"),
        ({"ranks": {"a": [[0.5]]}}, "ranks.a: expected a list of quantiles for each class"),
        ({"ranks": {"a": [[0, 1], [0, 1, 2]]}}, "ranks.a: .*, all of one length"),
        ({"ranks": {"a": [[1, 0]]}}, "ranks.a: expected quantiles that ascend"),
    ],
)
def test_a_field_of_a_plain_record_is_checked(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=f"^w.json: {message}"):
        from_record({"weights": {"a": 1}, **change}, "w.json")


def test_fields_that_say_nothing_are_as_if_they_were_not_there() -> None:
    empty = {"decision": None, "families": [], "ranks": {}, "classes": None, "metric": None,
             "evidence": None, "task": None}  # fmt: skip
    assert from_record({"weights": {"a": 1}, **empty}, "w.json") == Weights({"a": 1.0})


def test_what_is_written_is_json_for_any_reader() -> None:
    text = json.dumps(to_json(TUNED), allow_nan=False)
    assert json.loads(text)["schema"] == 1


# ---- what is plain, and what is saved


@pytest.mark.parametrize(
    ("weights", "ruled", "plain"),
    [
        (Weights({"a": 1}), False, True),
        (Weights({"a": 1}, "log-linear"), False, False),
        (Weights({"a": 1}, "rank"), False, False),
        (Weights({"a": 1}, temperature=1.5), True, False),
        (Weights({"a": 1}, decision=Decision(0.1, (1.0,))), True, False),
        (Weights({"a": 1}, classes=("x",), metric="qwk", evidence={"n": 1}), False, True),
    ],
)
def test_weights_are_plain_where_nothing_goes_with_them(
    weights: Weights, ruled: bool, plain: bool
) -> None:
    assert (weights.ruled, weights.plain) == (ruled, plain)


def test_saved_weights_are_loaded_as_they_were(tmp_path: Path) -> None:
    rule = Decision(prior_tau=0.5, prior=(0.25, 0.75))
    told = Weights({"ant": 0.6, "bee": 1.2}, "log-linear", decision=rule, classes=("cat", "dog"))
    told.save(tmp_path / "mine" / "weights.json")
    assert Weights.load(tmp_path / "mine" / "weights.json") == told


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no.json: cannot read the weights"):
        Weights.load(tmp_path / "no.json")
