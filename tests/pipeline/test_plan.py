"""A plan counts what a run would do, and does none of it."""

from pathlib import Path

import pytest

from ensemble.pipeline.plan import plan_run
from ensemble.pipeline.run import run
from ensemble.recipe.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(members: list[Path], images: Path) -> Settings:
    return Settings(tuple(map(str, members)), (str(images),), device="cpu", shard_size=5)


def test_a_plan_names_each_member_with_its_work(settings: Settings, images: Path) -> None:
    (images / "notes.txt").write_text("no image")
    found = plan_run(settings)
    assert [each.member for each in found.members] == ["ant-f0", "ant-f1", "bee-f0", "bee-f1"]
    assert {(each.shards, each.evaluations) for each in found.members} == {(3, 12)}
    assert (found.images, sum(found.skipped.values()), found.early_exit) == (12, 1, None)
    assert found.free > 0


def test_a_plan_writes_nothing(settings: Settings) -> None:
    out = plan_run(settings).out
    assert not out.exists()
    assert not Path(".ensemble/predictions").exists()


def test_what_a_run_has_done_is_planned_no_more(settings: Settings) -> None:
    run(settings)
    assert {(each.shards_stored, each.evaluations) for each in plan_run(settings).members} == {
        (3, 0)
    }
