"""What an image and an evaluation cost, in seconds with all threads busy."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import MakeMember, save_images

from ensemble.inference import costs
from ensemble.inference.costs import Clock, Timed, costs_of, image_seconds, timed
from ensemble.inference.find import find_images
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import start
from ensemble.members.member import open_member
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.views.policy import preset


def ready(path: Path, tta: str = "none", threads: int = 1) -> ReadyMember:
    """A member that has started on the CPU."""
    return start(open_member(path), preset(tta), "mean", device="cpu", threads=threads, batch=4)


def test_an_evaluation_is_told_by_family_and_view(make_member: MakeMember) -> None:
    found = timed(ready(make_member("ant-f0"), "hflip"), rounds=1)
    assert (found.family, found.view) == ("ant", "plain, hflip")
    assert 0 < found.seconds < 0.1


def test_work_on_the_cpu_is_shared_out_among_the_threads(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = ready(make_member("ant-f0"))
    monkeypatch.setattr(costs.time, "process_time", lambda: 12.0)
    assert Clock(4.0, 0.0).since(2, member) == 4.0


def test_an_image_costs_what_reading_it_costs(make_member: MakeMember, tmp_path: Path) -> None:
    settings = Settings((str(make_member("ant-f0")),), (str(save_images(tmp_path / "i", 9)),))
    recipe = resolve(replace(settings, device="cpu", threads=1))
    images, _ = find_images(recipe.inputs, 1, Quiet())
    assert 0 < image_seconds(recipe, [ready(make_member("ant-f0"))], images) < 0.1


def test_of_several_measurements_the_median_counts() -> None:
    told = [Timed("ant", "plain", each, "CPU") for each in (3.0, 1.0, 100.0)]
    found = costs_of([1.0, 5.0, 2.0], [0.1, 0.2, 9.0], [*told, Timed("bee", "hflip", 7.0, "CPU")])
    assert found.evaluations == {"ant": {"plain": 3.0}, "bee": {"hflip": 7.0}}
    assert (found.session, found.image, found.provider) == (2.0, 0.2, "CPU")
