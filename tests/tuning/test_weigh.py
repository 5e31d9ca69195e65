"""From fold members to weights: who predicts which row, and what is refused."""

import json
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from blends import FOLDS, ROWS, SPLIT, TRUTH, memory, tied, tuned_on
from fake_workers import Told
from toys import CLASSES, ensemble

import ensemble as package
from ensemble.errors import UsageError
from ensemble.evaluation import metrics
from ensemble.predictions import table as oof
from ensemble.predictions.formats import read
from ensemble.predictions.join import join
from ensemble.progress import Quiet
from ensemble.records import Task
from ensemble.tuning.candidates import Candidate
from ensemble.tuning.tune import tune_weights
from ensemble.tuning.weigh import TuneOrder, _named, metric_named, weigh
from ensemble.voting.decision import order_of
from ensemble.voting.vote import fuse
from ensemble.voting.weights import Weights

pytestmark = pytest.mark.usefixtures("train")


def test_a_metric_of_ones_own_is_climbed() -> None:
    Path("mine.py").write_text("def right(y, probs):\n    return (probs.argmax(1) == y).mean()\n")
    found = tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="mine:right"))
    assert found.metric == "mine:right"
    assert found.evidence["verdict"] in ("gain", "weak", "no evidence")


def test_weights_of_other_members_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for fold in range(FOLDS):
        memory("ant", fold)
    flags = ["--members", "folds", "--images", "train"]
    ensemble("oof", *flags, "--folds", "train.csv")
    ensemble("tune-weights", "--oof", "oof.parquet", "--labels", "train.csv")
    memory("ant", 0, noise=0.1)
    assert ensemble("run", *flags, "--weights", "weights.json") == 2
    assert "tuned for other members of ant" in capsys.readouterr().err


def test_python_names_images_for_out_of_fold_predictions_too() -> None:
    members = [memory("ant", fold) for fold in range(3)]
    Path("names.csv").write_text(
        "\n".join(["id,fold", *(f"img{row}.png,{SPLIT[row]}" for row in range(ROWS))])
    )
    found = package.predict_oof(
        members, "train", "names.csv", id_from="name", batch_size=7, threads=1
    )
    assert found.ids[0] == "img0.png"


def test_a_pool_of_ranks_goes_through_its_file_to_a_vote() -> None:
    order = tuned_on({"ant": 2.0, "bee": 1.5})
    files = [str(path) for _, path in order.files]
    assert ensemble("tune-weights", "--oof", *files, "--labels", "train.csv", "--metric", "auc",
                    "--pool", "rank") == 0  # fmt: skip
    assert ensemble("vote", "--predictions", *files, "--voting", "rank", "--weights",
                    "weights.json", "--output", "probs", "--out", "out") == 0  # fmt: skip
    table = pd.read_csv("out/submission.csv", index_col="id")
    one, two = (read(path) for _, path in order.files)
    for c, name in enumerate(CLASSES):
        ranks = sum(pd.Series(f.families[n][:, c], f.ids).rank(pct=True)
                    for n, f in (("ant", one), ("bee", two))) / 2  # fmt: skip
        np.testing.assert_allclose(table[name].loc[list(one.ids)], ranks, atol=0.02)


@pytest.mark.parametrize("metric", ["log_loss", "brier", "qwk", "f1_macro"])
def test_ranks_are_refused_where_probabilities_are_needed(metric: str) -> None:
    with pytest.raises(UsageError, match="that are no probabilities"):
        tune_weights(tuned_on({"ant": 2.0}, metric=metric, pool="rank"))


def test_every_order_of_the_families_gives_the_same_weights() -> None:
    """The tie fixture: few rows, and many blends that are equally good."""
    stack, y = tied()
    ids = tuple(map(str, range(len(y))))
    labels = {name: CLASSES[c] for name, c in zip(ids, y, strict=True)}
    parts = [oof.Oof(ids, CLASSES[:2], {f"m{m}": p}) for m, p in enumerate(stack)]
    joined = [join(order) for order in permutations(parts)]
    for other in joined:  # all that tuning sees
        assert list(other.families) == list(joined[0].families)
        np.testing.assert_array_equal(list(other.families.values()), stack)
    found = [
        package.tune_weights(each, labels, metric="accuracy", polish="always").families
        for each in joined[::30]
    ]
    assert found == [found[0]] * 4


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('weight')", "raised KeyError: 'weight'"),
        ("return None", "raised TypeError: float.. argument must be .* not 'NoneType'"),
        ("return float('nan')", "gave nan; expected a finite number"),
    ],
)
def test_a_metric_that_fails_is_named_with_its_error(body: str, message: str) -> None:
    Path("faulty.py").write_text(f"def score(y, probs):\n    {body}\n")
    sys.modules.pop("faulty", None)
    with pytest.raises(UsageError, match=f"--metric 'faulty:score' {message}"):
        tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="faulty:score"))


