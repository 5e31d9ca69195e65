"""Trackers: a dead one changes nothing; each real one is read back by its own reader (slow)."""

import json
import os
import shutil
import site
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_trackers import fake_tensorboard, told
from toys import ensemble, save_images, save_member, toy_card, toy_model
from views_apart import apart, labels

from ensemble.predictions.views_file import save
from ensemble.recipe.track import PACKAGES

__all__ = ["fake_tensorboard"]

ROOT = Path(__file__).parents[2]
TRACK = ("--track", "tensorboard=kept")


def run(folder: Path, *flags: str | Path) -> tuple[int, dict[str, bytes], dict[str, Any]]:
    """A run into a fresh folder and store: its exit code, its bytes, its record without times."""
    shutil.rmtree(folder, ignore_errors=True)
    code = ensemble("run", "--members", "folds", "--images", "images", "--device", "cpu",
                    "--out", folder, "--store", "kept-predictions", *flags)  # fmt: skip
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    record = json.loads(files.pop("run.json"))
    return code, files, {key: value for key, value in record.items() if key != "seconds"}


@pytest.mark.usefixtures("fake_tensorboard", "members")
@pytest.mark.parametrize(
    ("fault", "damaged"),
    [("", False), ("raise open", False), ("crash close", False), ("quit import", True)],
)
def test_a_tracker_changes_neither_exit_code_nor_bytes_dead_or_alive(
    images: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    fault: str, damaged: bool,
) -> None:  # fmt: skip
    if damaged:
        (images / "img3.png").write_bytes((images / "img3.png").read_bytes()[:200])
    run(Path("first"))  # so that neither of the two computes anything
    capfd.readouterr()
    plain = run(Path("out"))
    said = capfd.readouterr().out
    monkeypatch.setenv("FAULT", fault)
    assert run(Path("out"), *TRACK) == plain
    assert plain[0] == (3 if damaged else 0)
    heard = capfd.readouterr()
    assert heard.out == said
    assert ("tensorboard has not recorded it" if fault else "has recorded it") in heard.err


@pytest.mark.usefixtures("members", "images")
def test_a_tracker_that_is_not_installed_is_said_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = run(Path("out"))
    monkeypatch.setitem(PACKAGES, "mlflow", "no_such_package")
    assert run(Path("out"), "--track", "mlflow")[:2] == plain[:2]
    heard = capfd.readouterr().err
    assert heard.count("pip install 'ensemble-vote[mlflow]'") == 1
    assert heard.index("pip install 'ensemble-vote[mlflow]'") < heard.rindex("12 predicted")


@pytest.mark.usefixtures("fake_tensorboard", "members", "images")
def test_the_environment_and_the_recipe_file_ask_for_trackers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ensemble.toml").write_text('track = "tensorboard=kept"\n')
    run(Path("file"))
    monkeypatch.setenv("ENSEMBLE_TRACK", "tensorboard=other")
    run(Path("variable"))
    run(Path("flag"), "--track", "off")
    opened = [each[1] for each in told(tmp_path) if each[0] == "open"]
    assert opened == ["kept/file", "other/variable"]


@pytest.mark.usefixtures("fake_tensorboard", "members", "images")
def test_a_vote_on_a_run_asks_for_its_own_trackers(tmp_path: Path) -> None:
    run(Path("out"), *TRACK)
    assert ensemble("vote", "out", "--voting", "hard", "--out", "again") == 0
    assert ensemble("vote", "out", "--voting", "hard", "--out", "third", *TRACK) == 0
    voted = [each for each in told(tmp_path) if each[:2] == ["setting", "voting"]]
    assert voted == [["setting", "voting", "soft"], ["setting", "voting", "hard"]]


