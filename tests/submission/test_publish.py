"""What a run writes and gives back, and what it never takes away."""

import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from runs import submit
from toys import CLASSES, ensemble

from ensemble.errors import StoreError
from ensemble.files.spool import Spool
from ensemble.runtime import wheels
from ensemble.submission import publish


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_folder_holds_what_it_should(members: list[Path], images: Path) -> None:
    submit(members, images)
    names = {p.name for p in Path("out").iterdir()}
    assert names == {"submission.csv", "predictions.parquet", "run.json", "_SUCCESS"}
    record = json.loads(Path("out/run.json").read_text())
    assert record["counts"] == {"inputs": 12, "predicted": 12, "quarantined": 0}
    assert record["provider"] == "CPUExecutionProvider"
    table = pq.read_table("out/predictions.parquet")
    assert table.column_names == ["id", "label", "probs", "family:ant", "family:bee"]


def test_the_frame_has_a_row_an_image(members: list[Path], images: Path) -> None:
    frame = submit(members, images).frame
    assert list(frame.columns) == ["id", "label", *CLASSES]
    assert list(frame["id"]) == [f"img{n}" for n in range(1, 13)]


def test_nothing_temporary_is_left(members: list[Path], images: Path) -> None:
    submit(members, images)
    assert not list(Path().rglob(".tmp-*"))


def test_a_run_that_was_cut_off_while_it_wrote_goes_on(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(members, images).folder / "submission.csv"
    expected = first.read_bytes()

    def cut(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "publish", cut)
        with pytest.raises(StoreError):
            submit(members, images)
    assert not Path("out/_SUCCESS").exists()
    assert first.read_bytes() == expected
    assert submit(members, images).path == first
    assert Path("out/_SUCCESS").exists()


def test_the_mark_of_success_holds_counts_hash_and_versions(
    members: list[Path], images: Path
) -> None:
    submit(members, images)
    mark = json.loads(Path("out/_SUCCESS").read_text())
    data = Path("out/submission.csv").read_bytes()
    assert mark["counts"] == {"inputs": 12, "predicted": 12, "quarantined": 0}
    assert mark["submission_sha256"] == hashlib.sha256(data).hexdigest()
    assert "numpy" in mark["versions"]


def test_a_finished_submission_is_not_taken_away_by_a_bad_image(
    members: list[Path], images: Path
) -> None:
    finished = submit(members, images).folder / "submission.csv"
    before = finished.read_bytes()
    (images / "new.png").write_bytes(b"")
    again = submit(members, images)
    assert again.path is None
    assert [q.id for q in again.quarantined] == ["new"]
    assert finished.read_bytes() == before
    assert Path("out/_SUCCESS").exists()
    assert "new" in Path("out/quarantine.csv").read_text()


def test_the_record_names_what_made_the_numbers(members: list[Path], images: Path) -> None:
    versions = submit(members, images).record["versions"]
    assert {"ensemble-vote", "python", "numpy"} <= set(versions)  # type: ignore[arg-type]
    assert any(name.startswith("onnxruntime") for name in versions)  # type: ignore[attr-defined]


@pytest.mark.parametrize("provider", ["OpenVINO", "CPUExecutionProvider", None])
def test_openvino_is_named_where_it_computed(
    monkeypatch: pytest.MonkeyPatch, provider: str | None
) -> None:
    monkeypatch.setattr(wheels, "version_of", lambda name: "1.2")
    versions = publish._versions({"provider": provider})
    assert ("openvino" in versions) == (provider == "OpenVINO")


def test_nothing_of_the_environment_is_written(
    members: list[Path], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2hunter2")
    submit(members, images)
    written = [p for folder in ("out", ".ensemble") for p in Path(folder).rglob("*") if p.is_file()]
    assert written
    assert not any(b"hunter2" in p.read_bytes() for p in written)


def test_ids_never_become_file_names(members: list[Path], images: Path, tmp_path: Path) -> None:
    lines = ["id,path", "../../evil,images/img1.png", "/tmp/evil,images/img2.png"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    before = set(tmp_path.rglob("*"))
    result = submit(members, tmp_path / "list.csv", "runs/out")
    assert set(result.ids) == {"../../evil", "/tmp/evil"}
    new = set(tmp_path.rglob("*")) - before
    assert {p.relative_to(tmp_path).parts[0] for p in new} == {"runs", ".ensemble"}
    assert not list(tmp_path.parent.rglob("*evil*"))


def test_the_same_command_over_other_images_says_that_it_replaces_the_submission(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("run", "--members", members[0], "--images", images, "--out", "out")
    for _ in range(2):
        assert ensemble(*args) == 0
        assert "the images are others" not in capsys.readouterr().err
    next(images.iterdir()).unlink()
    assert ensemble(*args) == 0
    assert "the images are others than when out was written" in capsys.readouterr().err


def test_a_submission_says_where_it_lies_and_holds_its_record(
    members: list[Path], images: Path
) -> None:
    result = submit(members[:1], images)
    assert repr(result) == "<Submission out/submission.csv: 12 rows, 0 quarantined>"
    written = json.loads(Path("out/run.json").read_text())
    assert json.loads(json.dumps(result.record)) == written


def test_rows_come_back_in_the_order_of_the_file(members: list[Path], images: Path) -> None:
    rows = "".join(f"img{n},cat\n" for n in range(12, 0, -1))
    Path("s.csv").write_text("id,label\n" + rows)
    result = submit(members[:1], images, sample="s.csv")
    lines = Path("out/submission.csv").read_text().splitlines()[1:]
    assert lines == [f"{i},{c}" for i, c in zip(result.ids, result.labels, strict=True)]
