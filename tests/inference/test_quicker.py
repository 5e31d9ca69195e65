"""Of OpenVINO a long run on the CPU hears where it would be quicker; others hear nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_workers import Told
from toys import MakeMember

from ensemble.inference import quicker
from ensemble.inference.quicker import tell_if_quicker
from ensemble.inference.ready import ReadyMember
from ensemble.inference.start import start
from ensemble.members.member import open_member
from ensemble.recipe.resolve import Recipe, resolve
from ensemble.recipe.settings import Settings
from ensemble.views import policy


@pytest.fixture
def ready(make_member: MakeMember) -> ReadyMember:
    member, views = open_member(make_member()), policy.preset("hflip")
    started = start(member, views, "mean", device="cpu", threads=1, batch=4)
    return replace(started, seconds=1.0)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What an image costs by each provider, in place of the clock."""
    seconds = {"CPUExecutionProvider": 1.0, "OpenVINO": 0.5}
    monkeypatch.setattr(quicker, "seconds_per_image", lambda r: seconds[r.scorer.provider])
    return seconds


def recipe(store: Path, **more: object) -> Recipe:
    return resolve(Settings(("m.onnx",), ("i",), store=store, **more))  # type: ignore[arg-type]


def told_of(recipe: Recipe, ready: ReadyMember, images: int = 100) -> list[str]:
    told = Told()
    tell_if_quicker(recipe, [ready], images, told)
    return told.said


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_what_is_quicker_is_told_with_the_flags_for_it(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float], monkeypatch: pytest.MonkeyPatch,
    bf16: bool, precision: str,
) -> None:  # fmt: skip
    started = []

    def begin(*args: object, **how: object) -> ReadyMember:
        started.append(how["precision"])
        return replace(ready, scorer=Other())  # type: ignore[arg-type]

    monkeypatch.setattr(quicker, "computes_bf16", lambda: bf16)
    monkeypatch.setattr(quicker, "start_shaped", begin)
    (line,) = told_of(recipe(tmp_path), ready)
    assert "2.0 times as fast" in line
    assert line.endswith(f"--device openvino --precision {precision}")
    assert ("labels may change" in line) == bf16
    assert started == [precision]


class Other:
    """A session by OpenVINO that is not asked anything."""

    provider = "OpenVINO"


def test_it_is_measured_once_and_then_remembered(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float]
) -> None:
    first = told_of(recipe(tmp_path), ready)
    costs["OpenVINO"] = 100.0
    assert told_of(recipe(tmp_path), ready) == first
    assert len(first) == 1


def test_a_gain_that_is_small_is_not_told(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float]
) -> None:
    costs["OpenVINO"] = 0.9
    assert told_of(recipe(tmp_path), ready) == []


def test_a_short_run_hears_nothing_and_measures_nothing(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float]
) -> None:
    assert told_of(recipe(tmp_path), ready, images=59) == []
    assert not (tmp_path / "openvino").exists()


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_who_said_where_to_run_hears_nothing(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float], device: str
) -> None:
    assert told_of(recipe(tmp_path, device=device), ready) == []


def test_without_openvino_nothing_is_told(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quicker.importlib.util, "find_spec", lambda _: None)
    assert told_of(recipe(tmp_path), ready) == []


def test_a_member_that_openvino_computes_otherwise_is_not_spoken_of(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise quicker.MemberError("differs")

    monkeypatch.setattr(quicker, "start_shaped", refuse)
    assert told_of(recipe(tmp_path), ready) == []


def test_what_is_remembered_and_cannot_be_read_is_measured_again(
    ready: ReadyMember, tmp_path: Path, costs: dict[str, float]
) -> None:
    first = told_of(recipe(tmp_path), ready)
    (path,) = (tmp_path / "openvino").iterdir()
    path.write_text("{")
    assert told_of(recipe(tmp_path), ready) == first


def test_a_run_of_one_image_is_not_held_up_by_a_measurement(
    ready: ReadyMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> float:
        raise AssertionError

    monkeypatch.setattr(quicker, "seconds_per_image", refuse)
    assert told_of(recipe(tmp_path), ready, images=1) == []


def test_what_the_proof_of_a_member_took_spares_a_short_run_the_measurement(
    ready: ReadyMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> float:
        raise AssertionError

    monkeypatch.setattr(quicker, "seconds_per_image", refuse)
    assert told_of(recipe(tmp_path), replace(ready, seconds=0.01)) == []
