"""TensorBoard's events, read back frame by frame as it reads them."""

import struct
from pathlib import Path

import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from ensemble.reports.trackers.tensorboard import TensorboardTracker


def events(folder: Path) -> list[Event]:
    """The events of a folder: each a length, its checksum, the event, its checksum."""
    (path,) = folder.glob("events.*")
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_what_is_recorded_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 3), "red").save("w.png")
    tracker = TensorboardTracker("", "first")
    tracker.settings({"tta": "flip"})
    tracker.scores({"weights/ant b": 0.25})
    tracker.picture("weights", Path("w.png"))
    assert tracker.close() == f"{Path('runs/first')}; tensorboard --logdir runs shows it"
    values = [value for event in events(Path("runs/first")) for value in event.summary.value]
    text, score, picture = values
    assert (text.tag, text.tensor.string_val) == ("tta/text_summary", [b"flip"])
    assert (score.tag, score.simple_value) == ("weights/ant_b", 0.25)
    assert (picture.tag, picture.image.height, picture.image.width) == ("weights", 3, 4)


def test_each_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    for _ in range(3):
        TensorboardTracker(str(tmp_path), "first").close()
    assert {path.name for path in tmp_path.iterdir()} == {"first", "first-2", "first-3"}
