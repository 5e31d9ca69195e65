"""What flags say of an exported net or a foreign member."""

from pathlib import Path
from typing import Any

import click
import pytest

from ensemble.cli.export_flags import FOREIGN, described_options, export_spec_of
from ensemble.errors import UsageError
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags, task_of


def spec_of(*args: str, **more: Any) -> ExportSpec:
    """The spec of a command line that has the shared options only, and what else flags may be."""
    found: list[dict[str, Any]] = []
    command = described_options(click.command(lambda **flags: found.append(flags)))
    command.main(list(args), standalone_mode=False)
    return export_spec_of({**FOREIGN, **found[0], **more})


def test_nothing_but_classes_is_needed() -> None:
    expected = ExportSpec(
        "foreign",
        (HeadSpec("label", ("a", "b")),),
        preprocess=PreprocessFlags(channel_order="rgb", input_range=1),
    )
    assert spec_of("--classes", "a,b") == expected


def test_pixels_are_taken_as_they_are_told() -> None:
    size = ("--height", "8", "--width", "6", "--fit", "squash", "--crop-pct", "1")
    scale = ("--mean", "1,2,3", "--std", "4,5,6", "--input-range", "255")
    found = spec_of("--classes", "a,b", *size, *scale, "--channel-order", "bgr")
    assert found.preprocess == PreprocessFlags(
        8, 6, "squash", 1.0, None, (1, 2, 3), (4, 5, 6), "bgr", 255
    )


def test_a_task_is_said_of_every_head_or_of_one() -> None:
    heads = ("--classes", "age=years", "--classes", "sex=f,m", "--task", "age=regression")
    found = spec_of(*heads, "--activation", "softmax", "--activation", "age=none")
    assert found.heads == (
        HeadSpec("age", ("years",), "regression", "none"),
        HeadSpec("sex", ("f", "m")),
    )
    assert (found.task, found.activation) == ("classification", "softmax")


@pytest.mark.parametrize("text", ["1,x,3", "1,,3"])
def test_a_mean_of_no_numbers_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--mean .*: expected numbers with commas"):
        spec_of("--classes", "a,b", "--mean", text)


@pytest.mark.parametrize("text", ["width", "=3", "2x=3"])
def test_an_argument_without_a_name_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match=f"--arg {text!r}: expected NAME=VALUE"):
        spec_of("--classes", "a,b", args=(text,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("width=16", {"width": 16}), ("flag=true", {"flag": True}), ("pool=avg", {"pool": "avg"}),
     ("depths=[2, 2]", {"depths": [2, 2]}), ("path=a=b", {"path": "a=b"}), ("x=", {"x": ""})],
)  # fmt: skip
def test_an_argument_is_json_or_text(text: str, expected: dict[str, object]) -> None:
    assert spec_of("--classes", "a,b", args=(text,)).args == expected


def test_an_argument_that_is_said_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="--arg width: said twice"):
        spec_of("--classes", "a,b", args=("width=16", "depth=2", "width=32"))


def test_pickles_are_trusted_file_by_file() -> None:
    found = spec_of("--classes", "a,b", trust_pickle=(Path("a.pt"),))
    assert found.trust_pickle == {Path("a.pt")}


def test_thresholds_are_said_of_a_head_which_is_multilabel_then() -> None:
    heads = ("--classes", "age=middle,old", "--classes", "sex=f,m", "--ordinal", "age=conditional")
    age, sex = spec_of(*heads).heads
    assert (age.ordinal, sex.ordinal) == ("conditional", None)
    assert [task_of(spec_of(*heads), head) for head in (age, sex)] == [
        "multilabel", "classification",
    ]  # fmt: skip