@pytest.mark.parametrize("body", ["1 / 0", "def", "import no_such_package_here"])
def test_a_module_that_cannot_be_imported_is_named_with_its_error(body: str) -> None:
    Path("unborn.py").write_text(body)
    expected = "unborn: (ZeroDivisionError|SyntaxError|ModuleNotFoundError): "
    with pytest.raises(UsageError, match=f"--metric 'unborn:score': cannot import {expected}"):
        tune_weights(tuned_on({"ant": 2.0}, metric="unborn:score"))


def test_brier_is_of_a_linear_pool() -> None:
    with pytest.raises(UsageError, match="least squares"):
        tune_weights(tuned_on({"ant": 2.0}, metric="brier", pool="log-linear"))


def test_kappa_is_tuned_and_decided_by_the_numbers_of_the_classes() -> None:
    """Ratings 0 to 10 whose columns stand in the order of their text: 0, 1, 10, 2, …"""
    rng, rows, numbers = np.random.default_rng(4), 330, np.arange(11)
    truth = rng.permutation(np.arange(rows) % 11)
    seen = truth + rng.normal(0, [[1.0], [2.0]], (2, rows))
    scores = np.exp(-abs(seen[..., None] - 0.8 * numbers - 1))
    stack = scores / scores.sum(-1, keepdims=True)
    ids = tuple(f"r{row}" for row in range(rows))
    labels = {name: str(t) for name, t in zip(ids, truth, strict=True)}
    orders = [numbers.tolist(), sorted(numbers.tolist(), key=str)]
    parts = [
        oof.Oof(ids, tuple(map(str, order)), dict(zip(("ant", "bee"), stack[..., order],
                strict=True)), np.arange(rows) // 66)
        for order in orders
    ]  # fmt: skip
    plain, textual = (package.tune_weights(part, labels, metric="qwk") for part in parts)
    assert textual.families == pytest.approx(plain.families)
    assert textual.evidence["nested"] == pytest.approx(plain.evidence["nested"])
    assert textual.decision.cut_points == pytest.approx(plain.decision.cut_points)
    assert len(textual.decision.cut_points) == 10
    assert textual.decision.order == tuple(order_of(parts[1].classes))
    labels_of = [
        np.array(part.classes)[fuse(part.ballots, "soft", w, "classification").labels]
        for part, w in zip(parts, (plain, textual), strict=True)
    ]
    np.testing.assert_array_equal(*labels_of)


def test_kappa_is_tuned_by_the_numbers_of_grades_of_which_one_is_absent() -> None:
    """Columns for 4, 0, 1 and 3: each family's kappa is scikit-learn's over the grades 0 to 4."""
    rng, rows, grades = np.random.default_rng(6), 240, np.array([4, 0, 1, 3])
    y = rng.integers(0, 4, rows)
    seen = grades[y] + rng.normal(0, [[0.8], [1.6]], (2, rows))
    scores = np.exp(-abs(seen[..., None] - grades))
    stack = scores / scores.sum(-1, keepdims=True)
    found = oof.Oof(tuple(map(str, range(rows))), ("4", "0", "1", "3"),
                    {"ant": stack[0], "bee": stack[1]}, np.arange(rows) % 4)  # fmt: skip
    told = Told()
    weights = weigh(found, y, TuneOrder((), Path("labels.csv"), "qwk"), None, told)
    for name, probs in found.families.items():
        said = grades[probs.argmax(1)]
        expected = sk.cohen_kappa_score(grades[y], said, labels=range(5), weights="quadratic")
        assert weights.evidence["singles"][name] == pytest.approx(expected)
    assert "qwk: the classes are worth their numbers, 0, 1, 3, 4, of which" in "\n".join(told.said)
    labels = fuse(found.ballots, "soft", weights, "classification").labels
    expected = sk.cohen_kappa_score(grades[y], grades[labels], labels=range(5), weights="quadratic")
    assert expected > max(weights.evidence["singles"].values()) - 0.02


def test_grades_without_a_gap_are_worth_no_note() -> None:
    told = Told()
    found = replace(table_of(), classes=("1", "2", "3"))
    weigh(found, TRUTH, TuneOrder((), Path("y.csv"), "qwk"), None, told)
    assert not [line for line in told.said if "qwk" in line]


def test_classes_without_numbers_are_ordered_as_they_stand_and_told() -> None:
    told = Told()
    tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="qwk"), told)
    assert any("taken in their order: cat, dog, eel" in line for line in told.said)


def test_a_family_whose_errors_are_all_alike_correlates_with_nothing() -> None:
    tuned_on({"ant": 2.0})
    table = read(Path("ant.parquet"))
    np.savez("flat.npz", ids=np.array(table.ids), probs=np.full((ROWS, 3), 1 / 3), classes=CLASSES)
    files = ["--oof", "ant.parquet", "flat.npz", "--labels", "train.csv"]
    assert ensemble("tune-weights", *files) == 0
    found = json.loads(Path("weights.json").read_text(), parse_constant=pytest.fail)
    assert found["evidence"]["error_correlations"] == [[pytest.approx(1), None], [None, None]]


def test_a_metric_of_ones_own_that_is_no_number_is_refused_before_any_fit() -> None:
    Path("odd.py").write_text("def never(y, probs):\n    return float('nan')\n")
    with pytest.raises(UsageError, match="odd:never' gave nan; expected a finite number"):
        tune_weights(tuned_on({"ant": 2.0, "bee": 1.0}, metric="odd:never"))


