"""Options of one head: what they cost, where families begin, and the mean of their views."""

from pathlib import Path

import numpy as np
import pytest
from views_apart import apart, order

from ensemble.progress import Quiet
from ensemble.tuning.choose import found_in
from ensemble.tuning.market import HeadMarket, Option, bases_of, cost_of, families_of

OPTIONS = (Option("ant", "hflip", 1e-3), Option("ant", "plain", 2e-3), Option("bee", "hflip", 4e-3))


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HeadMarket:
    monkeypatch.chdir(tmp_path)
    views = {"plain": 1.0, "hflip": 1.0}
    found = found_in(apart({"ant": views, "bee": views}), order(), Quiet()).market
    assert isinstance(found, HeadMarket)
    return found


def test_a_family_begins_with_its_plain_view_or_its_first() -> None:
    assert bases_of(OPTIONS) == [1, 2]


def test_a_choice_costs_what_its_evaluations_take(market: HeadMarket) -> None:
    assert cost_of(market, (0, 1, 2)) == pytest.approx(3e-3)
    assert families_of(market, (0, 1, 2)) == ["ant", "bee"]


def test_a_family_is_the_mean_of_its_chosen_views(market: HeadMarket) -> None:
    found = market.pooled((0, 1, 3))
    np.testing.assert_allclose(found[0], (market.stack[0] + market.stack[1]) / 2)
    np.testing.assert_array_equal(found[1], market.stack[3])


def test_some_rows_keep_their_options_and_truth(market: HeadMarket) -> None:
    part = market.among(slice(None, None, 3))
    np.testing.assert_array_equal(part.stack, market.stack[:, ::3])
    np.testing.assert_array_equal(part.y, market.y[::3])


def test_any_option_predicts_and_a_search_begins_with_each_family(market: HeadMarket) -> None:
    assert market.starts() == [(1,), (3,)]
    assert market.answers((0,))
    assert not market.answers(())
