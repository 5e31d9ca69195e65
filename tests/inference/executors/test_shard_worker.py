"""A worker scores a shard as a run in one process does, whoever asks, and raises nothing itself."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import pytest
from composed import composed
from fake_workers import Told
from toys import MakeMember

from ensemble.arrays import Pixels
from ensemble.errors import MemberError, ScoreError
from ensemble.images import loader
from ensemble.images.loader import load_pixels
from ensemble.images.reading import Hashed
from ensemble.inference.batches import NonFiniteError
from ensemble.inference.executors import shard_worker
from ensemble.inference.executors.shard_worker import Worker
from ensemble.inference.orders import MemberOrder, ShardOrder, WorkerOrder
from ensemble.members.member import open_member
from ensemble.progress import Quiet
from ensemble.records import DecodePolicy
from ensemble.runtime.agreement import Agreement
from ensemble.views.policy import preset


def order_of(*paths: Path) -> WorkerOrder:
    members = [
        MemberOrder(
            member.card.name, path, member.sha256, preset("hflip"), "mean", "fp32", 4
        )
        for path in paths
        for member in [open_member(path)]
    ]  # fmt: skip
    return WorkerOrder(tuple(members), DecodePolicy(), "cpu", 2)


def shard_of(images: list[Hashed], *members: str, **more: bool) -> ShardOrder:
    return ShardOrder("key", 3, tuple(images), members, share=len(images), **more)


def test_a_shard_has_the_rows_of_its_members_and_what_is_lost(
    make_member: MakeMember, hashed: list[Hashed]
) -> None:
    paths = [make_member("ant-f0"), make_member("bee-f0", seed=1)]
    told = Told()
    reply = Worker(order_of(*paths)).work(shard_of(hashed, "ant-f0", "bee-f0"), told)
    assert (reply.key, reply.number, reply.error) == ("key", 3, None)
    good = [image for image in hashed if image.source.id != "img5"]
    for path, scored in zip(paths, reply.scored, strict=True):
        member = open_member(path)
        assert scored.member == member.card.name
        assert scored.ids == tuple(image.source.id for image in good)
        assert [lost.id for lost in scored.lost] == ["img5"]
        geometry = member.card.preprocess.geometry
        pixels = np.stack([load_pixels(image, DecodePolicy(), geometry) for image in good])
        expected = composed(member.card, member.model, "hflip", "mean").score(pixels)
        for name, rows in scored.heads.items():
            np.testing.assert_array_equal(rows, expected[name])
    assert told.done == 2 * len(hashed)
    assert reply.batches == {"ant-f0": 4, "bee-f0": 4}


def test_two_threads_may_order_shards_at_once(
    make_member: MakeMember, hashed: list[Hashed]
) -> None:
    worker = Worker(order_of(make_member("ant-f0")))
    order = shard_of(hashed, "ant-f0")
    alone = worker.work(order, Quiet()).scored[0]
    with ThreadPoolExecutor(2) as pool:
        both = pool.map(worker.work, [order, order], [Quiet(), Quiet()])
    for reply in both:
        assert reply.scored[0].ids == alone.ids
        np.testing.assert_array_equal(reply.scored[0].heads["label"], alone.heads["label"])


def test_shards_that_begin_at_once_have_one_pool_of_decoders(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, order = Worker(order_of(make_member("ant-f0"))), shard_of(hashed, "ant-f0")
    made: list[object] = []
    together, decoders = Barrier(2), shard_worker.decoders

    def slow(*args: Any) -> ThreadPoolExecutor:
        made.append(args)
        with suppress(BrokenBarrierError):
            together.wait(0.5)  # the other thread comes too, unless it waits for this one
        return decoders(*args)

    monkeypatch.setattr(shard_worker, "decoders", slow)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(worker.work, [order, order], [Quiet(), Quiet()]))
    assert len(made) == 1


def test_a_worker_tells_what_runs_its_members(make_member: MakeMember) -> None:
    (proven,) = Worker(order_of(make_member("ant-f0"))).proven
    assert (proven.name, proven.provider) == ("ant-f0", "CPUExecutionProvider")
    assert (proven.batch, proven.lanes) == (4, 2)


def test_another_member_than_the_one_that_was_ordered_is_refused(make_member: MakeMember) -> None:
    order = order_of(make_member("ant-f0"))
    make_member("ant-f0", seed=5)
    with pytest.raises(MemberError, match="not the member that the run began with"):
        Worker(order)


@pytest.mark.parametrize("drop", [False, True])
def test_a_member_that_gives_nan_is_told_of_or_left_out(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch, *, drop: bool
) -> None:
    worker = Worker(order_of(make_member("ant-f0")))

    def nan(*_: object) -> None:
        raise NonFiniteError("ant-f0", "img3")

    monkeypatch.setattr(shard_worker, "score_shard", nan)
    reply = worker.work(shard_of(hashed, "ant-f0", drop_nan=drop), Quiet())
    assert reply.scored == ()
    assert reply.nan == (("ant-f0",) if drop else ())
    assert isinstance(reply.error, NonFiniteError) != drop
    assert drop or "image 'img3'" in str(reply.error)


class UnsendableError(ScoreError):
    """An error that cannot be made again of its words."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def test_an_error_that_cannot_be_pickled_is_told_in_words(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(order_of(make_member("ant-f0")))

    def failing(*_: object) -> None:
        raise UnsendableError("no", "way")

    monkeypatch.setattr(shard_worker, "score_shard", failing)
    reply = worker.work(shard_of(hashed, "ant-f0"), Quiet())
    assert str(reply.error) == "UnsendableError: no way"


