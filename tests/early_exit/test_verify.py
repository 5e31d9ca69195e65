"""An early exit can be checked again: what was changed afterwards is found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
from exit_runs import COUNT, record, submit
from toys import ensemble

from ensemble.api.results import verify_exit
from ensemble.early_exit import run
from ensemble.early_exit.stopping.thresholds import Steady
from ensemble.errors import UsageError
from ensemble.files.atomic import sha256_file

pytestmark = pytest.mark.usefixtures("alike")


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
    monkeypatch.setattr(run, "pace_of", lambda *_, **__: Steady(0.5))
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
