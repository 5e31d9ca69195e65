"""A run with its views apart: the labels of a run that merges in its graphs, a key a view."""

import json
from pathlib import Path

import numpy as np
import pytest
from toys import MakeMember, ensemble

import ensemble as package
from ensemble.records import Merge


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def submit(members: list[Path], images: Path, out: str, **more: object) -> package.Submission:
    given = {"tta": "flip", "device": "cpu", "output": "probs", "progress": None, **more}
    return package.run(members, images, out=out, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("merge", ["mean", "gmean", "max"])
def test_views_apart_give_what_graphs_with_all_of_them_give(
    members: list[Path], images: Path, merge: Merge
) -> None:
    whole = submit(members, images, "whole", merge=merge)
    apart = submit(members, images, "apart", merge=merge, keep_views=True)
    assert (apart.ids, apart.labels) == (whole.ids, whole.labels)
    np.testing.assert_allclose(apart.probs, whole.probs, rtol=2e-6, atol=3e-7)


def test_a_view_that_was_kept_is_there_for_a_run_with_it_alone(
    members: list[Path], images: Path
) -> None:
    submit(members, images, "apart", keep_views=True)
    alone = submit(members, images, "alone", tta="none")
    assert alone.record["evaluations"] == 0


def test_a_run_with_views_apart_is_voted_on_again(members: list[Path], images: Path) -> None:
    apart = submit(members, images, "apart", keep_views=True)
    voted = package.vote("apart", out="voted", progress=None)
    np.testing.assert_array_equal(voted.probs, apart.probs)
    keys = [each["key"] for each in json.loads(Path("apart/run.json").read_text())["members"]]
    assert len(set(keys)) == len(keys) == 4 * len(members)


def test_the_views_of_a_run_are_told_as_one_policy(members: list[Path], images: Path) -> None:
    submit(members, images, "apart", keep_views=True, weights={"ant": 1.0, "bee": 2.0})
    line = Path("ledger.csv").read_text().splitlines()[1]
    assert "ant x2, bee x2" in line


def test_a_member_whose_every_view_gave_nan_is_dropped_once(
    members: list[Path], images: Path, make_member: MakeMember, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnx
    from onnx import numpy_helper

    path = make_member("cow-f0")
    model = onnx.load(path)
    matrix = np.full((192, 3), np.nan, np.float32)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(matrix, "matrix"))
    onnx.save(model, path)
    flags = ("--images", str(images), "--device", "cpu", "--tta", "hflip", "--keep-views")
    assert ensemble("run", "--members", str(path), *flags, "--on-nan", "drop-member") == 4
    assert "every member gave NaN: cow-f0" in " ".join(capsys.readouterr().err.split())
    assert ensemble("run", "--members", *map(str, members), str(path), *flags, "--on-nan",
                    "drop-member", "--out", "rest") == 0  # fmt: skip
    record = json.loads(Path("rest/run.json").read_text())
    assert record["dropped_members"] == ["cow-f0"]
    assert {each["family"] for each in record["members"]} == {"ant", "bee"}


@pytest.mark.parametrize("more", [("--workers", "2"), ("--executor", "ray")])
def test_views_apart_are_refused_with_workers(
    members: list[Path], images: Path, more: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--images", str(images), "--device", "cpu", "--tta", "hflip", "--keep-views", *more)
    assert ensemble("run", "--members", *map(str, members), *flags) == 2
    assert "leave out --workers" in " ".join(capsys.readouterr().err.split())
    assert not Path(".ensemble").exists()
