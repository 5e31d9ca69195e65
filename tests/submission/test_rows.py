"""What a vote comes to: a row for each input, also for one that is quarantined."""

from pathlib import Path

import pytest
from runs import damaged, submit


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_fill_publishes_a_label_for_a_quarantined_image(members: list[Path], images: Path) -> None:
    result = submit(members, damaged(images), fill="dog")
    assert "img3,dog\n" in Path("out/submission.csv").read_text()
    assert (result.path, Path("out/_SUCCESS").exists()) == (Path("out/submission.csv"), True)


def test_fill_publishes_a_number_for_every_probability(members: list[Path], images: Path) -> None:
    submit(members, damaged(images), fill=0, output="probs")
    assert "img3,0,0,0\n" in Path("out/submission.csv").read_text()
