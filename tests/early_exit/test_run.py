"""A run that ends images early gives the labels of one that does not, and can be checked."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from onnx import numpy_helper
from processes import finish, start
from toys import ensemble, save_images, save_member, toy_card, toy_model

from ensemble.api import predict
from ensemble.api.results import verify_exit
from ensemble.early_exit import evaluate, forecast, setup
from ensemble.early_exit import run as exiting
from ensemble.early_exit.plan import calibrated_of
from ensemble.early_exit.stopping.certificate import draw_sample
from ensemble.early_exit.stopping.order import Evaluation
from ensemble.early_exit.stopping.thresholds import Steady
from ensemble.errors import ScoreError, StoreError, UsageError
from ensemble.files.atomic import sha256_file, sha256_json
from ensemble.inference.batches import Job, Rows, score_in_batches
from ensemble.pipeline import run as pipeline
from ensemble.predictions import garbage, inventory
from ensemble.predictions.store import load_partition
from ensemble.progress import Quiet
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Quarantined
from ensemble.submission.publish import Submission
from ensemble.voting.decision import Decision
from ensemble.voting.weights import Weights
from ensemble.worker import WATCH

COUNT = 60


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for module in (setup, forecast):  # so that orders are alike
        monkeypatch.setattr(module, "seconds_per_image", lambda _: 0.001)


@pytest.fixture
def sharp(tmp_path: Path) -> list[Path]:
    """Three families of two folds that mostly agree: one map, and a little noise each."""
    rng = np.random.default_rng(5)
    paths = []
    for family in ("ant", "bee", "cow"):
        for fold in (0, 1):
            card = toy_card(f"{family}-f{fold}")
            model = toy_model(card, seed=1)
            matrix = numpy_helper.to_array(model.graph.initializer[0])
            noisy = (2 * matrix + rng.normal(0, 0.03, matrix.shape)).astype(np.float32)
            model.graph.initializer[0].CopyFrom(numpy_helper.from_array(noisy, "matrix"))
            paths.append(save_member(tmp_path / "folds", card, model))
    return paths


@pytest.fixture
def many(tmp_path: Path) -> Path:
    return save_images(tmp_path / "many", COUNT, seed=3)


def submit(members: list[Path], images: Path, out: str, **more: Any) -> Submission:
    return predict.run(members, images, out=out, device="cpu", tta=more.pop("tta", "hflip"), **more)


def record(result: Submission) -> dict[str, Any]:
    return dict(result.record["early_exit"])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"tta": "none"},
        {"tta": "d4"},
        {"merge": "gmean"},
        {"voting": "hard"},
        {"weights": {"ant": 0.5, "bee": 0.3, "cow": 0.2}},
        {"weights": {"ant": 0.5, "bee": 0.5, "cow": 0.0}},
        {"weights": Weights({"ant": 1, "bee": 1, "cow": 1}, temperature=2.0,
                            decision=Decision(prior_tau=1.0, prior=(0.5, 0.3, 0.2)))},
    ],
)  # fmt: skip
def test_lossless_gives_every_label_with_fewer_evaluations(
    sharp: list[Path], many: Path, how: dict[str, Any]
) -> None:
    full = submit(sharp, many, "full", store="plain", **how)
    early = submit(sharp, many, "early", early_exit="lossless", **how)
    assert early.labels == full.labels
    assert early.evaluations is not None
    assert early.evaluations.mean() < record(early)["stages"]
    assert (early.folder / "submission.csv").read_bytes() == (
        full.folder / "submission.csv"
    ).read_bytes()
    assert not verify_exit("early").faults


def test_a_multilabel_head_ends_when_each_label_is_decided(tmp_path: Path, many: Path) -> None:
    members = [
        save_member(
            tmp_path / "folds",
            (card := toy_card(f"ant-f{fold}", task="multilabel", activation="sigmoid")),
            toy_model(card, seed=1),
        )
        for fold in range(4)
    ]
    full = submit(members, many, "full", store="plain", output="binary")
    early = submit(members, many, "early", output="binary", early_exit="lossless")
    assert (early.folder / "submission.csv").read_bytes() == (
        full.folder / "submission.csv"
    ).read_bytes()
    assert record(early)["evaluations_per_image"] < 8
    assert not verify_exit("early").faults


@pytest.mark.parametrize("pool", ["linear", "log-linear"])
def test_a_certificate_stands_in_run_json_and_holds(
    sharp: list[Path], tmp_path: Path, pool: Any
) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    how = Weights({"ant": 0.4, "bee": 0.5, "cow": 0.3}, pool=pool)
    full = submit(sharp, images, "full", store="plain", weights=how)
    early = submit(sharp, images, "early", weights=how, early_exit="5%")
    found = record(early)["certificate"]
    assert found["epsilon"] == 0.05
    assert found["calibrated"] == 50
    assert found["threshold"] is not None
    assert record(early)["evaluations_per_image"] < 12
    differ = sum(a != b for a, b in zip(early.labels, full.labels, strict=True))
    assert differ <= 15
    assert "with 95 % confidence" in record(early)["words"]
    assert not verify_exit(early).faults


def test_where_nothing_certifies_only_the_lossless_rule_ends_images(
    sharp: list[Path], many: Path
) -> None:
    full = submit(sharp, many, "full", store="plain")
    early = submit(sharp, many, "early", early_exit="0.5%")
    assert early.labels == full.labels
    assert (
        "60 images are too few for 0.5 %, so lossless was used; try 20%" in record(early)["words"]
    )
    assert record(early)["certificate"]["threshold"] is None


def test_calibrated_images_get_every_evaluation_and_are_the_drawn_ones(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="20%", calibration=20)
    assert early.evaluations is not None
    assert (early.evaluations == 12).sum() >= 20
    assert record(early)["certificate"]["calibrated"] == 20


@pytest.mark.parametrize("shard_size", [40, 256])
def test_a_budget_of_evaluations_is_kept(
    sharp: list[Path], tmp_path: Path, shard_size: int
) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    early = submit(sharp, images, "early", evals_per_image=3, shard_size=shard_size)
    assert early.evaluations is not None
    assert 2.85 < early.evaluations.mean() <= 3
    many, changed = record(early)["changes"]["images"], record(early)["changes"]["changed"]
    assert (
        f"of {many} images that got all evaluations, this budget would change {changed} "
        in (record(early)["words"])
    )
    assert "nothing is certified" in record(early)["words"]
    assert not verify_exit("early").faults


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


def test_a_time_budget_that_is_long_costs_no_label(sharp: list[Path], many: Path) -> None:
    full = submit(sharp, many, "full", store="plain")
    early = submit(sharp, many, "early", time_budget="1h")
    assert early.labels == full.labels
    assert not verify_exit("early").faults


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
    for module in (setup, forecast):
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


def test_shards_threads_and_batches_change_no_label(sharp: list[Path], many: Path) -> None:
    one = submit(sharp, many, "one", early_exit="20%", store="s1")
    other = submit(
        sharp, many, "other", early_exit="20%", store="s2", shard_size=7, threads=1, batch_size=3
    )
    assert one.labels == other.labels
    assert one.evaluations is not None
    assert other.evaluations is not None
    assert one.evaluations.tolist() == other.evaluations.tolist()


def test_stored_predictions_are_used_and_cost_nothing(sharp: list[Path], many: Path) -> None:
    full = submit(sharp, many, "full")
    early = submit(sharp, many, "early", early_exit="lossless")
    assert early.labels == full.labels
    assert early.record["evaluations"] == 0
    assert "early_exit" not in early.record, "every evaluation is there already"
    some = submit(sharp[:2], many, "some", store="other")
    assert some.record["evaluations"] == 120
    mixed = submit(sharp, many, "mixed", store="other", early_exit="lossless")
    assert mixed.labels == full.labels
    assert record(mixed)["stages"] == 2 + 8, "a stored member is one evaluation with all its views"
    assert len(record(mixed)["stored"]) == 2
    paid = mixed.evaluations.sum() if mixed.evaluations is not None else 0
    assert 0 < mixed.record["evaluations"] < paid  # type: ignore[operator]


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


def test_the_predictions_hold_labels_and_evaluations_and_no_probabilities(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="lossless")
    table = pq.read_table("early/predictions.parquet")
    assert table.column_names == ["id", "label", "n_evals"]
    assert early.probs.shape == (COUNT, 0)
    assert list(early.frame.columns) == ["id", "label", "n_evals"]
    with pytest.raises(UsageError, match="images ended early"):
        predict.vote("early", out="again")
    assert ensemble("vote", "--predictions", "early/predictions.parquet", "--out", "again") == 2


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"early_exit": "lossless", "output": "probs"}, "probabilities change"),
        ({"early_exit": "0.5%", "output": "probs"}, "probabilities change"),
        ({"early_exit": "lossless", "voting": "geometric"}, "certified exit"),
        ({"early_exit": "soon"}, "off, lossless or a share"),
        ({"early_exit": "0.5"}, "did you mean 50% or 0.5%"),
        ({"early_exit": 0.05}, "expected a text"),
        ({"evals_per_image": "6"}, "is a number"),
        ({"time_budget": 30}, "expected a text"),
        ({"early_exit": "1%", "confidence": "5%"}, "50% or more"),
        ({"early_exit": "1%", "calibration": 2}, "can certify nothing"),
        ({"early_exit": "100%"}, "less than 100%"),
        ({"early_exit": "1%", "confidence": "sure"}, "confidence 'sure'"),
        ({"time_budget": "tomorrow"}, "2h30m"),
        ({"time_budget": "1h", "evals_per_image": 3}, "two budgets"),
        ({"early_exit": "lossless", "time_budget": "1h"}, "leave the budget out"),
        ({"early_exit": "lossless", "evals_per_image": 3}, "early_exit off"),
        ({"evals_per_image": 0.5}, "at least 1"),
        ({"calibration": 5}, "goes with"),
        ({"early_exit": "lossless", "on_nan": "drop-member"}, "--on-nan fail"),
    ],
)
def test_what_has_no_meaning_is_refused_with_the_reason(
    sharp: list[Path], many: Path, how: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        submit(sharp, many, "early", **how)
    assert not Path(".ensemble/predictions").exists()


def test_a_lossless_rule_of_the_recipe_file_is_refused_with_the_budget_of_a_flag(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("ensemble.toml").write_text('early_exit = "lossless"\n')
    args = ["run", "--members", "folds", "--images", "many", "--time-budget", "1h"]
    assert ensemble(*args) == 2
    assert "early_exit lossless keeps every label" in capsys.readouterr().err
    assert ensemble(*args, "--early-exit", "off", "--dry-run") == 0


def broken(folder: Path, numbers: range) -> None:
    for number in numbers:
        (folder / f"img{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")


class Bar(Quiet):
    """A progress that counts."""

    total = done = 0

    def start(self, total: int, members: int, unit: str = "images") -> None:
        self.total = total

    def advance(self, evaluations: int) -> None:
        self.done += evaluations


@pytest.mark.parametrize("how", [{"early_exit": "lossless"}, {"early_exit": "20%"},
                                 {"evals_per_image": 3}, {"time_budget": "1h"}])  # fmt: skip
@pytest.mark.parametrize("numbers", [range(1, 11), range(1, COUNT + 1)])
def test_a_shard_of_broken_images_is_quarantined(
    sharp: list[Path], many: Path, how: dict[str, Any], numbers: range
) -> None:
    broken(many, numbers)
    early = submit(sharp[:3], many, "early", shard_size=10, **how)
    assert len(early.quarantined) == len(numbers)
    assert len(early.ids) == COUNT - len(numbers)
    assert not verify_exit("early").faults


def test_an_image_without_pixels_is_sent_through_no_member(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(many, range(1, 11))
    black: list[int] = []

    def watched(job: Job, images: Rows, *more: Any) -> dict[str, Any]:
        black.extend(int(not images.pixels[n : n + 1].any()) for n in range(len(images.pixels)))
        return score_in_batches(job, images, *more)

    monkeypatch.setattr(evaluate, "score_in_batches", watched)
    submit(sharp, many, "early", early_exit="lossless", shard_size=20)
    assert len(black) > COUNT
    assert not sum(black)


@pytest.mark.parametrize("how", [{"early_exit": "lossless"}, {"early_exit": "20%"},
                                 {"evals_per_image": 3}])  # fmt: skip
@pytest.mark.parametrize("stored", [0, 2])
def test_the_bar_ends_at_its_end(
    sharp: list[Path], many: Path, how: dict[str, Any], stored: int
) -> None:
    broken(many, range(1, 11))
    if stored:
        submit(sharp[:stored], many, "some", fill="cat")
    key = ""
    for shard in (None, 2):  # anew, and going on where one shard is gone
        if shard is not None:
            Path(".ensemble/predictions", key, f"part-{shard:05d}.json").unlink()
        bar = Bar()
        early = submit(sharp, many, "early", fill="cat", shard_size=10, progress=bar, **how)
        key = record(early)["key"]
        assert bar.done == bar.total > 0


def test_an_image_that_a_stored_member_lacks_is_quarantined(sharp: list[Path], many: Path) -> None:
    good = (many / "img7.png").read_bytes()
    broken(many, range(7, 8))
    submit(sharp[:2], many, "some")
    partitions = list(Path(".ensemble/predictions").iterdir())
    (many / "img7.png").write_bytes(good)
    submit(sharp[:2], many, "again")
    for folder in set(Path(".ensemble/predictions").iterdir()) - set(partitions):
        mark = next(folder.glob("part-*.json"))
        kept = json.loads(mark.read_text())
        table = pq.read_table(mark.with_suffix(".parquet"))
        left = table.filter(pa.compute.not_equal(table["id"], "img7"))
        pq.write_table(left, mark.with_suffix(".parquet"))
        lost = Quarantined("img7", "img7.png", "decode", "crash", "it crashed then", "ab", 1)
        kept |= {"rows": COUNT - 1, "quarantined": [asdict(lost)], "check": None}
        kept["sha256"] = sha256_file(mark.with_suffix(".parquet"))
        del kept["check"]
        mark.write_text(json.dumps({**kept, "check": sha256_json(kept)}))
    early = submit(sharp, many, "early", early_exit="lossless")
    assert [q.id for q in early.quarantined] == ["img7"]
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
    monkeypatch.setattr(exiting, "draw_sample", lambda *_: np.arange(4))
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu",
            "--out", "early", "--fill", "cat", "--shard-size", "8"]  # fmt: skip
    assert ensemble(*args, "--evals-per-image", "3", "--calibration", "4") == 3
    assert "none of the 4 calibrated images can be decoded" in capsys.readouterr().err
    made = json.loads(Path("early/run.json").read_text())["evaluations"]
    assert COUNT - 4 <= made <= 3 * COUNT


def test_a_budget_is_kept_also_where_nothing_can_be_certified(
    sharp: list[Path], many: Path
) -> None:
    early = submit(sharp, many, "early", early_exit="0.5%", evals_per_image=4, shard_size=8)
    assert 3.4 < record(early)["evaluations_per_image"] <= 4
    assert record(early)["certificate"] is None
    assert "nothing is certified" in record(early)["words"]


def test_a_budget_that_pays_for_more_than_the_certificate_needs_is_no_spending(
    sharp: list[Path], tmp_path: Path
) -> None:
    images = save_images(tmp_path / "lots", 300, seed=4)
    alone = submit(sharp, images, "alone", early_exit="5%", store="s1")
    beside = submit(sharp, images, "beside", early_exit="5%", evals_per_image=11, store="s2")
    assert record(beside)["certificate"] is not None
    assert record(beside)["evaluations_per_image"] < 11
    assert record(alone)["certificate"]["threshold"] is not None


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"early_exit": "5%", "evals_per_image": 2}, "the budget paid for 12 calibration images, "
         "and 5 % needs 50, so nothing is certified"),
        ({"early_exit": "0.5%", "evals_per_image": 3}, "300 images are too few for 0.5 %"),
        ({"early_exit": "5%", "evals_per_image": 4, "calibration": 20}, "--calibration gave 20"),
        ({"early_exit": "0.5%"}, "300 images are too few for 0.5 %, so lossless was used; try "),
    ],
)  # fmt: skip
def test_where_nothing_is_certified_the_reason_is_told(
    sharp: list[Path], tmp_path: Path, how: dict[str, Any], words: str
) -> None:
    early = submit(sharp, save_images(tmp_path / "lots", 300, seed=4), "early", **how)
    assert words in record(early)["words"]
    assert not verify_exit("early").faults


@pytest.mark.parametrize(
    "how", [{"evals_per_image": 12}, {"time_budget": "10m"}, {"early_exit": "lossless"}]
)
def test_a_budget_that_pays_for_all_is_the_lossless_rule(
    sharp: list[Path], many: Path, how: dict[str, Any]
) -> None:
    early = submit(sharp, many, "early", **how)
    assert record(early)["calibration"] is None
    assert "every label is the full ensemble's" in record(early)["words"]


def test_of_one_evaluation_nothing_is_calibrated(sharp: list[Path], many: Path) -> None:
    early = submit(sharp[:1], many, "early", tta="none", early_exit="20%")
    assert record(early)["calibration"] is None
    assert "of one evaluation, none can be left out" in record(early)["words"]


def test_stored_evaluations_are_told_apart(sharp: list[Path], many: Path) -> None:
    submit(sharp[:2], many, "some")
    early = submit(sharp, many, "early", evals_per_image=3)
    assert "from the store, of 10 evaluations an image; " in record(early)["words"]


def test_a_time_that_the_calibration_used_up_is_told_and_what_it_takes_to_go_on(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (setup, forecast):
        monkeypatch.setattr(module, "seconds_per_image", lambda _: 1.0)
    take = exiting.take_sample
    monkeypatch.setattr(
        exiting, "take_sample", lambda *how: replace(take(*how), seconds=50.0, fresh=4)
    )
    with pytest.raises(UsageError, match=r"50 s went on the calibration, which is kept: run again"):
        submit(sharp, many, "early", time_budget="30s")


def test_the_same_command_after_a_full_run_gives_the_same_labels(
    sharp: list[Path], many: Path
) -> None:
    first = submit(sharp, many, "first", early_exit="20%")
    submit(sharp, many, "full")
    again = submit(sharp, many, "first", early_exit="20%")
    assert again.labels == first.labels
    assert record(again) == record(first)


def test_parts_without_their_plan_are_not_read_by_another(sharp: list[Path], many: Path) -> None:
    first = submit(sharp, many, "first", early_exit="lossless")
    Path(".ensemble/predictions", record(first)["key"], "plan.json").unlink()
    with pytest.raises(StoreError, match="plan.json cannot be read"):
        submit(sharp, many, "first", early_exit="lossless")


def test_a_run_without_calibration_leaves_no_other_key(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    assert len(list(Path(".ensemble/predictions").iterdir())) == 1


def test_a_member_that_gives_nan_fails_the_run(sharp: list[Path], many: Path) -> None:
    card = toy_card("ant-f0")
    model = toy_model(card, seed=1)
    matrix = np.full((192, 3), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    save_member(Path("folds"), card, model)
    with pytest.raises(ScoreError, match="NaN"):
        submit(sharp, many, "early", early_exit="lossless")


KILLED = (
    "import os, ensemble.files.atomic as files, ensemble.early_exit.setup as setup\n"
    "setup.seconds_per_image = lambda _: 0.001\n"
    "publish = files.publish\n"
    "def cut(path, write):\n"
    "    if path.name == 'part-00003.json': os.kill(os.getpid(), 9)\n"
    "    publish(path, write)\n"
    "files.publish = cut\n"
)
"""What kills a command as it commits its fourth shard."""


@pytest.mark.parametrize(
    "how",
    [("--early-exit", "20%"), ("--evals-per-image", "4")],
)
def test_a_killed_run_goes_on_and_gives_the_same_labels(
    sharp: list[Path], many: Path, how: tuple[str, str]
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu",
            "--shard-size", "10", *how]  # fmt: skip
    broken = [*args, "--out", "broken", "--store", "s1"]
    killed = start(Path(), *broken, faults=KILLED, ENSEMBLE_SUPERVISE="0")
    assert finish(killed)[0] == -9
    assert ensemble(*broken) == 0
    assert ensemble(*args, "--out", "whole", "--store", "s2") == 0
    assert Path("broken/submission.csv").read_bytes() == Path("whole/submission.csv").read_bytes()
    both = [pq.read_table(f"{out}/predictions.parquet") for out in ("broken", "whole")]
    assert both[0]["n_evals"].to_pylist() == both[1]["n_evals"].to_pylist()
    made = [
        json.loads(Path(out, "run.json").read_text())["evaluations"] for out in ("broken", "whole")
    ]
    assert made[0] < made[1], "what was committed was not made again"
    assert not verify_exit("broken").faults


def test_a_budget_goes_on_by_the_shards_it_began_with_whatever_size_is_asked_for(
    sharp: list[Path], many: Path
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu",
            "--evals-per-image", "2.5"]  # fmt: skip
    broken = [*args, "--out", "broken", "--store", "s1", "--shard-size"]
    killed = start(Path(), *broken, "5", faults=KILLED, ENSEMBLE_SUPERVISE="0")
    assert finish(killed)[0] == -9
    assert ensemble(*broken, "60") == 0
    assert ensemble(*args, "--out", "whole", "--store", "s2", "--shard-size", "5") == 0
    both = [pq.read_table(f"{out}/predictions.parquet") for out in ("broken", "whole")]
    assert both[0]["n_evals"].to_pylist() == both[1]["n_evals"].to_pylist()
    assert both[0]["label"].to_pylist() == both[1]["label"].to_pylist()


def test_another_rule_or_vote_never_uses_what_an_early_exit_kept(
    sharp: list[Path], many: Path
) -> None:
    others: list[dict[str, Any]] = [
        {}, {"confidence": "90%"}, {"early_exit": "30%"}, {"voting": "hard"}, {"tta": "vflip"},
        {"weights": {"ant": 0.5, "bee": 0.3, "cow": 0.2}}, {"evals_per_image": 5},
    ]  # fmt: skip
    keys = [
        record(submit(sharp[::2], many, f"out{n}", **{"early_exit": "20%", **how}))["key"]
        for n, how in enumerate(others)
    ]
    assert len(set(keys)) == len(keys)


def test_a_dry_run_tells_how_many_images_are_calibrated_and_writes_nothing(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", "--members", "folds", "--images", "many", "--tta", "hflip", "--device", "cpu"]
    assert ensemble(*args, "--early-exit", "20%", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "early exit: 12 images get all 12 evaluations" in said
    assert "ant-f0: 120 evaluations" in said
    assert not Path(".ensemble").exists()


def foreseen(**how: Any) -> pipeline.RunPlan:
    """Plan an early exit over the images of `many`."""
    recipe = Settings(("folds",), ("many",), tta="hflip", device="cpu", shard_size=10, **how)
    return pipeline.plan(recipe)


def most(plan: pipeline.RunPlan) -> int:
    return sum(member.evaluations for member in plan.members)


def test_a_dry_run_counts_the_evaluations_of_the_images_that_are_left(
    sharp: list[Path], many: Path
) -> None:
    before = foreseen(early_exit="20%")
    assert most(before) == 12 * COUNT
    assert before.members[0].seconds == pytest.approx(0.002 * COUNT)
    early = submit(sharp, many, "early", early_exit="20%", shard_size=10)
    done = foreseen(early_exit="20%")
    assert most(done) == 0
    assert all(member.evaluations_stored == 2 * COUNT for member in done.members)
    folder = Path(".ensemble/predictions")
    (folder / record(early)["key"] / "part-00002.json").unlink()
    one = foreseen(early_exit="20%")
    assert 0 < most(one) <= 12 * 10
    (folder / record(early)["calibration"] / "part-00000.json").unlink()
    assert most(foreseen(early_exit="20%")) == most(one) + 12 * 10


def test_a_dry_run_needs_room_for_the_parts_of_the_early_exit_alone(
    sharp: list[Path], many: Path
) -> None:
    before = foreseen(early_exit="20%")
    assert before.early_exit is not None
    assert sum(member.bytes for member in before.members) == 0
    numbers = 8 * COUNT * (3 + 3) + 4 * 12 * 12 * 3  # sums and ends; and the calibration
    assert numbers < before.early_exit.bytes < 2 * numbers
    submit(sharp, many, "early", early_exit="20%", shard_size=10)
    after = foreseen(early_exit="20%").early_exit
    assert after is not None
    assert after.bytes == 0


def test_a_dry_run_counts_nothing_of_stored_members_and_half_a_member_as_nothing(
    sharp: list[Path], many: Path
) -> None:
    submit(sharp[:2], many, "some", shard_size=10)
    plan = foreseen(early_exit="lossless")
    assert plan.early_exit is not None
    assert plan.early_exit.stages == 2 + 8
    assert most(plan) == 8 * COUNT
    key = plan.members[0].key
    Path(".ensemble/predictions", key, "part-00001.json").unlink()
    assert most(foreseen(early_exit="lossless")) == 10 * COUNT


def test_a_dry_run_with_every_prediction_stored_is_that_of_a_plain_run(
    sharp: list[Path], many: Path
) -> None:
    submit(sharp, many, "full")
    plan = foreseen(early_exit="lossless")
    assert plan.early_exit is None
    assert most(plan) == 0


def test_a_dry_run_refuses_what_the_run_would(sharp: list[Path], many: Path) -> None:
    with pytest.raises(UsageError, match="give 3.75 or more"):
        foreseen(evals_per_image=2, calibration=15)
    with pytest.raises(UsageError, match="can certify nothing"):
        foreseen(early_exit="1%", calibration=2)
    with pytest.raises(UsageError, match="lossless keeps every label"):
        foreseen(early_exit="lossless", time_budget="1h")


def test_the_store_keeps_what_an_early_exit_refers_to(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "runs/early", early_exit="20%")
    held = inventory.inventory(Path(".ensemble"), [Path("runs")])
    assert len(held) == 2
    assert all(entry.runs == ("runs/early",) for entry in held)
    assert not garbage.garbage(Path(".ensemble"), [Path("runs")]).keys
    assert not garbage.garbage(Path(".ensemble")).keys


@pytest.mark.parametrize(
    ("early_exit", "budget", "images", "stages", "expected"),
    [
        ("lossless", {}, 1000, 20, 0),
        ("0.5%", {}, 10_000, 20, 570),
        ("0.5%", {"calibration": 80}, 10_000, 20, 80),
        ("0.5%", {}, 100, 20, 0),
        ("off", {"time_budget": "5m"}, 10_000, 20, 300),
        ("off", {"evals_per_image": 2}, 1000, 20, 25),
        ("off", {"evals_per_image": 2}, 100, 20, 2),
        ("off", {"evals_per_image": 4}, 100, 20, 7),
        ("off", {"evals_per_image": 5}, 100, 20, 8),
        ("off", {"evals_per_image": 1.2}, 1000, 20, 5),
        ("off", {"evals_per_image": 1.0}, 1000, 20, 1),
        ("off", {"evals_per_image": 3}, 1000, 1, 0),
        ("5%", {}, 1000, 1, 0),
        ("5%", {"calibration": 100}, 1000, 1, 0),
        ("1%", {"evals_per_image": 8}, 1000, 20, 238),
        ("1%", {"evals_per_image": 6.5}, 1000, 20, 238),
        ("1%", {"evals_per_image": 5}, 1000, 20, 62),
        ("off", {"evals_per_image": 19}, 1000, 20, 237),
        ("off", {"evals_per_image": 20}, 1000, 20, 0),
        ("off", {"time_budget": "10m"}, 300, 20, 0),
        ("0.5%", {"evals_per_image": 2}, 10_000, 20, 250),
        ("0.5%", {"evals_per_image": 4}, 10_000, 20, 570),
        ("0.5%", {"time_budget": "12.1s"}, 10_000, 20, 55),
        ("off", {"time_budget": "0.1s"}, 3, 20, 1),
    ],
)
def test_as_few_images_are_calibrated_as_will_do(
    early_exit: str, budget: dict[str, Any], images: int, stages: int, expected: int
) -> None:
    saving = resolve(Settings((), (), early_exit=early_exit, **budget)).saving
    assert saving is not None
    evaluations = [Evaluation(str(n), "ant", 0, 1.0, 0.001) for n in range(stages)]
    assert calibrated_of(saving, images, evaluations) == expected


def tampered(folder: str, column: str) -> None:
    """Change one row of what the run published."""
    path = Path(folder, "predictions.parquet")
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[3] = {"label": "dog" if values[3] != "dog" else "cat", "n_evals": 2}[column]
    at = table.column_names.index(column)
    field = table.schema.field(column)
    pq.write_table(table.set_column(at, field, pa.array(values, field.type)), path)


@pytest.mark.parametrize(("column", "words"), [("label", "label"), ("n_evals", "n_evals")])
def test_a_label_that_was_changed_is_found(
    sharp: list[Path], many: Path, column: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    tampered("early", column)
    found = verify_exit("early")
    assert len(found.faults) == 1
    assert words in found.faults[0]
    assert ensemble("verify-exit", "early") == 5
    assert "1 rows have another" in capsys.readouterr().err


def test_exits_that_were_too_early_for_the_rule_are_found(
    sharp: list[Path], many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exiting, "pace_of", lambda *_, **__: Steady(0.5))
    submit(sharp, many, "bold", early_exit="lossless")
    assert "which is all that lossless allows" in verify_exit("bold").faults[0]


def forged(folder: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what run.json says."""
    path = Path(folder, "run.json")
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["early_exit"].update(rule="budget"), "rule 'budget'; expected 'certified'"),
        (lambda r: r["early_exit"].update(words="all is well"), "words 'all is well'; expected"),
        (lambda r: r["early_exit"].update(certificate=None), "certificate None"),
        (lambda r: r["early_exit"]["certificate"].update(epsilon=0.01), "certificate"),
        (lambda r: r["early_exit"]["certificate"].update(p_value=0.001), "certificate"),
        (lambda r: r["early_exit"].update(stages=99), "stages 99; expected 12"),
        (lambda r: r["early_exit"].update(calibration=None), "0 images are calibrated"),
        (lambda r: r["early_exit"].pop("stored"), "stored None"),
        (lambda r: r["classes"].append("eel"), "classes"),
        (lambda r: r["classes"].reverse(), "classes"),
        (lambda r: r["recipe"].update(voting="hard"), "voting 'hard'; expected 'soft'"),
        (lambda r: r["recipe"].update(early_exit="1%"), "early_exit"),
        (lambda r: r["recipe"].update(weights={"weights": {"ant": 1, "bee": 1, "cow": 2}}),
         "weights"),
    ],
)  # fmt: skip
def test_what_run_json_was_changed_to_say_is_found(
    sharp: list[Path], many: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    early = submit(sharp, many, "early", early_exit="20%")
    forged("early", change)
    found = verify_exit("early")
    assert any(words in fault for fault in found.faults), found.faults
    if "calibrated" not in words:
        assert len(found.faults) == 1
        assert found.words == record(early)["words"], "which are made anew"


def test_a_p_value_may_be_off_by_the_rounding_of_another_machine(
    sharp: list[Path], many: Path
) -> None:
    submit(sharp, many, "early", early_exit="20%")
    forged("early", lambda r: r["early_exit"]["certificate"].update(
        p_value=r["early_exit"]["certificate"]["p_value"] * (1 + 1e-12)))  # fmt: skip
    assert not verify_exit("early").faults


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(early_exit=[]),
        lambda r: r["early_exit"].update(key=7),
        lambda r: r["recipe"].pop("voting"),
        lambda r: r["recipe"].update(calibration="many"),
        lambda r: r.update(recipe=None),
        lambda r: r.pop("classes"),
    ],
)
def test_a_damaged_run_json_is_named(
    sharp: list[Path], many: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    submit(sharp[:2], many, "early", early_exit="lossless")
    forged("early", change)
    with pytest.raises(UsageError, match="early"):
        verify_exit("early")


def test_a_submission_that_was_changed_is_found(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    with Path("early/submission.csv").open("a") as stream:
        stream.write("more,cat\n")
    assert "submission.csv" in verify_exit("early").faults[0]


def test_a_label_that_was_changed_in_the_submission_and_its_hash_is_found(
    sharp: list[Path], many: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    path, told = Path("early/submission.csv"), Path("early/run.json")
    header, first, *rest = path.read_text().splitlines()
    name, label = first.split(",")
    other = f"{name},{'dog' if label == 'cat' else 'cat'}"
    path.write_text("\n".join([header, other, *rest]) + "\n")
    changed = json.loads(told.read_text()) | {"submission_sha256": sha256_file(path)}
    told.write_text(json.dumps(changed))
    assert ensemble("verify-exit", "early") == 5
    said = capsys.readouterr()
    assert f"another label than was decided in 1 rows: {name}" in said.err
    assert f"{COUNT} rows checked: 1 fault\n" in said.out


def test_a_run_whose_store_is_gone_cannot_be_checked(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "early", early_exit="lossless")
    shutil.rmtree(".ensemble")
    with pytest.raises(UsageError, match="does not hold"):
        verify_exit("early")


def test_a_run_without_early_exit_has_nothing_to_check(sharp: list[Path], many: Path) -> None:
    submit(sharp, many, "full")
    with pytest.raises(UsageError, match="every image got every evaluation"):
        verify_exit("full")
