"""A run's folder: claimed at the start, taken when there is something to write."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ensemble.api import predict as api
from ensemble.errors import ContractError, StoreError, UsageError
from ensemble.pipeline import run as pipeline
from ensemble.predictions.run_record import RunRecord
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings, settings_of
from ensemble.records import DecodePolicy
from ensemble.submission import folder as runs
from ensemble.voting.weights import Weights


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs.time, "strftime", lambda _: "20251125-120000")


def meanwhile(monkeypatch: pytest.MonkeyPatch, *args: Any, **more: Any) -> None:
    """Let another run begin and end while the next one scores."""
    score = pipeline.score_into_store

    def scored(*given: Any) -> Any:
        monkeypatch.setattr(pipeline, "score_into_store", score)
        api.run(*args, **more)
        return score(*given)

    monkeypatch.setattr(pipeline, "score_into_store", scored)


def test_two_runs_of_one_second_have_folders_of_their_own(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, members[:1], images, device="cpu")
    result = api.run(members, images, device="cpu")
    assert result.folder == Path("submissions/20251125-120000-none-soft-2")
    first = runs.read_run(Path("submissions/20251125-120000-none-soft"))
    assert (len(first.members), len(runs.read_run(result.folder).members)) == (1, 4)


def test_a_folder_that_another_run_wrote_meanwhile_is_left_alone(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, members[:1], images, out="out", device="cpu")
    with pytest.raises(UsageError, match="--out out was made with other --members; name a new"):
        api.run(members, images, out="out", device="cpu")
    assert len(runs.read_run(Path("out")).members) == 1


def test_a_folder_that_the_same_run_wrote_meanwhile_is_written_again(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, members, images, out="out", device="cpu")
    assert api.run(members, images, out="out", device="cpu").path == Path("out/submission.csv")


def test_a_run_that_was_cut_off_goes_on_where_its_store_lies_in_its_folder(
    members: list[Path], images: Path
) -> None:
    first = api.run(members, images, out="out", store="out/store", device="cpu")
    assert first.record["evaluations"] == 48
    for path in Path("out").glob("*.*"):
        path.unlink()
    Path("out/_SUCCESS").unlink()
    again = api.run(members, images, out="out", store="out/store", device="cpu")
    assert again.record["evaluations"] == 0


def test_a_folder_of_other_files_is_left_alone(members: list[Path], images: Path) -> None:
    with pytest.raises(UsageError, match="--out .*images holds other files"):
        api.run(members, images, out=images, device="cpu")


def test_a_claim_makes_no_folder() -> None:
    claimed = runs.claim(resolve(Settings((), ())))
    assert not list(Path().iterdir())
    assert runs.take(resolve(Settings((), ())), claimed).is_dir()


def test_a_run_that_fails_leaves_no_folder(members: list[Path], images: Path) -> None:
    Path("s.csv").write_text("id,label\nimg1,cat\n")
    with pytest.raises(ContractError):
        api.run(members, images, sample="s.csv", device="cpu")
    assert not Path("submissions").exists()


def test_a_default_name_that_is_taken_gets_a_number() -> None:
    recipe = resolve(Settings((), ()))
    for name in ("none-soft", "none-soft-2", "none-soft-3"):
        claimed = runs.claim(recipe)
        foreseen = claimed.fresh
        assert runs.take(recipe, claimed) == foreseen == Path(f"submissions/20251125-120000-{name}")


@pytest.mark.parametrize("setting", ["out", "store", "sample", "images"])
def test_a_setting_that_is_not_utf8_is_refused_before_the_work(
    members: list[Path], images: Path, setting: str
) -> None:
    odd = images.rename(os.fsdecode(b"f\xff")) if setting == "images" else os.fsdecode(b"f\xff")
    with pytest.raises(UsageError, match=f"{setting} .* is not UTF-8"):
        api.run(members, **{"images": images, "out": "out", setting: odd})
    assert not Path(".ensemble").exists()


def test_a_working_folder_that_is_not_utf8_is_refused(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.fsdecode(b"f\xff")).mkdir()
    monkeypatch.chdir(os.fsdecode(b"f\xff"))
    with pytest.raises(UsageError, match="the working folder .* is not UTF-8"):
        api.run(members, images)


def recorded_with(**change: object) -> RunRecord:
    """What a run of plain settings recorded, some of them changed."""
    recipe = settings_of(Settings(("a.onnx",), ("photos",), weights=Weights({"a": 1.0})))
    told = json.loads(json.dumps({**recipe, **change}))
    return RunRecord(told, "label", ("cat", "dog"), (), {}, {}, {})


def test_settings_are_read_back_from_a_run_but_for_those_that_are_given() -> None:
    earlier = recorded_with(
        sample="s.csv", tta="hflip", alpha="white", voting="hard", store="kept",
        constraints=["c = a + b"],
    )  # fmt: skip
    given = Settings((), (), voting="geometric", device="cpu")
    assert runs.settings_from_run(given, earlier, Path("out"), ("voting",)) == Settings(
        ("a.onnx",), ("photos",), tta="hflip", weights=Weights({"a": 1.0}), sample=Path("s.csv"),
        decode=DecodePolicy(alpha="white"), voting="geometric", device="cpu", store=Path("kept"),
        constraints=("c = a + b",),
    )  # fmt: skip


def test_a_flag_that_python_was_given_as_a_number_is_read_back() -> None:
    found = runs.settings_from_run(
        Settings((), ()), recorded_with(allow_truncated=1), Path("out"), ()
    )
    assert found.decode == DecodePolicy(allow_truncated=True)


@pytest.mark.parametrize(
    "change",
    [
        {"tta": 7}, {"members": "abc"}, {"images": [1]}, {"merge": "median"}, {"store": None},
        {"sample": 7}, {"max_pixels": "1G"}, {"allow_truncated": 7}, {"exif": "turn"},
        {"weights": 7}, {"constraints": "c = a + b"},
    ],
)  # fmt: skip
def test_a_recorded_setting_of_another_kind_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"out/run\.json"):
        runs.settings_from_run(Settings((), ()), recorded_with(**change), Path("out"), ())


def test_a_folder_that_cannot_be_made_is_told() -> None:
    claimed = runs.claim(resolve(Settings((), ())))
    Path("submissions").symlink_to("nowhere")
    with pytest.raises(StoreError, match="cannot make submissions/"):
        runs.take(resolve(Settings((), ())), claimed)
