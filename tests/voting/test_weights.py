"""weights.json: what is written is what is read, and what does not fit is refused."""

import json
from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.voting.decision import Decision
from ensemble.voting.weights import Weights, check_fits, from_text, read, to_json

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


HERE = {"ant": ["ab", "cd"], "bee": ["ef"]}


def test_weights_fit_what_they_were_tuned_for() -> None:
    check_fits(TUNED, ("cat", "dog"), HERE)


@pytest.mark.parametrize(
    ("classes", "members", "message"),
    [
        (("dog", "cat"), HERE, "tuned for the classes"),
        (("cat", "dog"), {"ant": ["ab", "cd"]}, "no family for bee"),
        (("cat", "dog"), {**HERE, "cow": ["x"]}, "no weight for cow"),
        (("cat", "dog"), {**HERE, "bee": ["other"]}, "other members of bee"),
        (("cat", "dog"), {**HERE, "ant": ["ab"]}, "other members of ant"),
    ],
)
def test_weights_for_something_else_are_refused(
    classes: tuple[str, ...], members: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_fits(TUNED, classes, members)
