"""The ledger has one line for each submission that was published, and its public score."""

import csv
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from toys import ensemble

from ensemble.api import predict
from ensemble.api.vote import vote
from ensemble.errors import UsageError
from ensemble.files.atomic import sha256_file
from ensemble.recipe.resolve import resolve
from ensemble.recipe.settings import Settings
from ensemble.records import Voting
from ensemble.submission import ledger
from ensemble.submission.folder import claim
from ensemble.submission.ledger import Published, note, record_public
from ensemble.voting.decision import Decision
from ensemble.voting.weights import Weights

SEEN = {"nested": 0.93, "apparent": 0.95, "uniform": 0.92, "verdict": "gain"}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(path: str = "ledger.csv") -> list[dict[str, str]]:
    with Path(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def noted(folder: str = "first", sha: str = "ab", **recipe: Any) -> None:
    note(
        Path(folder),
        resolve(Settings(members=(), images=(), **recipe)),
        Published(["ant"], 12, 0, sha),
    )


def weighed(voting: Voting = "soft", **more: Any) -> dict[str, str]:
    """The line of a run whose weights carried this evidence."""
    weights = Weights({"ant": 0.4, "bee": 0.6}, metric="f1_macro", **more)
    noted(voting=voting, weights=weights)
    return lines()[0]


def test_a_run_and_a_vote_get_a_line_beside_their_folders(
    members: list[Path], images: Path
) -> None:
    run = predict.run(members, images, out="sub/first", tta="flip", device="cpu")
    vote(run.folder, voting="hard", out="sub/second")
    first, second = lines("sub/ledger.csv")
    assert (first["run"], first["families"], first["tta"]) == ("first", "ant x2, bee x2", "flip")
    assert (second["run"], second["voting"], second["weights"]) == ("second", "hard", "uniform")
    assert (first["rows"], first["quarantined"], first["public"]) == ("12", "0", "")
    assert first["submission_sha256"] == sha256_file(Path("sub/first/submission.csv"))
    assert first["when"].endswith("+00:00")


def test_the_same_run_again_keeps_its_line_and_its_public_score(
    members: list[Path], images: Path
) -> None:
    for _ in range(2):
        predict.run(members, images, out="first", device="cpu")
        record_public(Path("first"), 0.8)
    assert [(line["run"], line["public"]) for line in lines()] == [("first", "0.8")]


def test_another_submission_in_the_same_folder_gets_a_line_of_its_own() -> None:
    noted(sha="ab")
    noted(sha="cd")
    assert [line["submission_sha256"] for line in lines()] == ["ab", "cd"]


def test_columns_that_the_user_added_are_kept() -> None:
    noted()
    text = Path("ledger.csv").read_text().splitlines()
    Path("ledger.csv").write_text(f"{text[0]},why\n{text[1]},a try\n")
    noted(sha="cd")
    noted(sha="ab")
    assert [line["why"] for line in lines()] == ["", "a try"]


@pytest.mark.parametrize(
    ("saves", "told", "folder"),
    [
        ({}, "", ""),
        ({"early_exit": "lossless"}, "lossless", "-exit-lossless"),
        ({"early_exit": "0.5%"}, "0.5%", "-exit-0.5percent"),
        ({"evals_per_image": 6.0}, "6 evaluations", "-exit-6-evaluations"),
        ({"time_budget": "2h30m"}, "2h30m", "-exit-2h30m"),
        ({"early_exit": "1%", "time_budget": "2h 30m"}, "1%, 2h 30m", "-exit-1percent-2h-30m"),
    ],
)
def test_a_line_and_a_folder_say_what_ended_images_early(
    saves: dict[str, Any], told: str, folder: str
) -> None:
    noted(**saves)
    assert lines()[0]["early_exit"] == told
    named = claim(resolve(Settings(members=(), images=(), tta="hflip", **saves))).folder.name
    assert re.fullmatch(r"\d{8}-\d{6}-hflip-soft" + re.escape(folder), named)


def test_a_ledger_from_before_early_exits_is_given_the_column() -> None:
    noted(sha="ab")
    with Path("ledger.csv").open(newline="") as stream:
        rows = [[*row[:6], *row[7:], "mine"] for row in csv.reader(stream)]
    with Path("ledger.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    noted("second", early_exit="lossless")
    assert list(lines()[0])[:-1] == list(ledger.COLUMNS)
    assert [line["early_exit"] for line in lines()] == ["", "lossless"]
    assert [line["mine"] for line in lines()] == ["mine", ""]
    assert lines()[0]["submission_sha256"] == "ab"


@pytest.mark.parametrize(
    ("evidence", "kind", "score"),
    [
        (SEEN, "nested", "0.93"),
        ({**SEEN, "verdict": "no evidence"}, "uniform", "0.92"),
        ({**SEEN, "nested": None}, "apparent", "0.95"),
        ({**SEEN, "corrected": 0.925, "written": "linear"}, "corrected", "0.925"),
        ({**SEEN, "corrected": 0.925, "written": "mean"}, "uniform", "0.92"),
        ({**SEEN, "nested": None, "written": "mean"}, "uniform", "0.92"),
        ({}, "", ""),
    ],
)
def test_the_out_of_fold_score_says_of_which_kind_it_is(
    evidence: dict[str, object], kind: str, score: str
) -> None:
    line = weighed(evidence=evidence)
    assert (line["metric"], line["oof_kind"], line["oof"]) == ("f1_macro", kind, score)


def test_a_hard_vote_carries_no_score_of_a_soft_one() -> None:
    assert weighed("hard", evidence=SEEN)["oof"] == ""


def test_weights_are_told_in_words() -> None:
    assert weighed()["weights"] == "ant=0.4,bee=0.6"
    Path("ledger.csv").unlink()
    line = weighed(pool="log-linear", temperature=0.9, decision=Decision(0.25, (0.5, 0.5)))
    assert line["weights"] == "log-linear ant=0.4,bee=0.6 T=0.9 prior^-0.25"


def test_runs_that_end_at_once_lose_no_line() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: noted(f"run{n}"), range(40)))
    assert {line["run"] for line in lines()} == {f"run{n}" for n in range(40)}


