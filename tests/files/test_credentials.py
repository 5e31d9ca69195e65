"""Where credentials are looked for."""

import os
from pathlib import Path

import pytest

from ensemble.files.credentials import REMEDIES, found_in, lacking


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without credentials, and an environment without."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_where_there_are_none_the_message_has_the_line(scheme: str) -> None:
    assert found_in(scheme) == ""
    assert REMEDIES[scheme] in lacking(f"{scheme}://bucket/x")


@pytest.mark.parametrize(
    ("scheme", "name"),
    [("s3", "AWS_ACCESS_KEY_ID"), ("s3", "AWS_PROFILE"), ("gs", "GOOGLE_APPLICATION_CREDENTIALS")],
)
def test_a_variable_tells_them(monkeypatch: pytest.MonkeyPatch, scheme: str, name: str) -> None:
    monkeypatch.setenv(name, "x")
    assert (found_in(scheme), lacking(f"{scheme}://b")) == (name, "")


@pytest.mark.parametrize(
    ("scheme", "place"),
    [("s3", ".aws/credentials"), ("gs", ".config/gcloud/application_default_credentials.json")],
)
def test_a_file_at_home_tells_them(tmp_path: Path, scheme: str, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert found_in(scheme) == str(tmp_path / place)


def test_a_file_elsewhere_is_told_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").touch()
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "mine"))
    assert found_in("s3") == str(tmp_path / "mine")
