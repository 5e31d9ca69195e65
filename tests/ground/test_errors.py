"""Errors are built-in ones too, and messages name a few and count the rest."""

import pytest

from ensemble.errors import counted


@pytest.mark.parametrize(("count", "text"), [(0, "0 keys"), (1, "1 key"), (2, "2 keys")])
def test_a_count_agrees_with_its_noun(count: int, text: str) -> None:
    assert counted(count, "key") == text
