"""An early exit is refused where it has no meaning, or can certify or pay for nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from task_toys import AGES, KINDS, LABELS, TURNS, head, label_map
from toys import toy_card

from ensemble.early_exit.checks import check_budget, check_calibration, check_early_exit
from ensemble.early_exit.plan import ExitPlan
from ensemble.early_exit.stopping.certificate import least_size
from ensemble.early_exit.stopping.order import Evaluation
from ensemble.errors import UsageError
from ensemble.members.card import Card, Head
from ensemble.recipe.resolve import resolve
from ensemble.recipe.saving import Saving
from ensemble.recipe.settings import Settings
from ensemble.voting.weights import Weights

HEAD = Head("label", "logits", "classification", "softmax", ("ant", "bee", "cow"))
LOSSLESS = Saving("lossless", None, 0.95, 0)
RECIPE = resolve(Settings((), ()))


def card_of(family: str, name: str, classes: Sequence[str]) -> Card:
    """A member of one head."""
    return replace(toy_card(f"{family}-f0"), family=family, heads=(head(name, classes),))


def test_probabilities_of_images_that_end_early_are_refused() -> None:
    check_early_exit(RECIPE, LOSSLESS, HEAD, labels=True)
    with pytest.raises(UsageError, match="^early exit: "):
        check_early_exit(RECIPE, LOSSLESS, HEAD, labels=False)


def test_a_geometric_vote_has_no_lossless_rule_and_may_be_certified() -> None:
    recipe = replace(RECIPE, fusion=replace(RECIPE.fusion, weights=Weights({}, pool="log-linear")))
    with pytest.raises(UsageError, match="^early exit: "):
        check_early_exit(recipe, LOSSLESS, HEAD, labels=True)
    check_early_exit(recipe, Saving("certified", 0.05, 0.95, 0), HEAD, labels=True)


def test_a_member_that_may_be_dropped_half_way_is_refused() -> None:
    recipe = replace(RECIPE, scoring=replace(RECIPE.scoring, on_nan="drop-member"))
    with pytest.raises(UsageError, match="use --on-nan fail"):
        check_early_exit(recipe, LOSSLESS, HEAD, labels=True)


@pytest.mark.parametrize("images", [100, 300, 5000])
@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.2])
def test_the_least_calibration_that_can_certify_is_taken_and_one_less_is_refused(
    images: int, epsilon: float
) -> None:
    least = least_size(images, epsilon, 0.95)
    check_calibration(Saving("certified", epsilon, 0.95, least), images)
    with pytest.raises(UsageError, match=f"needs {least} or more"):
        check_calibration(Saving("certified", epsilon, 0.95, least - 1), images)


@pytest.mark.parametrize(("stored", "least"), [({}, 2.5), ({"m3": "key"}, 2.0)])
def test_a_budget_pays_for_the_calibration_and_one_evaluation_of_each_other_image(
    stored: dict[str, str], least: float
) -> None:
    plan = ExitPlan(tuple(Evaluation(f"m{n}", "ant", 0, 0.25) for n in range(4)), 0.0, 5, stored)
    check_budget(Saving("budget", None, 0.95, 5, evaluations=least), plan, 10)
    with pytest.raises(UsageError, match=f"{least:g} or more"):
        check_budget(Saving("budget", None, 0.95, 5, evaluations=least - 0.01), plan, 10)
    check_budget(Saving("budget", None, 0.95, 5, seconds=1e-3), plan, 10)


def test_a_label_map_is_lossless_for_tasks_alone_and_certified_beside_families_of_the_label(
    tmp_path: Path,
) -> None:
    recipe = resolve(Settings((), (), label_map=label_map(tmp_path)))
    tasks = [card_of("kinds", "kind", KINDS), card_of("turns", "turn", TURNS),
             card_of("ages", "age", AGES)]  # fmt: skip
    joint = card_of("whole", "label", LABELS)
    certified = Saving("certified", 0.05, 0.95, 0)
    check_early_exit(recipe, LOSSLESS, HEAD, tasks, labels=True)
    check_early_exit(recipe, certified, HEAD, [*tasks, joint], labels=True)
    with pytest.raises(UsageError, match="^early exit: families of the label itself"):
        check_early_exit(recipe, LOSSLESS, HEAD, [*tasks, joint], labels=True)
    hard = replace(recipe, fusion=replace(recipe.fusion, voting="hard"))
    with pytest.raises(UsageError, match="^early exit: with a label map the hard vote"):
        check_early_exit(hard, certified, HEAD, tasks, labels=True)


@pytest.mark.parametrize("saving", [LOSSLESS, Saving("certified", 0.05, 0.95, 0)])
def test_a_column_for_each_task_is_refused_with_the_way_out(tmp_path: Path, saving: Saving) -> None:
    recipe = resolve(Settings((), (), label_map=label_map(tmp_path)))
    with pytest.raises(UsageError, match="a class for each task.*--form label"):
        check_early_exit(recipe, saving, HEAD, labels=False, by_task=True)
