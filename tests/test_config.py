"""Settings are checked at the door, also those that Python gives."""

from dataclasses import replace

import pytest

from ensemble.config import Recipe, check_recipe
from ensemble.errors import UsageError
from ensemble.spec import DecodePolicy

RECIPE = Recipe(("a.onnx",), ("images",))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("merge", "median", "mean, gmean, max, min, tsharpen, logits"),
        ("output", "label", "auto, labels, probs, binary"),
        ("on_nan", "drop", "fail, drop-member"),
        ("batch_size", "8", "auto or a whole number from 1 on"),
        ("batch_size", 0, "auto or a whole number from 1 on"),
        ("shard_size", -1, "a whole number from 0 on"),
        ("threads", 1.5, "a whole number from 0 on"),
        ("calibration", True, "a whole number from 0 on"),
        ("memory", 2**30, "a text such as 2G"),
    ],
)
def test_a_setting_that_there_is_not_is_refused(name: str, value: object, expected: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} {value!r}: expected .*{expected}$"):
        check_recipe(replace(RECIPE, **{name: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("exif", "off"), ("alpha", "grey"), ("max_pixels", 0)])
def test_a_way_to_decode_that_there_is_not_is_refused(name: str, value: object) -> None:
    policy = DecodePolicy(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"{name} {value!r}: expected "):
        check_recipe(replace(RECIPE, decode=policy))
