"""Shares and times are read as people write them, or refused."""

import pytest

from ensemble.amounts import bytes_of, seconds_of, share_of
from ensemble.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"), [("0.5%", 0.005), ("95 %", 0.95), ("0.25", 0.25), ("1e-3", 0.001)]
)
def test_a_share_is_in_percent_or_plain(text: str, value: float) -> None:
    assert share_of(text, "x") == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "100%", "1", "-1%", "nan", "", "%", "half"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="confidence"):
        share_of(text, "confidence")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h30m", 9000), ("90m", 5400), ("45s", 45), ("1h 1m 1s", 3661), ("0.5H", 1800)],
)
def test_a_time_has_units(text: str, seconds: float) -> None:
    assert seconds_of(text, "x") == seconds


@pytest.mark.parametrize("text", ["", "10", "2h30", "soon", "0s", "-1h", "h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="time_budget"):
        seconds_of(text, "time_budget")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1), ("4096", 4096), ("2k", 2048), ("512M", 2**29), ("2G", 2**31), ("1.5GiB", 3 * 2**29),
     ("1TB", 2**40), (" 1G ", 2**30)],
)  # fmt: skip
def test_an_amount_of_memory_is_bytes_or_a_multiple_of_1024(text: str, amount: int) -> None:
    assert bytes_of(text, "memory") == amount


@pytest.mark.parametrize("text", ["", "0", "G", "-1G", "2X", "1e9", "two", "0.0001"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2G"):
        bytes_of(text, "memory")
