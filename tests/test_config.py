"""Amounts of memory."""

import pytest

from ensemble.config import bytes_of
from ensemble.errors import UsageError


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1), ("4096", 4096), ("2k", 2048), ("512M", 2**29), ("2G", 2**31), ("1.5GiB", 3 * 2**29),
     ("1TB", 2**40), (" 1G ", 2**30)],
)  # fmt: skip
def test_an_amount_of_memory_is_bytes_or_a_multiple_of_1024(text: str, amount: int) -> None:
    assert bytes_of(text) == amount


@pytest.mark.parametrize("text", ["", "0", "G", "-1G", "2X", "1e9", "two", "0.0001"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2G"):
        bytes_of(text)
