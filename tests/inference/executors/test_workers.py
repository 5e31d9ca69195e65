"""The seam is a protocol that the fake of the tests fulfils."""

from fake_workers import FakeWorkers

from ensemble.inference.executors.workers import Workers


def test_workers_without_processes_fulfil_the_protocol() -> None:
    workers: Workers = FakeWorkers()
    assert list(workers.names) == ["w0", "w1"]