def test_images_that_crash_the_decoder_are_set_aside_where_a_shard_is_suspect(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, asked = {"img2", "img7"}, []

    def crashes(_: Callable[..., None], images: tuple[Hashed, ...], *__: object) -> bool:
        asked.append(len(images))
        return any(image.source.id in poison for image in images)

    monkeypatch.setattr(loader, "crashes", crashes)
    worker = Worker(order_of(make_member("ant-f0")))
    plain = worker.work(shard_of(hashed, "ant-f0"), Quiet()).scored[0]
    assert asked == []
    found = worker.work(shard_of(hashed, "ant-f0", suspect=True), Quiet()).scored[0]
    crashed = {lost.id for lost in found.lost if lost.error_class == "crash"}
    assert crashed == poison
    kept = [row for row, name in enumerate(plain.ids) if name not in poison]
    np.testing.assert_array_equal(found.heads["label"], plain.heads["label"][kept])
    assert asked[0] == len(hashed)
    assert len(asked) < 2 * len(hashed)


def test_a_member_in_float16_is_held_on_the_first_images_of_its_first_shard_that_are_no_poison(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Pixels] = []

    def hold(*args: Any) -> Agreement:
        held.append(args[-1])
        return Agreement(0, 0, 0.0)

    monkeypatch.setattr(shard_worker, "hold", hold)
    monkeypatch.setattr(shard_worker, "crashing", lambda *_: frozenset([hashed[0].source.id]))
    order = order_of(make_member("ant-f0"))
    half = replace(order.members[0], precision="fp16")
    worker = Worker(replace(order, members=(half,)))
    scored = worker.work(shard_of(hashed, "ant-f0", suspect=True), Quiet()).scored[0]
    worker.work(shard_of(hashed, "ant-f0", suspect=True), Quiet())
    (pixels,) = held
    geometry = worker._ready["ant-f0"].geometry
    good = [image for image in hashed if image.source.id in scored.ids]
    assert hashed[0] not in good
    expected = [load_pixels(image, DecodePolicy(), geometry) for image in good]
    np.testing.assert_array_equal(pixels, np.stack(expected))


def test_a_member_that_float16_does_not_suit_ends_the_run_before_its_first_shard(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MemberError("ant-f0.onnx: in float16, head 'label' differs")

    monkeypatch.setattr(shard_worker, "hold", refuse)
    order = order_of(make_member("ant-f0"))
    assert Worker(order).work(shard_of(hashed, "ant-f0"), Quiet()).error is None
    half = replace(order.members[0], precision="fp16")
    reply = Worker(replace(order, members=(half,))).work(shard_of(hashed, "ant-f0"), Quiet())
    assert (str(reply.error), reply.scored) == ("ant-f0.onnx: in float16, head 'label' differs", ())


def test_a_worker_computes_with_the_precision_and_views_it_is_told(make_member: MakeMember) -> None:
    order = order_of(make_member("ant-f0"))
    other = replace(order.members[0], policy=preset("d4"))
    worker = Worker(replace(order, members=(other,)))
    assert len(worker._ready["ant-f0"].policy) == 8
