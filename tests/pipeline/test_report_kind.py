"""What a report is of is told by the file."""

import json
from pathlib import Path

import pytest

from ensemble.errors import UsageError
from ensemble.pipeline.report_kind import Kind, kind_of


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/run.json").write_text("{}")
    Path("run/submission.csv").write_text("id,label\na,x\n")
    Path("bare").mkdir()
    Path("bare/submission.csv").write_text("id,label\na,x\n")
    Path("own.csv").write_text("id,label\na,x\n")
    Path("crops.csv").write_text("id,left,top,right,bottom\na,0,0,1,1\n")
    Path("w.json").write_text(json.dumps({"weights": {"a": 1}}))
    Path("p.json").write_text(json.dumps({"weights": {}, "frontier": []}))
    Path("oof.parquet").write_bytes(b"")
    Path("odd.json").write_text("[]")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("run", Kind.RUN), ("run/run.json", Kind.RUN), ("run/submission.csv", Kind.RUN),
     ("bare", Kind.SUBMISSION), ("own.csv", Kind.SUBMISSION), ("crops.csv", Kind.CROPS),
     ("w.json", Kind.WEIGHTS), ("p.json", Kind.POLICY), ("oof.parquet", Kind.PREDICTIONS)],
)  # fmt: skip
def test_each_file_is_told(path: str, kind: Kind) -> None:
    found, place = kind_of(Path(path))
    assert found == kind
    assert kind != Kind.RUN or place == Path("run")


@pytest.mark.parametrize("path", ["nothing.csv", "odd.json", "."])
def test_what_is_none_of_these_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=r"no such file|expected a weights|not the folder"):
        kind_of(Path(path))
