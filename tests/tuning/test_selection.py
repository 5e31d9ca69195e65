"""What is bought: by gain for a second, nothing that hurts, and no copy before another."""

import numpy as np
import pytest
from views_apart import apart, order

from ensemble.predictions.kept_views import KeptViews
from ensemble.progress import Quiet
from ensemble.records import Task
from ensemble.tuning.choose import found_in
from ensemble.tuning.market import HeadMarket, Market, Option, cost_of
from ensemble.tuning.selection import harms, path


@pytest.fixture(autouse=True)
def folder(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))


def market(kept: KeptViews) -> Market:
    return found_in(kept, order(), Quiet()).market


def names(found: Market, chosen: tuple[int, ...]) -> set[str]:
    return {f"{found.options[p].family} {found.options[p].view}" for p in chosen}


def test_the_search_begins_with_the_best_family_alone() -> None:
    found = market(apart({"ant": {"plain": 1.0}, "bee": {"plain": 2.0}}))
    assert names(found, path(found)[0]) == {"bee plain"}


def test_a_cheaper_family_comes_before_a_better_one() -> None:
    kept = apart({"ant": {"plain": 1.0}, "bee": {"hflip": 2.0}}, {"plain": 1e-4, "hflip": 1e-3})
    found = market(kept)
    assert [names(found, each) for each in path(found)[:2]] == [{"ant plain"}, {"bee hflip"}]


def test_each_choice_is_dearer_than_the_one_before() -> None:
    views = {"plain": 1.5, "hflip": 1.5, "vflip": -1.0}
    found = market(apart({"ant": views, "bee": views, "cow": views}))
    costs = [cost_of(found, chosen) for chosen in path(found)]
    assert len(costs) > 2
    assert costs == sorted(set(costs))


def test_of_two_that_gain_alike_the_cheaper_is_bought() -> None:
    kept = apart({"ant": {"plain": 1.5, "hflip": 1.5, "rot90(1)": 1.5}},
                 {"plain": 1e-3, "hflip": 5e-3, "rot90(1)": 1e-3})  # fmt: skip
    found = market(kept)
    assert names(found, path(found)[1]) == {"ant plain", "ant rot90(1)"}


def test_a_view_that_destroys_the_label_hurts_and_is_never_bought() -> None:
    found = market(apart({"ant": {"plain": 1.5, "hflip": 1.5, "vflip": -2.0}}))
    assert [harm.option.view for harm in harms(found) if harm.hurts] == ["vflip"]
    assert all("ant vflip" not in names(found, chosen) for chosen in path(found))


def test_the_copy_of_a_family_is_never_bought() -> None:
    kept = apart({"ant": {"plain": 1.6}, "bee": {"plain": 1.0}})
    columns = {**kept.columns, "ant-copy": kept.columns["ant"]}
    members = {**kept.members, "ant-copy": kept.members["ant"]}
    assert kept.costs is not None
    costs = {**kept.costs.evaluations, "ant-copy": kept.costs.evaluations["ant"]}
    from dataclasses import replace

    doubled = replace(kept, columns=columns, members=members,
                      costs=replace(kept.costs, evaluations=costs))  # fmt: skip
    found = market(doubled)
    assert names(found, path(found)[-1]) == {"ant plain", "bee plain"}


def test_views_of_noise_are_not_bought() -> None:
    noise = {f"scale({n})": 0.0 for n in (0.7, 0.8, 0.9)}
    found = market(apart({"ant": {"plain": 1.5, **noise}}))
    assert [names(found, chosen) for chosen in path(found)] == [{"ant plain"}]


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_labels_and_values_are_selected_by_their_own_losses(task: Task) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (500, 2)) if task == "multilabel" else rng.normal(0, 1, (500, 2))
    own = rng.normal(0, 0.3, (500, 2))

    def seen(noise: float, seed: int) -> np.ndarray:
        values = y + own + np.random.default_rng(seed).normal(0, noise, y.shape)
        return np.clip(0.5 + (values - 0.5) / 3, 0.01, 0.99) if task == "multilabel" else values

    options = tuple(Option("ant", view, 1e-3) for view in ("hflip", "plain", "vflip"))
    stack = np.stack([seen(0.5, 1), seen(0.5, 2), -seen(0.1, 3) + 1])
    found = HeadMarket(options, stack.astype(np.float64), y, task)
    assert path(found)[-1] == (0, 1)
    assert found.losses((0, 1)).mean() < found.losses((1,)).mean()
