"""Samples as competitions give them, voted on from predictions and scored again, by every form."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import ensemble
from ensemble.errors import ContractError, UsageError

IDS = ("ID_00a1", "ID_00b2", "ID_1_c")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def predicted(values: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Predictions of one family, a row an image."""
    return pd.DataFrame(values, pd.Index(IDS, name="id"), list(classes))


def voted(frame: pd.DataFrame, sample: str | pd.DataFrame, **more: object) -> pd.DataFrame:
    """What is written for a sample, as pandas reads it."""
    if isinstance(sample, str):
        Path("sample.csv").write_text(sample)
    given = "sample.csv" if isinstance(sample, str) else sample
    made = ensemble.vote(predictions={"ant": frame}, sample=given, out="out", **more)  # type: ignore[arg-type]
    assert made.path is not None
    return pd.read_csv(made.path, dtype=str, keep_default_na=False)


BLEEDS = ("any", "epidural", "subdural")


def test_a_row_for_each_image_and_label_with_a_mark_in_the_ids() -> None:
    """As RSNA Intracranial Hemorrhage: ID_<hash>_<label>,Label, multilabel."""
    values = np.array([[0.9, 0.2, 0.8], [0.1, 0.05, 0.02], [0.6, 0.7, 0.4]])
    keys = [f"{i}_{bleed}" for i in reversed(IDS) for bleed in reversed(BLEEDS)]
    sample = "ID,Label\n" + "".join(f"{key},0.5\n" for key in keys)
    frame = predicted(values, BLEEDS)
    found = voted(frame, sample, task="multilabel")
    assert found["ID"].tolist() == keys
    expected = [f"{frame.loc[key.rpartition('_')[0], key.rpartition('_')[2]]:.9g}" for key in keys]
    assert found["Label"].tolist() == expected
    truth = (frame > 0.5).astype(int).reset_index()
    scores = ensemble.score_submission("out/submission.csv", truth, task="multilabel")
    assert {line.metric: line.score for line in scores.lines}["map"] == 1.0


GRASS = ("Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "GDM_g", "Dry_Total_g")


def test_targets_that_add_up_with_another_mark_than_in_their_names() -> None:
    """As CSIRO Biomass: <image>__<target>,target, a regression whose targets add up."""
    values = np.array([[1, 2, 3, 5, 7], [0, 1, 2, 2, 3], [4, 0, 0, 3, 4.0]])
    sample = "sample_id,target\n" + "".join(f"{i}__{name},0.0\n" for i in IDS for name in GRASS)
    equations = {"GDM_g": "Dry_Green_g + Dry_Clover_g", "Dry_Total_g": "GDM_g + Dry_Dead_g"}
    more = {"task": "regression", "constraints": equations}
    found = voted(predicted(values, GRASS), sample, **more)
    clover, dead, green, gdm, total = found["target"].astype(float).to_numpy().reshape(3, 5).T
    np.testing.assert_allclose(gdm, green + clover, atol=1e-8)
    np.testing.assert_allclose(total, gdm + dead, atol=1e-8)
    np.testing.assert_allclose([c[1] for c in (clover, dead, green, gdm, total)], values[1])


def test_image_class_and_value_in_three_columns_as_a_file_or_a_frame() -> None:
    values = np.array([[0.5, 0.25, 0.25], [0.125, 0.5, 0.375], [0, 0, 1]])
    rows = [(i, name, "0") for name in "012" for i in IDS]
    frame = pd.DataFrame(rows, columns=["image_id", "class", "prob"])
    sample = frame.to_csv(index=False)
    found = voted(predicted(values, ("0", "1", "2")), sample)
    assert found["prob"].astype(float).tolist() == values.T.ravel().tolist()
    again = voted(predicted(values, ("0", "1", "2")), frame, id_col="image_id", force=True)
    pd.testing.assert_frame_equal(again, found)
    labels = {IDS[0]: "0", IDS[1]: "1", IDS[2]: "2"}
    scores = ensemble.score_submission("out/submission.csv", labels)
    assert {line.metric: line.score for line in scores.lines}["accuracy"] == 1.0


def test_five_labels_a_cell_the_best_first() -> None:
    """As Humpback Whale Identification: Image,Id, five labels of which the first counts most."""
    whales = tuple(f"w_{n}" for n in range(7))
    values = np.random.default_rng(0).dirichlet(np.ones(7), 3)
    rows = "".join(f"{i}.jpg,{' '.join(whales[:5])}\n" for i in IDS)
    found = voted(predicted(values, whales), f"Image,Id\n{rows}")
    best = [" ".join(whales[c] for c in np.argsort(-row)[:5]) for row in values]
    assert found["Id"].tolist() == best
    with pytest.raises(UsageError, match="a score takes one label a row"):
        ensemble.score_submission("out/submission.csv", dict.fromkeys(found["Image"], "w_0")
                                  | {f"{i}.jpg": w for i, w in zip(IDS, whales, strict=False)}
                                  | {f"x{w}": w for w in whales})  # fmt: skip


def test_the_labels_that_are_given_in_one_cell_are_read_back() -> None:
    """As Plant Pathology: image,labels, as many as there are."""
    spots = ("rust", "scab", "mildew")
    values = np.array([[0.9, 0.6, 0.1], [0.2, 0.1, 0.3], [0.4, 0.2, 0.8]])
    sample = "image,labels\n" + "".join(f"{i},rust\n" for i in IDS)
    found = voted(predicted(values, spots), sample, task="multilabel")
    assert found["labels"].tolist() == ["rust scab", "", "mildew"]
    truth = pd.DataFrame({"image": IDS, "rust": [1, 0, 0], "scab": [1, 0, 0], "mildew": [0, 0, 1]})
    scores = ensemble.score_submission(
        "out/submission.csv", truth, task="multilabel", id_col="image"
    )
    assert [(line.metric, line.score) for line in scores.lines] == [("f1", 1.0)]


def test_a_pair_that_is_missing_ends_it_and_one_twice_too() -> None:
    values = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    keys = [f"{i}/{name}" for i in IDS for name in ("x", "y")]
    lacking = "id,v\n" + "".join(f"{key},0.5\n" for key in keys[:-1])
    with pytest.raises(ContractError, match="1 are missing \\('y' of 'ID_1_c'\\)"):
        voted(predicted(values, ("x", "y")), lacking)
    doubled = "id,v\n" + "".join(f"{key},0.5\n" for key in [*keys, keys[0]])
    with pytest.raises(UsageError, match="line 8: 'x' of 'ID_00a1' stands in line 2 too"):
        voted(predicted(values, ("x", "y")), doubled)
