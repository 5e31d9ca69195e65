"""What cannot be quantised, judged or written is refused before any image is read."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import MakeMember

from ensemble.errors import MemberError, UsageError
from ensemble.members.member import Member, open_member
from ensemble.pipeline.quantize_order import QuantizeOrder, check_order

ORDER = QuantizeOrder(("a.onnx",), ("images",))


@pytest.fixture
def member(make_member: MakeMember) -> Member:
    return open_member(make_member())


@pytest.mark.parametrize(
    "order", [replace(ORDER, calibration=0), replace(ORDER, max_disagreement=1.1)]
)
def test_settings_out_of_range_are_refused(order: QuantizeOrder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="calibration is at least 1, max_disagreement from 0 to 1"):
        check_order(order, [], tmp_path)


def test_two_members_of_one_name_are_refused(member: Member, tmp_path: Path) -> None:
    twin = replace(member, path=tmp_path / "other.onnx")
    with pytest.raises(UsageError, match=r"would both become toy-f0\.onnx"):
        check_order(ORDER, [member, twin], tmp_path)


def test_a_member_does_not_replace_itself(member: Member) -> None:
    with pytest.raises(UsageError, match="would replace it"):
        check_order(replace(ORDER, force=True), [member], member.path.parent)


def test_a_file_that_is_there_is_replaced_with_force_only(member: Member, tmp_path: Path) -> None:
    (tmp_path / "toy-f0.onnx").touch()
    with pytest.raises(UsageError, match="there already; say --force"):
        check_order(ORDER, [member], tmp_path)
    check_order(replace(ORDER, force=True), [member], tmp_path)


def test_a_regression_is_refused(make_member: MakeMember, tmp_path: Path) -> None:
    member = open_member(make_member("age-f0", task="regression", activation="none"))
    with pytest.raises(MemberError, match="is a regression"):
        check_order(ORDER, [member], tmp_path)


def test_labels_of_a_head_that_gives_several_are_refused(
    make_member: MakeMember, tmp_path: Path
) -> None:
    member = open_member(make_member("tags-f0", task="multilabel", activation="sigmoid"))
    check_order(ORDER, [member], tmp_path)
    with pytest.raises(UsageError, match="--labels gives a class an image"):
        check_order(replace(ORDER, labels=tmp_path / "train.csv"), [member], tmp_path)