@pytest.mark.usefixtures("fake_tensorboard")
def test_weights_a_policy_and_scores_are_recorded_with_their_pictures(tmp_path: Path) -> None:
    save(Path("views.parquet"), [apart({"ant": {"plain": 1.2, "hflip": 1.2}})])
    labels()
    assert ensemble("choose", "--oof", "views.parquet", "--labels", "labels.csv", *TRACK) == 0
    assert ensemble("score", "labels.csv", "labels.csv", *TRACK) == 0
    shown = [each[1] for each in told(tmp_path) if each[0] == "picture"]
    assert shown == ["frontier", "confusion"]
    scores = {each[1] for each in told(tmp_path) if each[0] == "score"}
    assert {"evaluations", "frontier/0/score", "accuracy", "accuracy/low"} <= scores


# ---- the real packages, in an environment of their own


READ_MLFLOW = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient("sqlite:///mlflow.db")
experiment = client.get_experiment_by_name("ensemble")
runs = client.search_runs([experiment.experiment_id])
print(json.dumps([
    {"name": run.info.run_name, "status": run.info.status, "settings": run.data.params,
     "scores": run.data.metrics,
     "pictures": [each.path for each in client.list_artifacts(run.info.run_id)]}
    for run in runs
]))
"""

READ_TENSORBOARD = """
import json, sys
from pathlib import Path
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = []
for folder in sorted(Path("runs").iterdir()):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
             for tag in events.Tags()["tensors"]}
    scores = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    found.append({"name": folder.name, "settings": texts, "scores": scores,
                  "pictures": events.Tags()["images"]})
print(json.dumps(found))
"""

READ_WANDB = """
import json, subprocess, sys
from pathlib import Path
found = []
for path in sorted(Path("wandb").glob("offline-run-*/*.wandb")):
    args = [Path(sys.executable).with_name("wandb"), "leet", "inspect", "--json", path]
    done = subprocess.run(args, capture_output=True, text=True, check=True)
    one = {"settings": {}, "scores": {}, "pictures": [], "all": done.stdout}
    for record in map(json.loads, done.stdout.splitlines()):
        kind = record["type"]
        told = record[kind]
        if kind == "run":
            one |= {"name": told["display_name"], "project": told["project"], "host": told["host"]}
        elif kind == "files":
            one["pictures"] += [each["path"] for each in told["files"]]
        elif kind in ("config", "summary"):
            one["settings" if kind == "config" else "scores"] |= told["update"]
    found.append(one)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the extras of the trackers beside what is installed here."""
    folder = tmp_path_factory.mktemp("trackers") / "venv"
    uv = shutil.which("uv") or Path(sys.executable).with_name("uv")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [each for name in PACKAGES for each in extras["optional-dependencies"][name]]
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    made = folder / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--python", made, *wanted, "tensorboard"]
    subprocess.run(install, check=True)
    (place,) = folder.glob("lib/python*/site-packages")
    (place / "beside.pth").write_text("\n".join([*map(str, site.getsitepackages()), str(ROOT)]))
    return made


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with members, images and labels to choose and to score by."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("ant-f0", 0), ("bee-f0", 1)):
        card = toy_card(name)
        save_member(tmp_path / "folds", card, toy_model(card, seed=seed))
    save_images(tmp_path / "images", 4)
    save(Path("views.parquet"), [apart({"ant": {"plain": 1.2, "hflip": 1.2}})])
    labels()
    return tmp_path


def command(python: Path, *args: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command by that Python, in the working folder."""
    script = f"from ensemble.cli import main; main({[str(a) for a in args]!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [python, "-c", script], env=environment, capture_output=True, text=True, check=False
    )


