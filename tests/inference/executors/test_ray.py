"""What answers of actors mean, by a Ray that is scripted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_workers import PROVEN, replied
from ray.exceptions import (
    ActorDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
)
from toys import MakeMember

from ensemble.errors import MemberError, ProviderError
from ensemble.images.reading import Hashed
from ensemble.inference.executors import ray as ray_workers
from ensemble.inference.executors.nodes import Node
from ensemble.inference.executors.ray import PATIENCE, PAUSE, RayWorkers, cause_of
from ensemble.inference.executors.remote import ImageNotThereError, RemoteReply
from ensemble.inference.executors.workers import Died, Event, Refused, Replied, Started, Warned
from ensemble.inference.orders import MemberOrder, ShardOrder, ShardReply, WorkerOrder
from ensemble.members.member import open_member
from ensemble.records import DecodePolicy
from ensemble.views.policy import preset

NODES = [Node("a" * 56, "10.0.0.1", 2, 0), Node("b" * 56, "10.0.0.2", 2, 0)]


@dataclass(eq=False)
class Handle:
    """An actor: what it was made with, and what its methods answer."""

    ray: "FakeRay"
    options: dict[str, object]

    def __getattr__(self, method: str) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *args, **more: self.ray.asked(self, method, more))


@dataclass
class FakeRay:
    """Ray without a cluster: answers are values, or errors to raise, made by `answer`."""

    answer: Callable[[Handle, str, dict[str, bool]], object] = lambda actor, method, more: PROVEN
    actors: list[Handle] = field(default_factory=list)
    calls: list[tuple[str, dict[str, bool]]] = field(default_factory=list)
    killed: list[Handle] = field(default_factory=list)
    held: dict[object, object] = field(default_factory=dict)

    def put(self, data: bytes) -> object:
        return self._ref(data)

    def get(self, ref: object) -> object:
        if isinstance(self.held[ref], BaseException):
            raise self.held[ref]
        return self.held[ref]

    def wait(self, refs: Sequence[object], timeout: float) -> tuple[list[object], list[object]]:
        ready = [ref for ref in refs if self.held[ref] is not None]
        return ready[:1], refs[1:]

    def kill(self, actor: Handle) -> None:
        self.killed.append(actor)

    def remote(self, _kind: type) -> SimpleNamespace:
        return SimpleNamespace(
            options=lambda **more: SimpleNamespace(remote=lambda: self._make(more))
        )

    def asked(self, actor: Handle, method: str, more: dict[str, bool]) -> object:
        self.calls.append((method, more))
        return self._ref(self.answer(actor, method, more))

    def _make(self, options: dict[str, object]) -> Handle:
        self.actors.append(Handle(self, options))
        return self.actors[-1]

    def _ref(self, value: object) -> object:
        ref = object()
        self.held[ref] = value
        return ref


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(ray_workers, "ray", fake)
    monkeypatch.setattr(ray_workers, "join", lambda address: True)
    monkeypatch.setattr(ray_workers, "leave", lambda *, own: None)
    monkeypatch.setattr(ray_workers, "nodes", lambda: NODES)
    return fake


@pytest.fixture
def workers(ray: FakeRay, make_member: MakeMember) -> RayWorkers:
    return made(make_member())


def made(path: Path, device: str = "cpu") -> RayWorkers:
    member = open_member(path)
    order = MemberOrder("toy-f0", path, member.sha256, preset("none"), "mean", "fp32", 4)
    return RayWorkers(WorkerOrder((order,), DecodePolicy(), device), "", 1)


def shard(hashed: Sequence[Hashed]) -> ShardOrder:
    return ShardOrder("key", 3, tuple(hashed), ("a",), share=len(hashed))


def heard(workers: RayWorkers, count: int) -> list[Event]:
    found: list[Event] = []
    while len(found) < count:
        found += workers.wait()
    return found


def test_an_actor_is_held_to_its_machine_and_never_restarted_by_ray(
    ray: FakeRay, workers: RayWorkers
) -> None:
    assert list(workers.names) == ["10.0.0.1/0", "10.0.0.2/0"]
    workers.start("10.0.0.2/0")
    options = ray.actors[0].options
    assert options["scheduling_strategy"].node_id == NODES[1].id
    assert (options["num_cpus"], options["num_gpus"], options["max_restarts"]) == (2, 0, 0)


def test_a_gpu_is_asked_of_ray(
    ray: FakeRay, make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "nodes", lambda: [Node("c" * 56, "10.0.0.3", 8, 2)])
    workers = made(make_member(), "auto")
    workers.start("10.0.0.3/1")
    assert (ray.actors[0].options["num_gpus"], ray.actors[0].options["num_cpus"]) == (1, 4)


@pytest.mark.parametrize(
    ("device", "gpus", "there"),
    [("auto", 1, "cuda"), ("auto", 0, "cpu"), ("cpu", 1, "cpu"), ("openvino", 1, "openvino")],
)
def test_a_gpu_is_named_so_that_a_machine_where_it_is_broken_refuses_itself(
    ray: FakeRay, make_member: MakeMember, monkeypatch: pytest.MonkeyPatch,
    device: str, gpus: int, there: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(ray_workers, "nodes", lambda: [Node("c" * 56, "10.0.0.3", 8, gpus)])
    workers = made(make_member(), device)
    assert workers._told["10.0.0.3/0"].order.device == there


def test_a_worker_whose_machine_is_gone_starts_wherever_there_is_room(
    ray: FakeRay, workers: RayWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "nodes", lambda: NODES[:1])
    workers.start("10.0.0.2/0")
    assert ray.actors[0].options["scheduling_strategy"] == "DEFAULT"


def test_a_fault_of_a_worker_that_moved_does_not_name_the_machine_that_is_gone(
    ray: FakeRay, workers: RayWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_workers, "nodes", lambda: NODES[:1])
    ray.answer = lambda *_: RayTaskError("start", "", ProviderError("no CUDA"))
    workers.start("10.0.0.2/0")
    (event,) = heard(workers, 1)
    assert isinstance(event, Refused)
    assert str(event.error) == "a machine in the place of 10.0.0.2: no CUDA"


def test_members_are_put_once_by_content(ray: FakeRay, workers: RayWorkers) -> None:
    stored = [value for value in ray.held.values() if isinstance(value, bytes)]
    for name in workers.names:
        workers.start(name)
    assert len(stored) == 1
    assert [value for value in ray.held.values() if isinstance(value, bytes)] == stored


def test_a_worker_that_started_says_what_runs(ray: FakeRay, workers: RayWorkers) -> None:
    workers.start("10.0.0.1/0")
    assert heard(workers, 1) == [Started("10.0.0.1/0", PROVEN)]


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (RayTaskError("start", "", MemberError("toy: odd")), MemberError, "toy: odd"),
        (RayTaskError("start", "", ProviderError("no CUDA")), ProviderError, "no CUDA"),
        (RayTaskError("start", "a\nKeyError: b", None), ProviderError, "KeyError: b"),
        (ActorDiedError(RayTaskError("init", "No module named 'ensemble'", None)), ProviderError,
         "ensemble cannot be imported there: .*No module named 'ensemble'.*Install the same"),
    ],
)  # fmt: skip
def test_a_worker_that_cannot_start_names_machine_and_cause(
    ray: FakeRay, workers: RayWorkers, error: Exception, kind: type[Exception], told: str
) -> None:
    ray.answer = lambda *_: error
    workers.start("10.0.0.2/0")
    (event,) = heard(workers, 1)
    assert isinstance(event, Refused)
    with pytest.raises(kind, match=f"^machine 10.0.0.2: .*{told}"):
        raise event.error
    assert ray.killed == ray.actors


def test_a_reply_comes_after_what_the_worker_warns_of(
    ray: FakeRay, workers: RayWorkers, hashed: list[Hashed]
) -> None:
    order = shard(hashed)
    reply = replied(order)
    ray.answer = lambda _, method, more: (
        RemoteReply(reply, ("halved",)) if method == "work" else PROVEN
    )
    workers.start("10.0.0.1/0")
    heard(workers, 1)
    workers.submit("10.0.0.1/0", order)
    first, second = heard(workers, 2)
    assert first == Warned("10.0.0.1/0", "halved")
    assert isinstance(second, Replied)
    assert second.reply is reply


def test_what_an_actors_own_code_raises_ends_the_run(
    ray: FakeRay, workers: RayWorkers, hashed: list[Hashed]
) -> None:
    fault = KeyError("odd")
    ray.answer = lambda _, method, more: (
        RayTaskError("work", "", fault) if method == "work" else PROVEN
    )
    workers.start("10.0.0.1/0")
    workers.submit("10.0.0.1/0", shard(hashed))
    event = heard(workers, 2)[1]
    assert isinstance(event, Replied)
    assert (event.reply.number, event.reply.error) == (3, fault)


@pytest.mark.parametrize("error", [ActorDiedError(), ObjectLostError("00", None, "")])
def test_an_actor_that_is_lost_dies_once_whatever_it_was_asked(
    ray: FakeRay, workers: RayWorkers, hashed: list[Hashed], error: Exception
) -> None:
    ray.answer = lambda _, method, more: error if method == "work" else PROVEN
    workers.start("10.0.0.1/0")
    workers.submit("10.0.0.1/0", shard(hashed))
    workers.submit("10.0.0.1/0", shard(hashed))
    assert heard(workers, 2)[1:] == [Died("10.0.0.1/0", "the end of its process")]
    ray.answer = lambda *_: PROVEN
    workers.start("10.0.0.1/0")
    assert heard(workers, 1) == [Started("10.0.0.1/0", PROVEN)]
    assert ray.killed == ray.actors[:1]


def missing(hashed: Sequence[Hashed]) -> RemoteReply:
    return RemoteReply(ShardReply("key", 3, error=ImageNotThereError("image 'img1' is not there")))


def test_a_machine_without_the_images_is_left_out(
    ray: FakeRay, workers: RayWorkers, hashed: list[Hashed]
) -> None:
    ray.answer = lambda _, method, more: missing(hashed) if method == "work" else PROVEN
    workers.start("10.0.0.1/0")
    workers.submit("10.0.0.1/0", shard(hashed))
    event = heard(workers, 2)[1]
    assert isinstance(event, Refused)
    assert str(event.error) == "machine 10.0.0.1: image 'img1' is not there"


@pytest.mark.parametrize("passes", [True, False])
def test_a_machine_that_saw_images_before_is_asked_again_before_it_is_left_out(
    ray: FakeRay, workers: RayWorkers, hashed: list[Hashed], *, passes: bool
) -> None:
    order = shard(hashed)
    looks: list[object] = []

    def answer(_: Handle, method: str, more: dict[str, bool]) -> object:
        if method == "start":
            return PROVEN
        looks.append(more["after"])
        sees = len(looks) == 1 or (passes and len(looks) > 2)
        return RemoteReply(replied(order)) if sees else missing(hashed)

    ray.answer = answer
    workers.start("10.0.0.1/0")
    workers.submit("10.0.0.1/0", order)
    heard(workers, 2)
    workers.submit("10.0.0.1/0", order)
    (event,) = heard(workers, 1)
    assert isinstance(event, Replied if passes else Refused)
    assert looks == [0, 0, PAUSE]


def test_an_image_that_is_gone_everywhere_is_left_to_its_quarantine(
    ray: FakeRay, workers: RayWorkers, hashed: list[Hashed]
) -> None:
    order = shard(hashed)
    ray.answer = lambda _, method, more: (
        PROVEN if method == "start" else missing(hashed) if more["look"]
        else RemoteReply(replied(order))
    )  # fmt: skip
    hashed[0].source.path.unlink()
    workers.start("10.0.0.1/0")
    workers.submit("10.0.0.1/0", order)
    assert [type(event) for event in heard(workers, 2)] == [Started, Replied]


def test_a_worker_that_waits_long_for_a_place_is_told_of_once(
    ray: FakeRay, workers: RayWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(ray_workers.time, "monotonic", lambda: clock[0])
    ray.answer = lambda *_: None
    workers.start("10.0.0.1/0")
    clock[0] = PATIENCE + 1
    (event,) = workers.wait()
    assert isinstance(event, Warned)
    assert "waits for 2 processors: Ray has none free" in event.message
    ray.held |= {ref: PROVEN for ref, value in ray.held.items() if value is None}
    assert heard(workers, 1) == [Started("10.0.0.1/0", PROVEN)]


def test_nothing_more_is_heard_of_an_actor_that_was_ended(
    ray: FakeRay, workers: RayWorkers
) -> None:
    for name in workers.names:
        workers.start(name)
    workers.end("10.0.0.1/0")
    assert ray.killed == ray.actors[:1]
    assert heard(workers, 1) == [Started("10.0.0.2/0", PROVEN)]


def test_all_actors_end_with_the_run(ray: FakeRay, workers: RayWorkers) -> None:
    for name in workers.names:
        workers.start(name)
    workers.close()
    assert ray.killed == ray.actors


def test_a_cluster_that_has_no_room_is_left(
    ray: FakeRay, make_member: MakeMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[bool] = []
    monkeypatch.setattr(ray_workers, "leave", lambda *, own: left.append(own))
    with pytest.raises(ProviderError, match="has a GPU"):
        made(make_member(), "cuda")
    assert left == [True]


def lost(why: str) -> RayError:
    return RayActorError(error_msg=f"The actor died unexpectedly before finishing this task. {why}")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ActorDiedError(), "the end of its process"),
        (lost("its worker process has died. Worker exit type: SYSTEM_ERROR. The node's OOM killer "
              "may have"), "the end of its process"),
        (lost("The actor died because its node has died. Node Id: 12"), "the loss of its machine"),
        (OutOfMemoryError("killed"), "Ray, as its machine ran low on memory"),
    ],
)  # fmt: skip
def test_the_end_of_an_actor_is_told_in_words(error: Exception, cause: str) -> None:
    assert cause_of(error) == cause