def test_what_a_killed_write_left_is_cleared_away_by_the_next() -> None:
    orphan, other = Path(".tmp-ledger.csv-x1"), Path(".tmp-notes.csv-x1")
    for path in (orphan, other):
        path.touch()
    noted("first")
    assert (orphan.exists(), other.exists()) == (False, True)


def test_a_ledger_that_is_none_is_left_alone_and_the_submission_stands(
    members: list[Path], images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("ledger.csv").write_text("mine\n1\n")
    asked = ["--members", members[0].parent, "--images", images, "--device", "cpu"]
    assert ensemble("run", *asked, "--out", "first") == 0
    assert "the ledger has no line of it" in capsys.readouterr().err
    assert Path("ledger.csv").read_text() == "mine\n1\n"
    assert Path("first/_SUCCESS").exists()


def published(folder: str = "first", text: str = "id,label\na,cat\n") -> Path:
    """A folder with a submission, and its line."""
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "submission.csv").write_text(text)
    noted(folder, sha256_file(Path(folder, "submission.csv")))
    return Path(folder)


def test_a_public_score_goes_to_the_line_of_the_submission_that_is_there() -> None:
    published("other")
    published(text="id,label\na,dog\n")
    run = published()
    assert record_public(run, 0.5)["public"] == ""
    assert record_public(run, 0.812)["public"] == "0.5"
    assert [line["public"] for line in lines()] == ["", "", "0.812"]


@pytest.mark.parametrize("public", [float("nan"), float("inf")])
def test_a_public_score_that_is_not_finite_is_refused(public: float) -> None:
    with pytest.raises(UsageError, match="finite"):
        record_public(published(), public)
    assert lines()[0]["public"] == ""


def test_a_run_that_is_not_in_the_ledger_is_refused() -> None:
    run = published()
    (run / "submission.csv").write_text("id,label\na,eel\n")
    with pytest.raises(UsageError, match=r"no line of first with this submission\.csv"):
        record_public(run, 0.5)
    with pytest.raises(UsageError, match="not the folder of a published run"):
        record_public(Path("nowhere"), 0.5)


def test_the_command_records_a_public_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert ensemble("score", "--public", "0.812", published()) == 0
    said = capsys.readouterr()
    assert said.out == f"{Path.cwd() / ledger.LEDGER}\n"
    assert "public score 0.812" in said.err
    assert lines()[0]["public"] == "0.812"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--public", "0.8", "first", "labels.csv"], "leave out LABELS"),
        (["--public", "0.8", "first", "--json"], "leave out --json"),
        (["--public", "nan", "first"], "finite"),
        (["--public", "much", "first"], "not a valid float"),
        (["first"], "LABELS is missing"),
    ],
)
def test_mixtures_of_the_two_forms_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    published()
    assert ensemble("score", *arguments) == 2
    assert message in capsys.readouterr().err
