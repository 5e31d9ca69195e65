"""The loop over evaluations: images leave, and what has no pixels is sent nowhere."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from exit_runs import COUNT, broken, record, submit
from onnx import numpy_helper
from toys import save_images, save_member, toy_card, toy_model

from ensemble.api.results import verify_exit
from ensemble.early_exit import evaluate
from ensemble.errors import ScoreError
from ensemble.files.atomic import sha256_file, sha256_json
from ensemble.inference.batches import Job, Rows, score_in_batches
from ensemble.progress import Quiet
from ensemble.records import Quarantined

pytestmark = pytest.mark.usefixtures("alike")


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


def test_a_member_that_gives_nan_fails_the_run(sharp: list[Path], many: Path) -> None:
    card = toy_card("ant-f0")
    model = toy_model(card, seed=1)
    matrix = np.full((192, 3), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    save_member(Path("folds"), card, model)
    with pytest.raises(ScoreError, match="NaN"):
        submit(sharp, many, "early", early_exit="lossless")
