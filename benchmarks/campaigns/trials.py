"""What the campaigns share: trials in processes of their own, and the table that they print.

A trial is a function of its number. It runs in a child process, so that a native crash or a hang
ends the child, is counted against the trial that it was at, and the campaign goes on after it.
"""

import argparse
import multiprocessing
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

WORK = Path(__file__).parents[1] / "work"
SILENCE = 120.0
"""Seconds without a trial's end after which a child counts as hung."""

BATCH = 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trial: a group, what happened, whether it may, seconds, and details."""

    group: str
    result: str
    allowed: bool
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A damaged file: what it was made of, and its bytes."""

    name: str
    data: bytes


Damage = Callable[[bytearray, random.Random], bytearray]


def damaged(data: bytearray, damages: Sequence[Damage], rng: random.Random) -> bytearray:
    """Return bytes after one to three damages, mostly one."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(damages)(data, rng)
    return data


@dataclass(slots=True)
class Tally:
    """Outcomes of a campaign, counted."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[tuple[int, Outcome]] = field(default_factory=list)
    slowest: tuple[float, int, str] = (0.0, -1, "")
    memory: int = 0

    def add(self, number: int, outcome: Outcome) -> None:
        """Count one trial."""
        self.counts.setdefault(outcome.group, Counter())[outcome.result] += 1
        self.slowest = max(self.slowest, (outcome.seconds, number, outcome.group))
        if not outcome.allowed:
            self.faults.append((number, outcome))

    def join(self, other: "Tally") -> None:
        """Count what another campaign counted, too."""
        self.counts |= other.counts
        self.faults += other.faults
        self.slowest = max(self.slowest, other.slowest)
        self.memory = max(self.memory, other.memory)

    @property
    def trials(self) -> int:
        """How many trials were counted."""
        return sum(sum(found.values()) for found in self.counts.values())


Trial = Callable[[int], Outcome]


def run_trials(trial: Trial, count: int, *, workers: int = 2) -> Tally:
    """Run the trials 0 to count - 1 in child processes, and count what became of them."""
    batches = iter([range(i, min(i + BATCH, count)) for i in range(0, count, BATCH)])
    tally, children = Tally(), [c for c in (_begin(trial, batches) for _ in range(workers)) if c]
    while children:
        ready = wait([child.pipe for child in children], timeout=1)
        for child in list(children):
            child.heard(tally, ready=child.pipe in ready)
            if child.hung():
                child.process.kill()
            if child.ended:
                children.remove(child)
                left = child.close(tally)
                following = _child(trial, left) if left else _begin(trial, batches)
                children += [following] if following else []
    return tally


def asked_of(about: str, count: int) -> argparse.Namespace:
    """Read what the command line asks of a campaign: seed, count, workers."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def run_seeded(trial: Callable[[int, int], Outcome], asked: argparse.Namespace) -> Tally:
    """Run trials of a seed as the command line asks, and print the tally."""
    began = time.perf_counter()
    tally = run_trials(lambda n: trial(asked.seed, n), asked.count, workers=asked.workers)
    print_tally(tally, seed=asked.seed, seconds=time.perf_counter() - began)
    return tally


@dataclass(slots=True)
class _Child:
    """A process at work on trials, and how far it is known to be."""

    process: multiprocessing.Process
    pipe: Connection
    numbers: range
    done: int = 0
    ended: bool = False
    last: float = field(default_factory=time.monotonic)

    def heard(self, tally: Tally, *, ready: bool) -> None:
        while ready and self.pipe.poll():
            try:
                outcome, memory = self.pipe.recv()
            except EOFError:
                self.ended = True
                return
            tally.add(self.numbers[self.done], outcome)
            tally.memory = max(tally.memory, memory)
            self.done, self.last = self.done + 1, time.monotonic()

    def hung(self) -> bool:
        return self.process.is_alive() and time.monotonic() - self.last > SILENCE

    def close(self, tally: Tally) -> range | None:
        """Count the trial at which a child died; return what it left undone."""
        self.process.join()
        self.pipe.close()
        if self.done == len(self.numbers):
            return None
        number, code = self.numbers[self.done], self.process.exitcode
        what = "hang" if self.last + SILENCE < time.monotonic() else f"crash (exit {code})"
        tally.add(number, Outcome("native", what, allowed=False))
        return self.numbers[self.done + 1 :] or None


def _begin(trial: Trial, batches: Iterator[range]) -> _Child | None:
    numbers = next(batches, None)
    return None if numbers is None else _child(trial, numbers)


def _child(trial: Trial, numbers: range) -> _Child:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(trial, numbers, theirs), daemon=True)
    process.start()
    theirs.close()
    return _Child(process, ours, numbers)


def _work(trial: Trial, numbers: range, pipe: Connection) -> None:
    for number in numbers:
        began = time.perf_counter()
        outcome = trial(number)
        seconds = time.perf_counter() - began
        found = Outcome(outcome.group, outcome.result, outcome.allowed, seconds, outcome.detail)
        pipe.send((found, peak_memory()))


def peak_memory() -> int:
    """Return the largest resident set of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def print_tally(tally: Tally, *, seed: int, seconds: float) -> None:
    """Print the counts as Markdown, and each fault by number."""
    results = sorted({name for found in tally.counts.values() for name in found})
    print_table(
        ["", *results],
        [[group, *(found[name] for name in results)] for group, found in tally.counts.items()],
    )
    slow, number, group = tally.slowest
    print(
        f"\n{tally.trials} trials, seed {seed}, {seconds:.0f} s; slowest {slow:.2f} s (number "
        f"{number}, {group}); largest resident set {tally.memory / 2**20:.0f} MiB; "
        f"faults: {len(tally.faults)}"
    )
    for number, outcome in tally.faults[:50]:
        print(f"- {number}: {outcome.group}: {outcome.result} {outcome.detail}")


def print_table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(map(str, header)) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
