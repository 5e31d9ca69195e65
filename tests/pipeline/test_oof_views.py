"""Out of fold with each view apart: by the clean member, each view a key of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blends import FOLDS, ROWS, SPLIT, memory, recipe
from toys import ensemble

import ensemble as package
from ensemble.errors import UsageError
from ensemble.pipeline import oof_views
from ensemble.pipeline.oof import predict_oof
from ensemble.pipeline.oof_views import plan_views, predict_views
from ensemble.predictions.kept_views import KeptViews
from ensemble.predictions.table import Predictions
from ensemble.predictions.views_file import read_views
from ensemble.recipe.settings import Settings
from ensemble.records import Merge

pytestmark = pytest.mark.usefixtures("train")
FLAGS = ("--members", "folds", "--images", "train", "--folds", "train.csv", "--device", "cpu")


def asked(tta: str = "flip", merge: Merge = "mean") -> Settings:
    """Two families of a member a fold, under some views."""
    members = [memory(family, fold) for family in ("ant", "bee") for fold in range(FOLDS)]
    return replace(recipe(members), tta=tta, merge=merge, threads=1)


def test_views_apart_merge_to_what_a_graph_with_all_of_them_gives() -> None:
    settings = asked(merge="tsharpen")
    whole, apart = (
        predict_oof(settings, Path("train.csv")),
        predict_views(settings, Path("train.csv")),
    )
    assert isinstance(whole, Predictions)
    found = apart.merged()
    assert (found.ids, found.members, found.views) == (whole.ids, whole.members, whole.views)
    for family, probs in whole.families.items():
        np.testing.assert_allclose(found.families[family], probs, rtol=2e-6, atol=3e-7)


def test_each_view_is_predicted_by_the_member_that_did_not_see_the_row() -> None:
    members = [memory("ant", fold, blind=1) for fold in range(FOLDS)]
    found = predict_views(replace(recipe(members), tta="hflip"), Path("train.csv"))
    assert isinstance(found, KeptViews)
    from blends import TRUTH

    np.testing.assert_array_equal(found.folds, SPLIT)
    np.testing.assert_array_equal(found.columns["ant"]["plain"].argmax(1), (TRUTH + 1) % 3)


def test_a_view_that_comes_later_is_all_that_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    predict_views(asked("hflip"), Path("train.csv"))
    made: list[int] = []
    scored = oof_views.score_into_store

    def counted(*given: object) -> object:
        entries, tally = scored(*given)  # type: ignore[arg-type]
        made.append(tally.evaluations)
        return entries, tally

    monkeypatch.setattr(oof_views, "score_into_store", counted)
    predict_views(asked("flip"), Path("train.csv"))
    assert sum(made) == 2 * 2 * ROWS  # two families, vflip and both flips


def test_costs_are_measured_of_each_family_and_view() -> None:
    found = predict_views(asked("ant=hflip,bee=none"), Path("train.csv"))
    assert found.costs is not None
    assert {f: list(views) for f, views in found.costs.evaluations.items()} == {
        "ant": ["plain", "hflip"], "bee": ["plain"],
    }  # fmt: skip
    assert found.costs.image > 0


def test_a_plan_has_a_line_for_each_member_and_view() -> None:
    plan = plan_views(asked("ant=hflip,bee=none"), Path("train.csv"), Path("views.parquet"))
    assert len(plan.members) == (2 + 1) * FOLDS
    assert {each.tta for each in plan.members} == {"none", "views(hflip)"}
    assert not Path(".ensemble/predictions").exists()


def test_a_merge_that_needs_logits_is_refused() -> None:
    with pytest.raises(UsageError, match="use --merge gmean"):
        predict_views(asked(merge="logits"), Path("train.csv"))


def test_the_command_writes_what_python_returns() -> None:
    asked()
    assert ensemble("oof", *FLAGS, "--tta", "hflip", "--keep-views", "--out", "v.parquet") == 0
    (told,), found = read_views(Path("v.parquet")), package.predict_oof(
        "folds", "train", "train.csv", tta="hflip", device="cpu", keep_views=True, progress=None
    )  # fmt: skip
    assert isinstance(found, KeptViews)
    for view, probs in found.columns["bee"].items():
        np.testing.assert_array_equal(told.columns["bee"][view], probs)
