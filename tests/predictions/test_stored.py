"""Predictions made elsewhere: joined by id and class name, voted on, and never taken for OOF."""

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys import CLASSES, ensemble

from ensemble.api import predict
from ensemble.api.vote import vote
from ensemble.api.weights import tune_weights
from ensemble.errors import ContractError, UsageError
from ensemble.members.card import Head
from ensemble.predictions import formats, stored
from ensemble.predictions import table as oof
from ensemble.predictions.hints import ForeignHints
from ensemble.predictions.join import join
from ensemble.predictions.run_record import read_record
from ensemble.predictions.store import Partition
from ensemble.predictions.table import Oof
from ensemble.records import MemberId
from ensemble.voting.weights import Weights, to_json

IDS = ("007", "NA", "1e5", "img10", "img9")
PROBS = np.random.default_rng(4).dirichlet(np.ones(3), (2, 5))


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ant.csv, and bee.csv with its rows and its columns in another order."""
    monkeypatch.chdir(tmp_path)
    ant = pd.DataFrame(PROBS[0], pd.Index(IDS, name="id"), list(CLASSES))
    ant.to_csv("ant.csv")
    bee = pd.DataFrame(PROBS[1], pd.Index(IDS, name="id"), list(CLASSES))
    bee.iloc[::-1, [2, 0, 1]].to_csv("bee.csv")


def test_files_of_elsewhere_are_joined_by_id_and_class_name() -> None:
    assert ensemble("vote", "--predictions", "ant.csv", "bee.csv", "--output", "probs",
                    "--out", "out") == 0  # fmt: skip
    table = pd.read_csv("out/submission.csv", dtype={"id": str}, keep_default_na=False)
    assert sorted(table["id"]) == sorted(IDS)
    found = table.set_index("id").loc[list(IDS), list(CLASSES)]
    np.testing.assert_allclose(found, PROBS.mean(0), atol=1e-9)


def test_a_family_is_named_on_the_command_line() -> None:
    Path("weights.json").write_text(json.dumps({"weights": {"ant": 1, "mate": 3}}))
    assert ensemble("vote", "--predictions", "ant.csv", "mate=bee.csv", "--weights", "weights.json",
                    "--out", "out") == 0  # fmt: skip
    record = json.loads(Path("out/run.json").read_text())
    assert [m["family"] for m in record["members"]] == ["ant", "mate"]


def test_a_runs_predictions_are_read_with_its_members(members: list[Path], images: Path) -> None:
    first = predict.run(
        members, images, out="first", device="cpu", weights={"ant": 0.3, "bee": 0.7}
    )
    read = formats.read(Path("first/predictions.parquet"))
    assert read.deployed
    assert {len(hashes) for hashes in read.members.values()} == {2}
    again = vote(predictions=read, weights={"ant": 0.3, "bee": 0.7}, out="again")
    assert again.labels == first.labels
    np.testing.assert_allclose(again.probs, first.probs, atol=1e-7)


def test_weights_of_other_members_are_refused_for_a_runs_predictions(
    members: list[Path], images: Path
) -> None:
    predict.run(members, images, out="first", device="cpu")
    read = formats.read(Path("first/predictions.parquet"))
    tuned = Weights({"ant": 1, "bee": 2}, classes=CLASSES, members={"ant": ("0" * 64,)})
    with pytest.raises(UsageError, match="tuned for other members of ant"):
        vote(predictions=read, weights=tuned)


def test_weights_of_members_that_nobody_knows_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    tuned = Weights({"ant": 1, "bee": 2}, classes=CLASSES, members={"ant": ("0" * 64,), "bee": ()})
    Path("weights.json").write_text(json.dumps(to_json(tuned)))
    flags = ["--predictions", "ant.csv", "bee.csv", "--weights", "weights.json"]
    assert ensemble("vote", *flags, "--out", "out") == 0
    assert "taken on trust" in capsys.readouterr().err


def test_classes_take_the_order_that_the_weights_were_tuned_for() -> None:
    read = formats.read(Path("bee.csv"))
    assert read.classes != CLASSES
    votes = oof.in_order(read, CLASSES)
    assert votes.head.classes == CLASSES
    rows = [votes.ids.index(name) for name in IDS]
    np.testing.assert_allclose(votes.ballots[0].probs[rows], PROBS[1])


def test_other_classes_than_the_weights_were_tuned_for_are_refused() -> None:
    with pytest.raises(UsageError, match="tuned for cat, cow"):
        oof.in_order(formats.read(Path("ant.csv")), ("cat", "cow"))


def test_a_sample_with_an_id_without_a_prediction_publishes_nothing() -> None:
    Path("sample.csv").write_text("id,label\n" + "".join(f"{i},cat\n" for i in (*IDS, "img11")))
    with pytest.raises(ContractError, match="img11"):
        vote(predictions=formats.read(Path("ant.csv")), sample="sample.csv", out="out")
    assert not Path("out/submission.csv").exists()


def test_frames_are_voted_on_from_python() -> None:
    frames = {n: pd.read_csv(f"{n}.csv", dtype={"id": str}, keep_default_na=False, index_col="id")
              for n in ("ant", "bee")}  # fmt: skip
    found = vote(predictions=frames, out="out", voting="geometric")
    pooled = np.sqrt(PROBS[0] * PROBS[1])
    expected = dict(zip(IDS, pooled / pooled.sum(1, keepdims=True), strict=True))
    for name, row in zip(found.ids, found.probs, strict=True):
        np.testing.assert_allclose(row, expected[name], atol=1e-9)


def test_other_predictions_do_not_replace_a_vote() -> None:
    vote(predictions=formats.read(Path("ant.csv")), out="out")
    vote(predictions=formats.read(Path("ant.csv")), out="out")
    with pytest.raises(UsageError, match="holds a vote on other predictions"):
        vote(predictions=formats.read(Path("bee.csv"), "ant"), out="out")


def test_a_vote_on_predictions_of_elsewhere_cannot_be_voted_on_by_its_folder() -> None:
    vote(predictions=formats.read(Path("ant.csv")), out="out")
    with pytest.raises(UsageError, match="name them again with --predictions"):
        vote("out")


def test_files_of_elsewhere_are_not_said_to_come_from_the_store(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ensemble("vote", "--predictions", "ant.csv", "bee.csv") == 0
    said = capsys.readouterr().err
    assert "5 predicted" in said
    assert "from the store" not in said


def test_a_runs_predictions_are_no_oof() -> None:
    found = replace(formats.read(Path("ant.csv")), deployed=True)
    labels = dict.fromkeys(IDS, "cat")
    with pytest.raises(UsageError, match="make them with `ensemble oof`"):
        tune_weights(found, labels, metric="log_loss")


def test_rows_are_joined_whatever_their_order() -> None:
    joined = join([formats.read(Path("bee.csv")), formats.read(Path("ant.csv"))])
    assert isinstance(joined, Oof)
    rows = [joined.ids.index(name) for name in IDS]
    columns = [joined.classes.index(name) for name in CLASSES]
    np.testing.assert_allclose(joined.families["ant"][rows][:, columns], PROBS[0])


def test_a_quarantined_image_stays_quarantined_in_a_runs_predictions(
    members: list[Path], images: Path
) -> None:
    (images / "img3.png").write_bytes(b"")
    predict.run(members, images, out="first", device="cpu")
    read = formats.read(Path("first/predictions.parquet"))
    assert [q.id for q in read.quarantined] == ["img3"]
    flags = ["--predictions", "first/predictions.parquet", "--out", "again"]
    assert ensemble("vote", *flags) == 3
    assert not Path("again/submission.csv").exists()
    assert ensemble("vote", *flags, "--fill", "dog") == 3
    assert "img3,dog" in Path("again/submission.csv").read_text().splitlines()


def test_numbers_of_classes_need_one_order(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--predictions", "ant.csv", "bee.csv", "--labels-as", "index"]
    assert ensemble("vote", *flags) == 2
    assert "different orders" in capsys.readouterr().err
    assert ensemble("vote", "--predictions", "ant.csv", "--labels-as", "index") == 0
    joined = join([formats.read(Path("ant.csv")), formats.read(Path("bee.csv"))])
    with pytest.raises(UsageError, match="different orders"):
        tune_weights(joined, dict.fromkeys(IDS, "cat"), metric="qwk")


def test_a_file_that_says_its_task_is_not_taken_for_another(
    members: list[Path], images: Path
) -> None:
    predict.run(members, images, out="first", device="cpu")
    with pytest.raises(UsageError, match="are classification, not multilabel"):
        formats.read(Path("first/predictions.parquet"), elsewhere=ForeignHints(task="multilabel"))


def test_swapped_families_are_another_vote() -> None:
    one = join([formats.read(Path("ant.csv"), "a"), formats.read(Path("bee.csv"), "b")])
    two = join([formats.read(Path("ant.csv"), "b"), formats.read(Path("bee.csv"), "a")])
    vote(predictions=one, weights={"a": 0.9, "b": 0.1}, out="out")
    with pytest.raises(UsageError, match="holds a vote on other predictions"):
        vote(predictions=two, weights={"a": 0.9, "b": 0.1}, out="out")


def test_a_list_column_takes_the_classes_that_are_given() -> None:
    column = pa.FixedSizeListArray.from_arrays(pa.array(PROBS[0].ravel()), 3)
    pq.write_table(pa.table({"id": list(IDS), "p": column}), "mate.parquet")
    found = formats.read(Path("mate.parquet"), elsewhere=ForeignHints(classes=CLASSES))
    assert found.classes == CLASSES


def test_members_that_are_called_alike_are_not_read_as_one(
    members: list[Path], images: Path
) -> None:
    predict.run(members[:1], images, out="first", device="cpu", store="kept")
    (recorded,) = read_record(Path("first")).members
    entries = stored.entries_of_run([recorded, recorded], Path("kept"), "label", Path("first"))
    with pytest.raises(ContractError, match="called alike"):
        stored.read_predictions(entries)


def test_thresholds_of_two_kinds_are_read_apart() -> None:
    heads = [
        Head("age", "age", "multilabel", "sigmoid", ("b", "c"), ordinal=kind)
        for kind in (None, "conditional", "cumulative", "conditional")
    ]
    entries = [replace(entry_of(head), head=head) for head in heads]
    found = stored.by_head(entries)
    assert [[each.head.ordinal for each in own] for own in found] == [
        [None], ["conditional", "conditional"], ["cumulative"],
    ]  # fmt: skip


def entry_of(head: Head) -> stored.StoredPredictions:
    return stored.StoredPredictions(MemberId("m", "m", 0, "0"), cast(Partition, None), head)
