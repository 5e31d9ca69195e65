"""Members are looked at, and foreign ones get their cards."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from detectors import detector_card, detector_model
from toys import MakeMember, toy_card, toy_model

from ensemble.boxes import Crop
from ensemble.errors import MemberError, UsageError
from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags
from ensemble.members.card import BoxOutput
from ensemble.members.member import open_member
from ensemble.pipeline.members import OutputName, foreign_card, inspect

PIXELS = PreprocessFlags(height=8, width=9, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
SPEC = ExportSpec("vendor", (HeadSpec("label", ("cat", "dog")),), preprocess=PIXELS)


@pytest.fixture
def ant(tmp_path: Path) -> Path:
    """A foreign member."""
    onnx.save(toy_model(toy_card()), tmp_path / "ant-f3.onnx")
    return tmp_path / "ant-f3.onnx"


def test_a_card_says_what_the_spec_says_and_else_the_defaults(ant: Path) -> None:
    card = foreign_card(ant, SPEC, "probs")
    assert (card.name, card.family, card.fold, card.arch) == ("ant-f3", "ant", 3, "vendor")
    assert (card.preprocess.size.height, card.preprocess.size.width) == (8, 9)
    assert (card.preprocess.fit, card.preprocess.crop_pct) == ("crop", 1.0)
    assert [(h.name, h.output, h.activation) for h in card.heads] == [("label", "probs", "softmax")]
    assert (card.preprocess.channel_order, card.batch, card.layout) == ("rgb", "any", "nchw")


def test_heads_read_the_outputs_that_are_said_of_them_and_else_their_own(ant: Path) -> None:
    heads = (HeadSpec("age", ("years",), "regression"), HeadSpec("probs", ("cat", "dog")))
    card = foreign_card(ant, replace(SPEC, heads=heads), {"age": "regressor/out"})
    assert [(h.name, h.output) for h in card.heads] == [("age", "regressor/out"), ("probs",) * 2]


def test_what_is_told_counts_for_more_than_the_name_of_the_file(ant: Path) -> None:
    card = foreign_card(ant, replace(SPEC, family="bee", fold=0))
    assert (card.name, card.family, card.fold) == ("bee-f0", "bee", 0)


def test_a_layout_that_is_told_counts_for_more_than_the_axes(ant: Path) -> None:
    assert foreign_card(ant, SPEC, layout="nhwc").layout == "nhwc"


def test_means_of_bytes_come_to_the_scale_of_the_card(ant: Path) -> None:
    pixels = replace(PIXELS, mean=(51, 102, 204), std=(51.0, 1.0, 255.0), input_range=255)
    pre = foreign_card(ant, replace(SPEC, preprocess=pixels)).preprocess
    assert pre.mean == pytest.approx((0.2, 0.4, 0.8))
    assert pre.std == pytest.approx((0.2, 1 / 255, 1.0))


@pytest.mark.parametrize(
    ("spec", "output", "message"),
    [
        (replace(SPEC, preprocess=PreprocessFlags(height=8)), None, "needs --width, --mean, --std"),
        (replace(SPEC, heads=SPEC.heads * 2), "probs", "'probs': of which head\\? Say HEAD=NAME"),
        (SPEC, {"sex": "probs"}, "no head sex; the heads are label"),
        (replace(SPEC, ema=True), None, "ema, key, drop, args and trust_pickle are"),
        (replace(SPEC, key="net"), None, "are of checkpoints"),
    ],
)
def test_a_spec_that_makes_no_card_is_refused(
    spec: ExportSpec, output: OutputName | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        foreign_card(Path("ant.onnx"), spec, output)


def test_an_output_is_of_a_card_that_is_written() -> None:
    with pytest.raises(UsageError, match="only --write-card writes what it says"):
        inspect(["ant.onnx"], None, "probs")


def test_a_layout_is_of_a_card_that_is_written() -> None:
    with pytest.raises(UsageError, match="^--layout: only --write-card writes what it says"):
        inspect(["ant.onnx"], layout="nhwc")


def test_members_that_cannot_vote_together_are_shown_and_then_refused(
    members: list[Path], make_member: MakeMember
) -> None:
    other = make_member("cow-f0", classes=("x", "y"))
    found = inspect([*map(str, members), str(other)])
    assert len(found.cards) == len(members) + 1
    with pytest.raises(MemberError):
        found.refuse()
    inspect([str(path) for path in members]).refuse()


@pytest.fixture
def finder(tmp_path: Path) -> Path:
    """A foreign detector."""
    onnx.save(detector_model(detector_card(count=5)), tmp_path / "finder.onnx")
    return tmp_path / "finder.onnx"


FINDER = ExportSpec(
    "hand-made",
    (HeadSpec("face", ("face",), task="boxes"),),
    preprocess=PreprocessFlags(height=32, width=32, mean=(0, 0, 0), std=(1, 1, 1)),
)


def test_the_card_of_a_detector_takes_its_boxes_from_the_graph(finder: Path) -> None:
    card = foreign_card(finder, FINDER, box_scale="unit")
    (head,) = card.heads
    assert (head.output, head.task, head.activation) == ("boxes", "boxes", "none")
    assert head.boxes == BoxOutput("scores", 5, "unit")
    assert foreign_card(finder, FINDER).heads[0].boxes == BoxOutput("scores", 5, "pixels")


def test_a_detector_that_was_described_is_one(finder: Path) -> None:
    assert inspect([str(finder)], FINDER).fault is None
    assert open_member(finder).card.heads[0].boxes is not None


def test_a_scale_of_boxes_is_of_a_detector(ant: Path) -> None:
    with pytest.raises(UsageError, match="--box-scale goes with --task boxes"):
        foreign_card(ant, SPEC, box_scale="unit")


def test_a_card_says_on_which_crops_its_net_was_trained(ant: Path) -> None:
    pixels = replace(PIXELS, margin=0.25, square=True)
    assert foreign_card(ant, replace(SPEC, preprocess=pixels)).preprocess.crop == Crop(0.25, True)
    assert foreign_card(ant, SPEC).preprocess.crop is None
