"""Views kept apart: merged into what families say, of one head or of the tasks of a label map."""

import numpy as np
from choice_of_tasks import MAP, kept_tasks
from views_apart import apart


def test_a_familys_views_are_merged_by_their_rule() -> None:
    kept = apart({"ant": {"plain": 1.0, "hflip": 1.0}})
    own = kept.columns["ant"]
    found = kept.merged()
    np.testing.assert_allclose(found.families["ant"], (own["plain"] + own["hflip"]) / 2)
    assert found.views == {"ant": "mean of plain, hflip"}
    assert found.members == {"ant": ("ant0", "ant1", "ant2")}


def test_tasks_are_merged_a_column_for_each_family_and_task() -> None:
    found = kept_tasks().merged()
    assert [(c.name, c.task) for c in found.columns()] == [
        ("both/kind", "kind"), ("both/turn", "turn"), ("kinds", "kind"), ("turns", "turn"),
    ]  # fmt: skip


def test_tasks_have_the_classes_and_members_of_all_their_heads() -> None:
    kept = kept_tasks()
    assert kept.classes == MAP.labels
    assert set(kept.members) == {"both", "kinds", "turns"}
