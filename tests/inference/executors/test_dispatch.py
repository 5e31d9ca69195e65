"""Each shard has one reply in the end, whatever workers do; what cannot be is told and named."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from fake_workers import PROVEN, FakeWorkers, Told, replied, shards

from ensemble.errors import GpuGoneError, ProviderError, ScoreError
from ensemble.inference.executors.dispatch import AGAIN, Dispatcher
from ensemble.inference.executors.workers import (
    Died,
    Event,
    Refused,
    Replied,
    Scoring,
    Started,
    Warned,
)
from ensemble.inference.orders import Proven, ShardOrder, ShardReply


def done(workers: FakeWorkers, count: int = 7, told: Told | None = None) -> dict[int, ShardReply]:
    """Have shards scored, and return their replies."""
    taken: dict[int, ShardReply] = {}
    Dispatcher(workers, told or Told()).work_through(shards(count, taken))
    return taken


@pytest.mark.parametrize("newest_first", [False, True])
def test_each_shard_is_taken_once_in_whatever_order_they_end(*, newest_first: bool) -> None:
    workers, told = FakeWorkers(newest_first=newest_first), Told()
    taken = done(workers, told=told)
    assert sorted(taken) == list(range(7))
    assert len(workers.submitted) == 7
    assert told.done == 7 * 3


def test_a_worker_has_two_shards_and_the_first_of_each_is_given_before_the_second() -> None:
    workers = FakeWorkers(names=("w0", "w1"))
    done(workers, 4)
    # w0 starts first and is alone; w1 comes when two are given
    assert [worker for worker, _, _ in workers.submitted[:4]] == ["w0", "w0", "w1", "w1"]


def test_a_reply_that_comes_twice_is_taken_once() -> None:
    def twice(worker: str, order: ShardOrder) -> Sequence[Event]:
        return [Replied(worker, replied(order))] * 2

    told = Told()
    assert sorted(done(FakeWorkers(fate=twice), told=told)) == list(range(7))
    assert told.done == 7 * 3


def test_a_late_reply_counts_and_the_second_one_of_the_shard_is_dropped() -> None:
    late: list[Event] = []

    def fate(worker: str, order: ShardOrder) -> Sequence[Event] | None:
        if order.number == 2 and not late:
            late.append(Replied(worker, replied(order)))
            return [Died(worker, "a lost node")]
        if order.number == 3 and late:
            return [late[0], Replied(worker, replied(order)), late[0]]
        return None

    workers, told = FakeWorkers(fate=fate), Told()
    assert sorted(done(workers, told=told)) == list(range(7))
    assert told.done == 7 * 3


def test_the_reply_of_another_run_over_shards_is_dropped() -> None:
    def stale(worker: str, order: ShardOrder) -> Sequence[Event]:
        old = ShardReply("before", order.number, error=ScoreError("of before"))
        return [Replied(worker, old), Replied(worker, replied(order))]

    assert sorted(done(FakeWorkers(fate=stale))) == list(range(7))


def test_a_worker_that_dies_is_replaced_and_both_its_shards_are_given_again() -> None:
    deaths: list[int] = []

    def once(worker: str, order: ShardOrder) -> Sequence[Event] | None:
        if deaths:
            return None
        deaths.append(order.number)
        return [Scoring(worker, order.key, order.number, 2), Died(worker, "SIGKILL")]

    workers, told = FakeWorkers(fate=once), Told()
    assert sorted(done(workers, told=told)) == list(range(7))
    assert Counter(workers.starts) == {"w0": 2, "w1": 1}
    assert told.said == ["worker w0 was ended by SIGKILL at shard 0: it is started again"]
    assert told.done == 7 * 3
    assert len(workers.submitted) == 9


def kills(number: int, *, until_suspect: bool, crashed: bool = False) -> FakeWorkers:
    """Workers that die of one shard, always or until its images are looked at."""

    def fate(worker: str, order: ShardOrder) -> Sequence[Event] | None:
        if order.number != number or (until_suspect and order.suspect):
            return None
        return [Died(worker, "SIGABRT", crashed=crashed)]

    return FakeWorkers(fate=fate)


@pytest.mark.parametrize(("crashed", "deaths"), [(True, 1), (False, 2)])
def test_images_are_looked_at_after_a_crash_or_a_second_death(
    *, crashed: bool, deaths: int
) -> None:
    workers = kills(4, until_suspect=True, crashed=crashed)
    assert sorted(done(workers)) == list(range(7))
    mine = [suspect for _, number, suspect in workers.submitted if number == 4]
    assert mine == [False] * deaths + [True]


def test_a_shard_that_always_kills_is_given_four_times_and_named() -> None:
    workers = kills(4, until_suspect=False)
    taken: dict[int, ShardReply] = {}
    with pytest.raises(ScoreError, match=r"shard 4 \('img12' to 'img14'\) ended 4 workers.*ABRT"):
        Dispatcher(workers, Told()).work_through(shards(7, taken))
    assert sum(number == 4 for _, number, _ in workers.submitted) == AGAIN + 1


def test_a_neighbour_of_a_shard_that_kills_is_not_blamed_for_it() -> None:
    for number in range(6):
        workers = kills(number, until_suspect=False)
        with pytest.raises(ScoreError, match=f"shard {number} "):
            Dispatcher(workers, Told()).work_through(shards(7, {}))


def test_a_tenth_of_the_shards_may_die_at_random() -> None:
    chance = random.Random(0)

    def fate(worker: str, _: ShardOrder) -> Sequence[Event] | None:
        return [Died(worker, "os._exit")] if chance.random() < 0.1 else None

    workers = FakeWorkers(names=[f"w{n}" for n in range(8)], fate=fate)
    told = Told()
    assert sorted(done(workers, 300, told)) == list(range(300))
    assert told.done == 300 * 3


def test_a_worker_that_cannot_start_is_named_at_once_and_the_others_do_its_work() -> None:
    workers, told = FakeWorkers(refusing=["w0"]), Told()
    assert sorted(done(workers, told=told)) == list(range(7))
    assert told.said == ["worker w0 cannot start, the others go on without it: no w0"]
    assert {worker for worker, _, _ in workers.submitted} == {"w1"}


def test_the_shards_of_a_worker_that_cannot_go_on_are_done_by_the_others() -> None:
    def blind(worker: str, order: ShardOrder) -> Sequence[Event] | None:
        if worker != "w0":
            return None
        if order.number:  # its end is told once
            return []
        why = ProviderError("no images there")
        return [Scoring(worker, order.key, order.number, 2), Refused(worker, why)]

    workers, told = FakeWorkers(fate=blind), Told()
    assert sorted(done(workers, told=told)) == list(range(7))
    assert told.said == ["worker w0 cannot go on, the others go on without it: no images there"]
    assert told.done == 7 * 3
    assert [number for worker, number, _ in workers.submitted if worker == "w0"] == [0, 1]


def test_where_no_worker_can_start_the_first_says_why() -> None:
    with pytest.raises(RuntimeError, match="no w0"):
        Dispatcher(FakeWorkers(refusing=["w0", "w1"]), Told()).prove()


def test_what_the_first_worker_says_of_its_members_is_told() -> None:
    assert Dispatcher(FakeWorkers(refusing=["w0"]), Told()).prove() == PROVEN


def test_a_worker_that_dies_again_and_again_while_it_starts_is_given_up() -> None:
    class Dying(FakeWorkers):
        def start(self, worker: str) -> None:
            self.starts.append(worker)
            self.events.append(Died(worker, "SIGSEGV"))

    workers = Dying(names=("w0",))
    with pytest.raises(ProviderError, match="SIGSEGV ended it 4 times before it had started"):
        Dispatcher(workers, Told()).prove()
    assert workers.starts == ["w0"] * (AGAIN + 1)


def test_a_worker_whose_members_run_elsewhere_is_not_mixed_in() -> None:
    class Mixed(FakeWorkers):
        def start(self, worker: str) -> None:
            there = Proven("a", "CUDAExecutionProvider", 4, fixed_batch=False, lanes=1)
            self.events.append(Started(worker, (there,) if worker == "w1" else PROVEN))

    workers, told = Mixed(), Told()
    assert sorted(done(workers, told=told)) == list(range(7))
    assert {worker for worker, _, _ in workers.submitted} == {"w0"}
    assert workers.ended == ["w1"]
    assert "CUDAExecutionProvider, those of the others on CPUExecutionProvider" in told.said[0]


def test_a_worker_that_was_left_out_is_not_started_again_when_it_dies() -> None:
    def dies(worker: str, order: ShardOrder) -> Sequence[Event]:
        return [Replied(worker, replied(order)), Died("w1", "SIGKILL")]

    workers, told = FakeWorkers(refusing=["w1"], fate=dies), Told()
    assert sorted(done(workers, told=told)) == list(range(7))
    assert workers.starts == ["w0", "w1"]
    assert told.said == ["worker w1 cannot start, the others go on without it: no w1"]


def test_a_gpu_that_fails_ends_its_worker_once_and_another_takes_its_place() -> None:
    fault = GpuGoneError("the GPU failed, or is gone: CUDA failure 719. Look at nvidia-smi")
    failed: list[int] = []

    def once(worker: str, order: ShardOrder) -> Sequence[Event] | None:
        if failed:
            return None
        failed.append(order.number)
        both = [Replied(worker, ShardReply(order.key, n, error=fault)) for n in (order.number, 1)]
        return [Scoring(worker, order.key, order.number, 2), *both]

    workers, told = FakeWorkers(fate=once), Told()
    assert sorted(done(workers, told=told)) == list(range(7))
    assert (workers.ended, Counter(workers.starts)) == (["w0"], {"w0": 2, "w1": 1})
    why = "the GPU failed, or is gone: CUDA failure 719"
    assert told.said == [f"worker w0 was ended by its GPU ({why}) at shard 0: it is started again"]
    assert told.done == 7 * 3


def test_a_shard_at_which_every_gpu_fails_ends_the_run() -> None:
    def fate(worker: str, order: ShardOrder) -> Sequence[Event] | None:
        error = GpuGoneError("the GPU failed, or is gone: CUDA failure 700")
        return [Replied(worker, ShardReply(order.key, order.number, error=error))]

    with pytest.raises(ScoreError, match="ended 4 workers, the last one by its GPU .*700"):
        done(FakeWorkers(fate=fate))


def test_an_error_of_a_worker_is_raised_by_the_driver() -> None:
    def failing(worker: str, order: ShardOrder) -> Sequence[Event]:
        return [Replied(worker, ShardReply(order.key, order.number, error=ScoreError("NaN")))]

    with pytest.raises(ScoreError, match="NaN"):
        done(FakeWorkers(fate=failing))


def test_what_several_workers_say_is_said_once() -> None:
    def warning(worker: str, order: ShardOrder) -> Sequence[Event]:
        return [Warned(worker, "halved"), Replied(worker, replied(order))]

    told = Told()
    done(FakeWorkers(fate=warning), told=told)
    assert told.said == ["halved"]


def test_shards_can_be_scored_by_the_same_workers_more_than_once() -> None:
    workers = FakeWorkers()
    dispatcher = Dispatcher(workers, Told())
    for _ in range(2):
        taken: dict[int, ShardReply] = {}
        dispatcher.work_through(shards(5, taken))
        assert sorted(taken) == list(range(5))
    assert len(workers.starts) == 2
    dispatcher.close()
    assert workers.closed
