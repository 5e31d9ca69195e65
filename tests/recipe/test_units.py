"""Shares and times are read as people write them, or refused."""

import pytest

from ensemble.errors import UsageError
from ensemble.recipe.units import bytes_of, moment_of, percent_of, seconds_of, share_of


@pytest.mark.parametrize(
    ("text", "value"), [("0.5%", 0.005), ("95 %", 0.95), (" .25% ", 0.0025), ("1e-1%", 0.001)]
)
def test_a_share_is_in_percent(text: str, value: float) -> None:
    assert share_of(text, "x") == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "0%", "100%", "1", "-1%", "nan", "nan%", "", "%", "half"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="confidence"):
        share_of(text, "confidence")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("0.005", "0.5% or 0.005%"), ("0.05", "5% or 0.05%"), ("95", "95%"), ("1", "1%"),
     ("0,5%", "0.5%"), ("0.5%%", "0.5%"), ("0,5", "50% or 0.5%")],
)  # fmt: skip
def test_a_share_without_its_percent_sign_is_refused_with_what_it_may_mean(
    text: str, meant: str
) -> None:
    with pytest.raises(UsageError, match=f"did you mean {meant}\\?$"):
        share_of(text, "early_exit")


@pytest.mark.parametrize("text", ["0", "100", "250", "half", "nan", "-1"])
def test_what_is_no_share_either_way_has_no_suggestion(text: str) -> None:
    with pytest.raises(UsageError, match="such as 0.5%$"):
        share_of(text, "early_exit")


@pytest.mark.parametrize(("text", "value"), [("0%", 0), ("0.5%", 0.005), ("100%", 1)])
def test_a_percentage_may_be_nothing_or_all(text: str, value: float) -> None:
    assert percent_of(text, "x") == value


@pytest.mark.parametrize("text", ["0.5", "-1%", "101%", "nan%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="x '.*': expected a share"):
        percent_of(text, "x")


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


def test_a_time_without_a_unit_is_refused_with_what_it_may_mean() -> None:
    with pytest.raises(UsageError, match="did you mean 30s or 30m"):
        seconds_of("30", "time_budget")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1", 1), ("4096", 4096), ("2k", 2048), ("512M", 2**29), ("2G", 2**31), ("1.5GiB", 3 * 2**29),
     ("1TB", 2**40), (" 1G ", 2**30), ("2 G", 2**31)],
)  # fmt: skip
def test_an_amount_of_memory_is_bytes_or_a_multiple_of_1024(text: str, amount: int) -> None:
    assert bytes_of(text, "memory") == amount


@pytest.mark.parametrize("text", ["", "0", "G", "-1G", "2X", "1e9", "two", "0.0001"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 2G"):
        bytes_of(text, "memory")


@pytest.mark.parametrize(
    ("text", "seconds"), [("5ms", 5e-3), ("800us", 8e-4), ("0.2s", 0.2), (" 1.5 MS ", 1.5e-3)]
)
def test_a_short_time_is_read(text: str, seconds: float) -> None:
    assert moment_of(text, "--budget") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "ms", "-5ms", "5h", "1e3ms", ""])
def test_what_is_no_short_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a time such as 5ms"):
        moment_of(text, "--budget")
