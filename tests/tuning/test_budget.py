"""What a choice costs, and the folds that a budget pays for."""

import pytest

from ensemble.errors import UsageError
from ensemble.predictions.kept_views import Costs
from ensemble.tuning.budget import Budget, budget_of, folds_for, spent

COSTS = Costs(0.5, 2e-3, {"ant": {"plain": 1e-3, "hflip": 3e-3}, "bee": {"plain": 2e-3}})
VIEWS = {"ant": ("plain", "hflip"), "bee": ("plain",)}


def test_on_the_cpu_reading_and_scoring_add_up() -> None:
    found = spent(COSTS, VIEWS, {"ant": 2, "bee": 1})
    assert found.evaluations == 5
    assert found.image == pytest.approx(2e-3 + 2 * 4e-3 + 2e-3)
    assert found.seconds(1000) == pytest.approx(3 * 0.5 + 1000 * 12e-3)


def test_on_a_gpu_the_longer_hides_the_other() -> None:
    gpu = Costs(0.5, 2e-3, COSTS.evaluations, "CUDAExecutionProvider")
    assert spent(gpu, VIEWS, {"ant": 1, "bee": 1}).image == pytest.approx(6e-3)
    assert spent(gpu, {"ant": ("plain",)}, {"ant": 1}).image == pytest.approx(2e-3)


def test_without_a_budget_every_fold_runs() -> None:
    there = {"ant": 5, "bee": 4}
    assert folds_for(COSTS, VIEWS, there, Budget(), {"ant": 0.5, "bee": 0.5}) == there


@pytest.mark.parametrize("evaluations", range(3, 12))
def test_a_budget_is_never_exceeded_and_as_much_as_fits_is_bought(evaluations: int) -> None:
    there, weights = {"ant": 3, "bee": 3}, {"ant": 0.6, "bee": 0.4}
    found = folds_for(COSTS, VIEWS, there, Budget(evaluations=evaluations), weights)
    used = 2 * found["ant"] + found["bee"]
    assert used <= evaluations
    more = [family for family, cost in (("ant", 2), ("bee", 1))
            if found[family] < there[family] and used + cost <= evaluations]  # fmt: skip
    assert more == []


def test_folds_are_bought_where_the_weight_is() -> None:
    costs = Costs(0, 0, {"ant": {"plain": 1e-3}, "bee": {"plain": 1e-3}})
    views = {"ant": ("plain",), "bee": ("plain",)}
    found = folds_for(costs, views, {"ant": 5, "bee": 5}, Budget(evaluations=4),
                      {"ant": 0.1, "bee": 0.9})  # fmt: skip
    assert found == {"ant": 1, "bee": 3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"budget": "5ms"}, Budget(image=5e-3)),
        ({"evals": 6}, Budget(evaluations=6)),
        ({"seconds": "3h", "images": 10}, Budget(seconds=10800.0, images=10)),
        ({}, Budget()),
    ],
)
def test_a_budget_is_read(given: dict[str, object], expected: Budget) -> None:
    nothing = dict.fromkeys(("budget", "evals", "seconds", "images"))
    assert budget_of(**{**nothing, **given}) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": "5ms", "evals": 6}, "give one of them"),
        ({"seconds": "3h"}, "give both"),
        ({"images": 10}, "give both"),
        ({"budget": "5"}, "did you mean 5ms"),
        ({"evals": -1}, "expected a number of evaluations"),
        ({"seconds": "3h", "images": 0}, "how many images"),
    ],
)
def test_what_is_no_budget_is_refused(given: dict[str, object], message: str) -> None:
    nothing = dict.fromkeys(("budget", "evals", "seconds", "images"))
    with pytest.raises(UsageError, match=message):
        budget_of(**{**nothing, **given})  # type: ignore[arg-type]
