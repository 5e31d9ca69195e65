"""Options of several tasks: what is enough to predict, what a search begins with, what hurts."""

from pathlib import Path

import numpy as np
import pytest
from choice_of_tasks import MAP, TRUTH, kept_tasks, write_labels
from scipy.stats import norm

from ensemble.evaluation.metrics import metric_of
from ensemble.label_map import LabelMap, LabelTask
from ensemble.predictions.kept_views import KeptTasks, KeptViews
from ensemble.progress import Quiet
from ensemble.recipe.policy import Policy
from ensemble.tuning.choose import ChooseOrder, choose, found_in
from ensemble.tuning.joint import spread_of
from ensemble.tuning.market import Chosen, Option
from ensemble.tuning.selection import harms, path
from ensemble.tuning.task_market import TaskMarket

ACCURACY = metric_of("accuracy", "classification")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def market() -> TaskMarket:
    found = found_in(kept_tasks(), ChooseOrder(write_labels(), "accuracy"), Quiet()).market
    assert isinstance(found, TaskMarket)
    return found


def places(market: TaskMarket, *names: str) -> Chosen:
    told = [f"{option.family} {option.view}" for option in market.options]
    return tuple(sorted(told.index(name) for name in names))


def test_a_family_of_one_task_does_not_predict_alone(market: TaskMarket) -> None:
    assert not market.answers(places(market, "kinds plain"))
    assert market.answers(places(market, "kinds plain", "turns plain"))
    assert market.answers(places(market, "both plain"))


def test_a_search_begins_with_families_that_predict(market: TaskMarket) -> None:
    assert market.starts() == [
        places(market, "both plain"), places(market, "kinds plain", "turns plain")
    ]  # fmt: skip


def test_a_view_that_hurts_its_task_is_named(market: TaskMarket) -> None:
    assert [f"{h.option.family} {h.option.view}" for h in harms(market) if h.hurts] == [
        "kinds vflip", "turns hflip"
    ]  # fmt: skip


def test_every_choice_on_the_way_predicts(market: TaskMarket) -> None:
    assert all(market.answers(chosen) for chosen in path(market))


def test_what_is_fitted_on_some_rows_predicts_others(market: TaskMarket) -> None:
    chosen = places(market, "kinds plain", "turns plain")
    half = np.arange(len(TRUTH)) % 2 == 0
    fitted = market.among(half).fit(chosen, ACCURACY, "log-linear")
    probs = market.among(~half).predicted(chosen, fitted)
    assert probs.shape == ((~half).sum(), len(MAP.labels))
    assert ACCURACY.score(TRUTH[~half], probs) > 0.4


def test_values_of_one_fold_alone_have_the_spread_of_all_rows() -> None:
    truth = np.random.default_rng(1).normal(0, 1, 300)
    values = truth + np.random.default_rng(2).normal(0, 0.5, 300)
    years = LabelTask("years", ("<0", ">=0"), (0.0,))
    kept = KeptViews(
        ids=tuple(map(str, range(300))), classes=("years",), folds=np.zeros(300, np.int64),
        columns={"nets": {"plain": values[:, None]}}, members={"nets": {0: "0"}},
        task="regression", output="years",
    )  # fmt: skip
    label_map = LabelMap(("young", "old"), (years,), (("<0",), (">=0",)))
    y = (truth >= 0).astype(np.int64)
    market = TaskMarket((Option("nets", "plain", 1e-3),), KeptTasks(label_map, (kept,)), y)
    likeliest = spread_of(values, y, (0.0,))
    old = norm.cdf(values / likeliest)
    np.testing.assert_allclose(
        market.own_losses((0,)), -np.log(np.where(y, old, 1 - old)), rtol=1e-6
    )


def chosen() -> Policy:
    return choose(kept_tasks(), ChooseOrder(write_labels(), "accuracy"), Quiet())


def test_a_policy_of_tasks_has_weights_a_task_and_no_view_that_hurts() -> None:
    policy = chosen()
    assert policy.weights.joint is not None
    assert policy.weights.joint.label_map == MAP
    assert policy.families["kinds"].views == ("plain", "hflip")
    assert policy.views["kinds vflip"].startswith("hurts")
    assert "hflip" not in policy.families["turns"].views


def test_a_policy_of_tasks_is_read_as_it_was_written() -> None:
    policy = chosen()
    policy.save("policy.json")
    assert Policy.load("policy.json") == policy
