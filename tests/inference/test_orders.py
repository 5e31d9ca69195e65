"""Orders and replies cross to other processes: they are pickled, whole."""

import pickle
from pathlib import Path

from fake_workers import replied, shards

from ensemble.inference.orders import MemberOrder, WorkerOrder
from ensemble.records import DecodePolicy
from ensemble.views.policy import preset


def test_an_order_and_its_reply_can_be_pickled() -> None:
    member = MemberOrder("a", Path("a.onnx"), "00", preset("d4"), "mean", "fp32", "auto")
    order = WorkerOrder((member,), DecodePolicy(), "cpu", 1)
    shard = shards(3, {}).order(1)
    assert pickle.loads(pickle.dumps((order, shard))) == (order, shard)
    reply = pickle.loads(pickle.dumps(replied(shard)))
    assert reply.scored[0].ids == ("img3", "img4", "img5")
