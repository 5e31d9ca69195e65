"""A number of an earlier run is found again, or is not there."""

from pathlib import Path

import pytest

from ensemble.files.atomic import publish_json
from ensemble.inference.remembered import remembered


def test_what_was_published_is_remembered(tmp_path: Path) -> None:
    publish_json(tmp_path / "it.json", {"times": 1.25, "batch": 8, "member": "ant"})
    found = [remembered(tmp_path / "it.json", name) for name in ("times", "batch")]
    assert found == [1.25, 8]


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "{}", '{"times": null}', '{"times": "x"}'])
def test_what_cannot_be_read_is_not_there(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "it.json").write_text(text)
    assert remembered(tmp_path / "it.json", "times") is None
