"""Settings are checked at the door, also those that Python gives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ensemble.boxes import Crop
from ensemble.errors import UsageError
from ensemble.label_map import LabelMap
from ensemble.label_tasks import LabelTask
from ensemble.recipe.resolve import resolve
from ensemble.recipe.saving import Saving
from ensemble.recipe.settings import Settings
from ensemble.records import DecodePolicy
from ensemble.voting.joint_weights import JointWeights
from ensemble.voting.weights import Weights

MASK = LabelMap(("0", "1"), (LabelTask("mask", ("off", "on")),), (("off",), ("on",)))
TUNED = Weights({"a": 1.0}, joint=JointWeights(MASK, {}, (0.0, 0.0), 0.0))
WRITTEN = Settings(("a.onnx",), ("images",))


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
        resolve(replace(WRITTEN, **{name: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("exif", "off"), ("alpha", "grey"), ("max_pixels", 0)])
def test_a_way_to_decode_that_there_is_not_is_refused(name: str, value: object) -> None:
    policy = DecodePolicy(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"{name} {value!r}: expected "):
        resolve(replace(WRITTEN, decode=policy))


@pytest.mark.parametrize(("memory", "hint"), [("1", "; did you mean 1G\\?"), ("512k", "")])
def test_memory_for_no_image_is_refused(memory: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"memory '{memory}': expected 1M or more{hint}$"):
        resolve(replace(WRITTEN, memory=memory))


def test_without_a_rule_or_a_budget_nothing_is_saved() -> None:
    recipe = resolve(WRITTEN)
    assert recipe.saving is None
    assert recipe.saved == ""


@pytest.mark.parametrize(
    ("how", "rule", "told"),
    [
        ({"early_exit": "lossless"}, "lossless", "lossless"),
        ({"early_exit": "0.5%"}, "certified", "0.5%"),
        ({"time_budget": " 2h30m "}, "budget", "2h30m"),
        ({"early_exit": "0.5%", "time_budget": "2h30m"}, "budget", "0.5%, 2h30m"),
        ({"evals_per_image": 3}, "budget", "3 evaluations"),
    ],
)
def test_what_is_saved_is_told_in_the_words_it_was_asked_in(
    how: dict[str, Any], rule: str, told: str
) -> None:
    recipe = resolve(replace(WRITTEN, **how))
    assert recipe.saving is not None
    assert recipe.saving.rule == rule
    assert recipe.saved == told


def test_each_text_is_read_as_the_amount_it_says() -> None:
    recipe = resolve(replace(WRITTEN, memory="2G", early_exit="2%", confidence="99%"))
    assert recipe.resources.memory == 2 * 2**30
    assert recipe.saving == Saving("certified", 0.02, 0.99, 0)


def test_a_text_that_cannot_be_written_down_is_refused_by_its_setting() -> None:
    with pytest.raises(UsageError, match="fill"):
        resolve(replace(WRITTEN, fill="cat\udcff"))


def test_the_settings_are_kept_as_they_were_written() -> None:
    assert resolve(WRITTEN).settings is WRITTEN


def test_a_margin_without_crops_is_refused() -> None:
    for how in ({"margin": 0.1}, {"square": True}):
        with pytest.raises(UsageError, match="give crops too"):
            resolve(replace(WRITTEN, **how))  # type: ignore[arg-type]


def test_the_address_of_a_cluster_is_for_ray() -> None:
    told = replace(WRITTEN, ray_address="10.0.0.1:6379")
    with pytest.raises(UsageError, match="ray_address '10.0.0.1:6379': executor is 'local'; say"):
        resolve(told)
    resources = resolve(replace(told, executor="ray")).resources
    assert (resources.executor, resources.ray_address) == ("ray", "10.0.0.1:6379")


def test_boxes_are_widened_as_said_or_as_the_cards_say() -> None:
    crops = replace(WRITTEN, crops=Path("crops.csv"))
    assert resolve(crops).inputs.crop is None
    told = replace(crops, margin=0.5, square=True)
    assert resolve(told).inputs.crop == Crop(0.5, square=True)


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    path = tmp_path / "map.csv"
    path.write_text("label,mask\n0,off\n1,on\n")
    return path


def test_a_label_map_is_read_once_with_what_is_declared_of_its_tasks(label_map: Path) -> None:
    given = Settings(("a.onnx",), ("images",), label_map=label_map, tasks="mask = {}")
    found = resolve(given).inputs.label_map
    assert found is not None
    assert found.labels == ("0", "1")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"label_map": None, "tasks": "mask = {}"}, "tasks belong to a label map"),
        ({"head": "mask"}, "every head is read; leave one of them out"),
        ({"voting": "rank"}, "--voting rank: with a label map it is soft, or hard without"),
        ({"weights": TUNED, "label_map": None}, "label map of the tasks mask: give it, by --label"),
        ({"weights": Weights({"a": 1.0})}, "the weights know of no label map"),
    ],
)
def test_what_does_not_go_with_a_label_map_is_refused(
    label_map: Path, more: dict[str, object], said: str
) -> None:
    told: dict[str, Any] = {"label_map": label_map, **more}
    given = Settings(("a.onnx",), ("images",), **told)
    with pytest.raises(UsageError, match=said):
        resolve(given)


def test_a_constraint_that_is_no_equation_is_refused() -> None:
    assert resolve(replace(WRITTEN, constraints=("c = a + b",))).fusion.constraints == (
        "c = a + b",
    )
    with pytest.raises(UsageError, match="constraint 'c': expected such as 'total = a "):
        resolve(replace(WRITTEN, constraints=("c",)))
