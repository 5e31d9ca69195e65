"""A policy chosen, written, drawn, and run: the same predictions as its views and weights give."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blends import FOLDS, memory, recipe
from toys import ensemble
from views_apart import apart, order

import ensemble as package
from ensemble.errors import UsageError
from ensemble.pipeline import choose as pipeline
from ensemble.pipeline.choose import choose_policy
from ensemble.pipeline.oof_views import predict_views
from ensemble.progress import Quiet
from ensemble.recipe.policy import Policy
from ensemble.tuning.choose import ChooseOrder

VIEWS = {"plain": 1.2, "hflip": 1.2}
RUN = ("run", "--members", "folds", "--images", "train", "--device", "cpu", "--policy",
       "policy.json")  # fmt: skip


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def chosen(train: None) -> Policy:
    """A policy for six members over sixty images, in policy.json."""
    members = [memory(f, k, noise=0.3) for f in ("ant", "bee") for k in range(FOLDS)]
    kept = predict_views(replace(recipe(members), tta="hflip", threads=1), Path("train.csv"))
    asked = ChooseOrder(Path("train.csv"), "log_loss")
    return choose_policy(kept, asked, out=Path("policy.json"))


def test_a_policy_is_written_with_its_picture(small: None) -> None:
    policy = choose_policy(apart({"ant": VIEWS}), order(), out=Path("policy.json"))
    assert Policy.load("policy.json") == policy
    assert Path("frontier.png").stat().st_size > 1000


def test_without_matplotlib_the_numbers_are_written(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("frontier.png").write_text("of another policy")
    monkeypatch.setitem(__import__("sys").modules, "ensemble.reports.frontier_figure", None)
    choose_policy(apart({"ant": VIEWS}), order(), Quiet(), out=Path("policy.json"))
    assert Path("policy.json").exists()
    assert not Path("frontier.png").exists()


def test_the_picture_does_not_replace_the_policy(small: None) -> None:
    with pytest.raises(UsageError, match="its picture would replace it"):
        choose_policy(apart({"ant": VIEWS}), order(), out=Path(pipeline.PICTURE))


def test_a_policy_runs_as_its_views_weights_and_members_would(chosen: Policy) -> None:
    by_policy = package.run("folds", "train", policy="policy.json", device="cpu", progress=None,
                            output="probs", out="one")  # fmt: skip
    names = [f"folds/{family}-f{fold}.onnx"
             for family, own in chosen.families.items() for fold in own.members]  # fmt: skip
    by_hand = package.run(names, "train", tta=chosen.tta, weights=chosen.weights, device="cpu",
                          output="probs", progress=None, out="two", store="other")  # fmt: skip
    assert by_policy.probs is not None
    assert by_hand.probs is not None
    np.testing.assert_array_equal(by_policy.probs, by_hand.probs)
    assert by_policy.record["predicted_seconds"] > 0


def test_a_policy_runs_with_an_early_exit(chosen: Policy) -> None:
    assert ensemble(*RUN, "--early-exit", "20%", "--out", "exit") == 0
    assert json.loads(Path("exit/run.json").read_text())["early_exit"]


def test_a_run_of_a_policy_is_voted_on_again(chosen: Policy) -> None:
    assert ensemble(*RUN, "--out", "one") == 0
    assert ensemble("vote", "one", "--out", "two") == 0
    assert Path("two/submission.csv").read_bytes() == Path("one/submission.csv").read_bytes()


def test_a_run_of_other_members_is_refused(
    chosen: Policy, capsys: pytest.CaptureFixture[str]
) -> None:
    memory("ant", 0, noise=0.2)
    assert ensemble(*RUN) == 2
    assert "chosen among other members than ant-f0" in " ".join(capsys.readouterr().err.split())


def test_a_run_of_an_edited_policy_is_refused(
    chosen: Policy, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(Path("policy.json").read_text())
    family = next(iter(record["families"].values()))
    family["views"] = ["vflip"]
    Path("policy.json").write_text(json.dumps(record))
    assert ensemble(*RUN) == 2
    assert "it was edited" in " ".join(capsys.readouterr().err.split())


def test_a_run_of_other_views_is_refused(
    chosen: Policy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensemble(*RUN, "--tta", "vflip") == 2
    assert "--tta: the policy has decided it already" in " ".join(capsys.readouterr().err.split())


def test_a_run_of_other_classes_is_refused(
    chosen: Policy, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(chosen, weights=replace(chosen.weights, classes=("eel", "dog", "cat")))
    other.save("policy.json")
    assert ensemble(*RUN) == 2
    assert "tuned for the classes" in " ".join(capsys.readouterr().err.split())