def table_of(seed: int = 0, **about: object) -> oof.Oof:
    """Two families of sixty rows in three folds."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, (2, ROWS, 3)) + 2 * np.eye(3)[TRUTH]
    stack = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    ids = tuple(f"img{row}" for row in range(ROWS))
    values = {"families": {"ant": stack[0], "bee": stack[1]}, "folds": SPLIT, **about}
    return oof.Oof(ids, CLASSES, **values)  # type: ignore[arg-type]


def weighed(found: oof.Oof, metric: str, **how: object) -> Weights:
    order = TuneOrder((), Path("labels.csv"), metric, **how)  # type: ignore[arg-type]
    return weigh(found, TRUTH, order, None, Quiet())


def test_predictions_of_a_run_are_no_rows_that_a_member_did_not_see() -> None:
    with pytest.raises(UsageError, match="made with every fold of a family.*`ensemble oof`"):
        weighed(table_of(deployed=True), "log_loss")


def test_a_metric_that_a_task_lacks_is_told_with_those_it_has() -> None:
    with pytest.raises(UsageError, match="metric 'rmse': for classification there are accuracy"):
        metric_named("rmse", "classification")


def test_a_metric_of_ones_own_that_is_no_function_is_refused() -> None:
    Path("seven.py").write_text("seven = 7\n")
    with pytest.raises(UsageError, match="--metric 'seven:seven': it is no function"):
        metric_named("seven:seven", "classification")


def test_a_metric_of_ones_own_is_named_as_it_was_given_and_greater_is_better() -> None:
    Path("ones.py").write_text("def best(y, probs):\n    return 1\n")
    found = metric_named("ones:best", "regression")
    assert (found.name, found.greater, found.task, found.by_label) == (
        "ones:best", True, "regression", False,
    )  # fmt: skip
    assert found.score(TRUTH, np.ones((ROWS, 3))) == 1.0


def test_the_evidence_names_the_best_family_alone() -> None:
    seen = weighed(table_of(), "log_loss").evidence
    best = min(seen["singles"], key=seen["singles"].get)  # less is better
    assert seen["best_single"] == {"family": best, "score": seen["singles"][best]}
    found = table_of()
    scores = {name: metrics.log_loss(TRUTH, p) for name, p in found.families.items()}
    assert seen["singles"] == pytest.approx(scores)


def test_the_evidence_is_json_ready() -> None:
    seen = weighed(table_of(), "accuracy").evidence
    assert json.loads(json.dumps(seen, allow_nan=False)) == seen


def test_a_lone_family_has_no_loss_without_it() -> None:
    found = table_of()
    lone = replace(found, families={"ant": found.families["ant"]})
    assert "loss_without" not in weighed(lone, "log_loss").evidence
    assert set(weighed(found, "log_loss").evidence["loss_without"]) == {"ant", "bee"}


def test_weights_tell_what_they_were_tuned_for() -> None:
    found = weighed(table_of(members={"ant": ("1" * 64,), "bee": ("2" * 64,)}), "log_loss")
    assert (found.classes, found.metric, found.task) == (CLASSES, "log_loss", "classification")
    assert found.members == {"ant": ("1" * 64,), "bee": ("2" * 64,)}


def test_rows_that_were_rescaled_are_told_and_recorded() -> None:
    told = Told()
    order = TuneOrder((), Path("labels.csv"), "log_loss")
    found = weigh(table_of(rescaled=4), TRUTH, order, None, told)
    assert found.evidence["rescaled"] == 4
    assert any(line.startswith("4 ") for line in told.said)


def test_progress_is_told_of_each_fit_that_it_was_promised() -> None:
    counts: list[int] = []

    class Counted(Quiet):
        def start(self, total: int, *_: object, **__: object) -> None:
            counts.append(-total)

        def advance(self, count: int, *_: object) -> None:
            counts.append(count)

    weigh(table_of(), TRUTH, TuneOrder((), Path("labels.csv"), "accuracy"), None, Counted())
    assert counts[0] < 0
    assert sum(counts) == 0


@pytest.mark.parametrize(
    ("metric", "task", "how", "message"),
    [
        ("map", "multilabel", {"pool": "rank"}, "map of multilabel needs"),
        ("rmse", "regression", {"pool": "log-linear"}, "a log-linear pool needs probabilities"),
        ("f1", "multilabel", {"polish": "always"}, "there is no search for f1 of multilabel"),
        ("rmse", "regression", {"polish": "always"}, "there is no search for rmse of regression"),
    ],
)
def test_what_a_task_cannot_be_tuned_by_is_refused(
    metric: str, task: Task, how: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        weighed(table_of(task=task), metric, **how)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (Candidate("log-linear", polish=True), "linear, polished from log-linear"),
        (Candidate("linear", polish=True), "linear, polished"),
        (Candidate("rank", polish=True), "rank, polished"),
        (Candidate("log-linear", rule=True), "log-linear, with rule"),
    ],
)
def test_what_is_written_is_named_by_its_own_pool(way: Candidate, words: str) -> None:
    assert _named(way) == words