def read(python: Path, script: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [python, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True
    )
    return list(json.loads(done.stdout.splitlines()[-1]))


def tracked(python: Path, tracker: str, **variables: str) -> list[str]:
    """Run, choose and score, each recorded; return what was said of it."""
    commands = (
        ("run", "--members", "folds", "--images", "images", "--device", "cpu", "--out", "first"),
        ("choose", "--oof", "views.parquet", "--labels", "labels.csv"),
        ("score", "labels.csv", "labels.csv"),
    )
    said = []
    for each in commands:
        done = command(python, *each, "--track", tracker, **variables)
        assert done.returncode == 0, done.stderr
        said += [line for line in done.stderr.splitlines() if f"{tracker} has" in line]
    return said


def check(found: Mapping[str, Mapping[str, Any]], picture: str = "{}") -> None:
    """Hold what was read back against what the commands wrote."""
    record = json.loads(Path("first/run.json").read_text())
    policy = json.loads(Path("policy.json").read_text())
    run, chosen, scored = found["first"], found["policy"], found["labels"]
    assert run["settings"]["submission_sha256"] == record["submission_sha256"]
    assert run["settings"]["tta"] == "none"
    assert run["scores"]["counts/predicted"] == 4
    assert chosen["settings"]["sha256"] == policy["sha256"]
    assert chosen["scores"]["evaluations"] == policy["evaluations"]
    assert scored["scores"]["accuracy"] == 1
    assert any("frontier" in each for each in chosen["pictures"])
    assert any("confusion" in each for each in scored["pictures"])
    told = json.dumps(found)
    assert str(Path.cwd()) not in told
    assert "img" not in told


@pytest.mark.slow
@pytest.mark.usefixtures("work")
def test_what_mlflow_has_can_be_read_back(python: Path) -> None:
    said = tracked(python, "mlflow")
    assert all("mlflow has recorded it: experiment ensemble" in line for line in said), said
    found = {each["name"]: each for each in read(python, READ_MLFLOW)}
    check(found)
    assert {each["status"] for each in found.values()} == {"FINISHED"}


@pytest.mark.slow
@pytest.mark.usefixtures("work")
def test_what_tensorboard_has_can_be_read_back(python: Path) -> None:
    tracked(python, "tensorboard")
    found = read(python, READ_TENSORBOARD)
    for each in found:
        each["settings"] = {
            tag.removesuffix("/text_summary"): v for tag, v in each["settings"].items()
        }
    check({each["name"]: each for each in found})


@pytest.mark.slow
def test_what_wandb_has_can_be_read_back_and_names_no_place(python: Path, work: Path) -> None:
    said = tracked(python, "wandb", WANDB_MODE="offline", WANDB_PROJECT="leaves")
    assert all("wandb sync sends it" in line for line in said), said
    found = read(python, READ_WANDB)
    check({each["name"]: each for each in found})
    assert {(each["project"], each["host"]) for each in found} == {("leaves", "not told")}
    written = [path.read_bytes() for path in work.glob("wandb/offline-run-*/*.wandb")]
    assert len(written) == 3
    assert not any(str(work).encode() in each for each in written)


@pytest.mark.slow
@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("tracker", "variables"),
    [
        ("mlflow=http://127.0.0.1:9", {}),
        ("mlflow=sqlite:////proc/none/mlflow.db", {}),
        ("wandb", {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "x" * 40}),
        ("wandb", {"WANDB_BASE_URL": "http://127.0.0.1:9", "NETRC": "/proc/none"}),
        ("tensorboard=/proc/none", {}),
    ],
)
def test_a_real_tracker_that_is_dead_changes_neither_exit_code_nor_bytes(
    python: Path, tracker: str, variables: dict[str, str]
) -> None:
    args = ("run", "--members", "folds", "--images", "images", "--device", "cpu", "--json")
    plain = command(python, *args, "--out", "plain")
    done = command(python, *args, "--out", "out", "--track", tracker, **variables)
    assert done.returncode == plain.returncode == 0
    name = tracker.partition("=")[0]
    assert f"{name} has not recorded it, and nothing else is amiss" in done.stderr
    for file in ("submission.csv", "predictions.parquet"):
        assert Path("out", file).read_bytes() == Path("plain", file).read_bytes()
    first, second = (json.loads(each.stdout) for each in (plain, done))
    apart = {"seconds", "recipe", "evaluations", "batch_sizes"}  # the first of them computed
    assert {k: v for k, v in first.items() if k not in apart} == {
        k: v for k, v in second.items() if k not in apart
    }
