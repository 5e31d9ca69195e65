"""Running and voting in Python: the arguments are the settings."""

from pathlib import Path

import pytest

from ensemble.api import predict
from ensemble.errors import UsageError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_python_votes_on_the_stored_predictions_of_members(
    members: list[Path], images: Path
) -> None:
    made = predict.run(members, images, tta="hflip", out="one", store="kept", device="cpu")
    again = predict.vote(members=members, images=images, tta="hflip", store="kept", out="two",
                     device="cpu")  # fmt: skip
    assert again.labels == made.labels
    assert again.record["evaluations"] == 0


@pytest.mark.parametrize("more", [{"run_folder": "one"}, {}])
def test_python_votes_on_one_thing(more: dict[str, str], members: list[Path]) -> None:
    with pytest.raises(UsageError, match="folder, predictions or members: one of them"):
        predict.vote(**more, members=members if more else None)  # type: ignore[arg-type]


def test_python_refuses_what_a_run_has_decided() -> None:
    with pytest.raises(UsageError, match="tta, device: only members leave it open"):
        predict.vote("one", tta="hflip", device="cpu")
