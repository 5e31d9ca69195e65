"""Short versions of benchmarks/campaigns; docs/reliability.md has the long ones."""

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from campaigns import archives, images, members, soak, tables
from campaigns.trials import Outcome, run_trials


def test_mutated_images_are_pixels_or_quarantined() -> None:
    tally = run_trials(lambda n: images.trial(1, n), 500)
    assert (tally.trials, tally.faults) == (500, [])
    assert {"jpeg", "png", "gif", "tiff", "webp", "bmp"} <= set(tally.counts)


def test_seeds_of_images_are_clean_but_for_floats() -> None:
    good = [name for name, data in images.seeds().items() if decodes(data)]
    assert set(images.seeds()) - set(good) == {"tiff float"}


def decodes(data: bytes) -> bool:
    try:
        return images.decode(data, images.POLICIES[0]).image.mode == "RGB"
    except images.ImageError:
        return False


def test_mutated_members_are_member_errors_or_clean() -> None:
    tally = run_trials(members.capped(lambda n: members.trial(1, n)), 150)
    assert (tally.trials, tally.faults) == (150, [])


def test_known_attacks_are_member_errors() -> None:
    names = list(members.ATTACKS)
    tally = run_trials(members.capped(lambda n: members.attack(names[n])), len(names), workers=1)
    assert (tally.trials, tally.faults) == (len(names), [])


def test_the_undamaged_member_of_the_campaign_loads(tmp_path: Path) -> None:
    (tmp_path / "toy-f0.onnx").write_bytes(members.clean())
    assert members.started("clean", tmp_path).result == "clean load"


def test_the_watch_over_members_sees_what_is_opened_outside(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with members.watched(tmp_path / "folds") as seen:
        (tmp_path / "secret").read_text()
    assert seen == [str(tmp_path / "secret")]


def test_mutated_tables_give_exact_ids_or_usage_errors() -> None:
    tally = run_trials(lambda n: tables.trial(1, n), 300)
    tally.join(run_trials(lambda n: tables.packed_trial(1, n), 60))
    assert (tally.trials, tally.faults) == (360, [])


def test_mutated_archives_lose_no_row_and_give_no_wrong_one() -> None:
    tally = run_trials(lambda n: archives.trial(1, n), 300)
    assert (tally.trials, tally.faults) == (300, [])


@pytest.mark.slow
def test_five_thousand_mutated_archives_lose_no_row_and_give_no_wrong_one() -> None:
    tally = run_trials(lambda n: archives.trial(2, n), 5000)
    assert (tally.trials, tally.faults) == (5000, [])


@pytest.mark.parametrize("kind", archives.KINDS)
def test_whole_archives_of_the_campaign_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"mutant.{kind.split(maxsplit=1)[0]}"
    path.write_bytes(archives.seeds()[kind])
    assert archives.outcome(path, archives.Mutant(kind, b"")) == ("whole", "")


@pytest.mark.slow
def test_a_short_soak_is_complete_and_leaves_nothing_open(tmp_path: Path) -> None:
    found = soak.soak(tmp_path, 2000, 20, pause=0.01)
    assert found.complete
    assert found.rows == 2000
    last, second = soak.quarter(found.samples, 3), soak.quarter(found.samples, 1)
    assert last.threads <= second.threads
    assert last.descriptors <= second.descriptors + soak.FILES


@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_native_crash_is_counted_and_the_rest_goes_on(at: int) -> None:
    def crashing(number: int) -> Outcome:
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome("fine", "done", allowed=True)

    tally = run_trials(crashing, 7, workers=1)
    assert {name: dict(found) for name, found in tally.counts.items()} == {
        "fine": {"done": 6},
        "native": {"crash (exit -9)": 1},
    }
    assert [number for number, _ in tally.faults] == [at]
