"""What a calibration and a budget must pay for, and the pace that follows."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exit_runs import COUNT, broken, record, submit
from toys import ensemble, save_images

from ensemble.api.results import verify_exit
from ensemble.early_exit import forecast, planning, run
from ensemble.early_exit.calibration import left_of
from ensemble.early_exit.stopping.certificate import draw_sample
from ensemble.errors import UsageError
from ensemble.files.atomic import sha256_json
from ensemble.predictions.store import load_partition, open_partition
from ensemble.worker import WATCH

pytestmark = pytest.mark.usefixtures("alike")


def test_calibrated_images_get_every_evaluation_and_are_the_drawn_ones(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="20%", calibration=20)
    assert early.evaluations is not None
    assert (early.evaluations == 12).sum() >= 20
    assert record(early)["certificate"]["calibrated"] == 20


@pytest.mark.parametrize(
    ("how", "least"),
    [({"evals_per_image": 2, "calibration": 15}, "3.75"), ({"evals_per_image": 1}, "1.19")],
)
def test_a_budget_too_small_for_its_calibration_is_refused_before_that_is_made(
    sharp: list[Path], many: Path, how: dict[str, Any], least: str
) -> None:
    with pytest.raises(UsageError, match=f"with all 12, .* give {least} or more"):
        submit(sharp, many, "early", **how)
    assert not list(Path(".ensemble/predictions").rglob("part-*"))


def test_a_budget_that_pays_for_little_more_than_the_calibration_is_taken(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", evals_per_image=3.75, calibration=15)
    assert record(early)["evaluations_per_image"] == pytest.approx(3.75)


def test_the_calibration_of_a_budget_pays_for_no_stored_member(
    sharp: list[Path], many: Path
) -> None:
    submit(sharp[:2], many, "some")
    with pytest.raises(UsageError, match="with all 8, .* give 2 or more"):
        submit(sharp, many, "early", evals_per_image=1.5, calibration=15)


def test_a_time_budget_counts_from_the_start_of_the_supervisor(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"pipe": -1, "pid": 1, "began": time.monotonic() - 3600, "suspects": [], "poison": []}
    monkeypatch.setenv(WATCH, json.dumps(told))
    with pytest.raises(UsageError, match="a time budget of 3000 s is too small"):
        submit(sharp, many, "early", time_budget="50m")


def test_a_time_budget_too_short_is_refused_with_what_it_takes(
    sharp: list[Path], many: Path
) -> None:
    with pytest.raises(UsageError, match="1.0 s are kept for the files; give 2s or more"):
        submit(sharp, many, "early", time_budget="1s")


def test_a_time_budget_pays_only_for_what_an_earlier_run_left(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (planning, forecast):
        monkeypatch.setattr(module, "seconds_per_image", lambda _: 1.0)
    how: dict[str, Any] = {"time_budget": "30s", "shard_size": 10}
    labels = Path(".ensemble/predictions", record(submit(sharp, many, "early", **how))["key"])
    (labels / "part-00002.json").unlink()
    again = submit(sharp, many, "again", **how)
    assert len(again.labels) == COUNT
    for part in labels.glob("part-*.json"):
        part.unlink()
    with pytest.raises(UsageError, match="each of the 59 images that are left takes 59 s"):
        submit(sharp, many, "third", **how)


def test_a_time_budget_that_is_over_is_no_matter_where_nothing_is_left(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(sharp, many, "first", time_budget="50m")
    told = {"pipe": -1, "pid": 1, "began": time.monotonic() - 3600, "suspects": [], "poison": []}
    monkeypatch.setenv(WATCH, json.dumps(told))
    assert submit(sharp, many, "again", time_budget="50m").labels == first.labels


def test_what_is_expected_is_said_of_the_images_that_are_left(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--device", "cpu", "--out", "early",
            "--early-exit", "20%", "--shard-size", "10"]  # fmt: skip
    assert ensemble(*args) == 0
    assert "for each of 48 images" in capsys.readouterr().err
    key = json.loads(Path("early/run.json").read_text())["early_exit"]["key"]
    Path(".ensemble/predictions", key, "part-00002.json").unlink()
    assert ensemble(*args) == 0
    kept = np.flatnonzero(np.arange(COUNT) // 10 == 2)
    partition = load_partition(Path(".ensemble"), key)
    assert partition is not None
    left = len(np.setdiff1d(kept, draw_sample(sha256_json(partition.fingerprint), COUNT, 12)))
    assert f"for each of {left} images" in capsys.readouterr().err


def test_broken_images_are_quarantined_also_in_the_calibration(
    sharp: list[Path], many: Path
) -> None:
    for number in range(1, COUNT, 3):
        (many / f"img{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    full = submit(sharp, many, "full", store="plain", fill="cat")
    early = submit(sharp, many, "early", fill="cat", early_exit="30%", calibration=15)
    assert [q.id for q in early.quarantined] == [q.id for q in full.quarantined]
    assert early.ids == full.ids
    assert not verify_exit("early").faults


def test_a_broken_calibrated_image_voids_no_certificate(sharp: list[Path], tmp_path: Path) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    broken(images, range(1, 301, 9))
    early = submit(sharp, images, "early", early_exit="5%")
    assert record(early)["certificate"]["calibrated"] == 50
    assert record(early)["certificate"]["threshold"] is not None
    assert not verify_exit("early").faults


def test_a_budget_is_kept_though_no_calibrated_image_can_be_decoded(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    broken(many, range(1, 5))
    monkeypatch.setattr(run, "draw_sample", lambda *_: np.arange(4))
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu",
            "--out", "early", "--fill", "cat", "--shard-size", "8"]  # fmt: skip
    assert ensemble(*args, "--evals-per-image", "3", "--calibration", "4") == 3
    assert "none of the 4 calibrated images can be decoded" in capsys.readouterr().err
    made = json.loads(Path("early/run.json").read_text())["evaluations"]
    assert COUNT - 4 <= made <= 3 * COUNT


def test_a_time_that_the_calibration_used_up_is_told_and_what_it_takes_to_go_on(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (planning, forecast):
        monkeypatch.setattr(module, "seconds_per_image", lambda _: 1.0)
    take = run.take_sample
    monkeypatch.setattr(run, "take_sample", lambda *how: replace(take(*how), seconds=50.0, fresh=4))
    with pytest.raises(UsageError, match=r"50 s went on the calibration, which is kept: run again"):
        submit(sharp, many, "early", time_budget="30s")


def test_what_is_left_is_counted_without_what_is_drawn(tmp_path: Path) -> None:
    heads = [{"name": "label", "classes": ["x", "y"]}]
    partition = open_partition(tmp_path, {"heads": heads}, images=7, shard_size=3)
    assert left_of(partition) == 7
    assert left_of(partition, np.array([0, 3, 6])) == 4
    partition.commit(1, list("def"), {"label": np.full((3, 2), 0.5, np.float32)}, [])
    assert left_of(partition) == 4
    assert left_of(partition, np.array([0, 3, 6])) == 2
