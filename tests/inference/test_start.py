"""A member under its views is started, or refused before any image is read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from begun import begin
from onnx import ModelProto
from toys import MakeMember, external, save_member, toy_card, toy_model

from ensemble.errors import EnsembleError, MemberError, UsageError
from ensemble.inference import start
from ensemble.inference.probe import probe_images
from ensemble.members.member import open_member
from ensemble.records import Size
from ensemble.runtime.devices import why_no_cuda
from ensemble.views import policy


def test_a_member_on_the_cpu_has_a_lane_a_thread(make_member: MakeMember) -> None:
    member = open_member(make_member())
    ready = start.start(
        member, policy.preset("none"), "mean", device="cpu", threads=3, batch=4
    )  # fmt: skip
    assert ready.scorer.lanes == 3


def test_external_data_beside_the_member_is_run(tmp_path: Path) -> None:
    assert begin(external(tmp_path)).scorer.provider == "CPUExecutionProvider"


def test_a_static_batch_is_kept(tmp_path: Path) -> None:
    card = toy_card()
    ready = begin(save_member(tmp_path, card, toy_model(card, batch=8)), tta="flip")
    assert (ready.batch, ready.fixed_batch) == (2, True)


@pytest.mark.parametrize("batch", [1, 6])
def test_a_static_batch_that_the_views_do_not_divide_has_a_forward_a_view(
    tmp_path: Path, batch: int
) -> None:
    card = toy_card()
    ready = begin(save_member(tmp_path / "a", card, toy_model(card, batch=batch)), tta="flip")
    assert (ready.batch, ready.fixed_batch) == (batch, True)
    images = probe_images((batch, 8, 8, 3))
    free = begin(save_member(tmp_path / "b", card, toy_model(card)), tta="flip")
    np.testing.assert_allclose(ready.score(images)["label"], free.score(images)["label"], atol=1e-6)


def test_images_that_must_be_alone_do_not_suit_a_batch_that_is_fixed(tmp_path: Path) -> None:
    card = replace(toy_card(), batch="alone")
    with pytest.raises(MemberError, match="fixed at 6.*one by one.*batch of 1"):
        begin(save_member(tmp_path, card, toy_model(card, batch=6)))


def test_a_view_that_the_member_cannot_take_is_refused(make_member: MakeMember) -> None:
    with pytest.raises(MemberError, match="dynamic-size"):
        begin(make_member(), tta="multiscale")


def test_a_quarter_turn_of_an_oblong_input_is_refused(make_member: MakeMember) -> None:
    with pytest.raises(EnsembleError, match="8x10 pixels only"):
        begin(make_member(size=Size(8, 10)), tta="d4")


def test_crops_that_are_the_whole_image_are_duplicates(make_member: MakeMember) -> None:
    with pytest.raises(UsageError, match="would count twice"):
        begin(make_member(), tta="five_crop(8,8)")


def test_cuda_asked_for_and_not_there_is_an_error(make_member: MakeMember) -> None:
    member = open_member(make_member())
    if not why_no_cuda():
        pytest.skip("CUDA starts here")
    with pytest.raises(EnsembleError, match="CUDA does not start"):
        start.start(member, policy.preset("none"), "mean", device="cuda", threads=1, batch=2)


def test_a_batch_that_is_guessed_is_among_the_sizes_worth_a_try(make_member: MakeMember) -> None:
    ready = begin(make_member(), batch="auto")
    assert ready.batch in ready.sizes
    assert list(ready.sizes) == sorted(set(ready.sizes))
    assert ready.sizes[0] >= 1


@pytest.mark.parametrize(("cached", "forwards"), [(1000, 1), (64, 8), (65, 4), (150, 3)])
def test_views_that_do_not_fit_into_a_cache_go_some_at_once(
    make_member: MakeMember, monkeypatch: pytest.MonkeyPatch, cached: int, forwards: int
) -> None:
    monkeypatch.setattr(start, "_CACHED", cached)
    monkeypatch.setattr(start, "_SPILLED", 2 * cached)
    composed, compose = [], start.graph.compose_graph

    def watched(*args: Any, **how: Any) -> ModelProto:
        composed.append(compose(*args, **how))
        return composed[-1]

    monkeypatch.setattr(start.graph, "compose_graph", watched)
    begin(make_member(), tta="d4")
    assert sum(node.op_type == "MatMul" for node in composed[0].graph.node) == forwards


def test_what_an_image_took_to_be_proven_is_told(make_member: MakeMember) -> None:
    assert begin(make_member()).seconds > 0


def test_members_are_opened_in_the_order_they_are_named(members: list[Path]) -> None:
    opened = start.open_members(members[::-1], None)
    assert [member.path for member in opened] == members[::-1]


def test_members_that_cannot_vote_together_are_not_opened(make_member: MakeMember) -> None:
    paths = [make_member("ant-f0"), make_member("bee-f0", classes=["x", "y"])]
    with pytest.raises(MemberError, match="bee-f0"):
        start.open_members(paths, None)


def test_each_view_has_the_size_of_the_member(make_member: MakeMember) -> None:
    member = open_member(make_member())
    shaped = start.shape_views(member, policy.preset("d4"))
    assert [entry.view for entry in shaped] == list(policy.preset("d4"))
    assert {entry.size for entry in shaped} == {Size(8, 8)}
