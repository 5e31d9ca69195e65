"""On another machine a worker checks what is there, and then scores as anywhere."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import MakeMember

from ensemble.errors import MemberError, ProviderError
from ensemble.images.reading import Hashed
from ensemble.images.sources import Source
from ensemble.inference.executors import remote
from ensemble.inference.executors.parcels import pack
from ensemble.inference.executors.remote import (
    ImageNotThereError,
    RemoteOrder,
    RemoteWorker,
    check_versions,
    named,
    versions,
)
from ensemble.inference.executors.shard_worker import Worker
from ensemble.inference.orders import MemberOrder, ShardOrder, WorkerOrder
from ensemble.members.member import open_member
from ensemble.progress import Quiet
from ensemble.records import DecodePolicy
from ensemble.runtime import wheels
from ensemble.views.policy import preset


@pytest.fixture(autouse=True)
def _a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)


def told(path: Path, kept: dict[str, bytes]) -> RemoteOrder:
    member = open_member(path)
    order = WorkerOrder(
        (MemberOrder(member.card.name, path, member.sha256, preset("hflip"), "mean", "fp32", 4),),
        DecodePolicy(), "cpu", 1, Path("engines"),
    )  # fmt: skip
    parcel = pack(path, member.sha256, kept.__setitem__)
    return RemoteOrder(order, (parcel,), versions("cpu"), Path.cwd())


def shard(images: list[Hashed]) -> ShardOrder:
    return ShardOrder("key", 3, tuple(images), ("toy-f0",), share=len(images))


def test_a_worker_far_away_gives_the_bits_of_one_here(
    make_member: MakeMember, hashed: list[Hashed]
) -> None:
    kept: dict[str, bytes] = {}
    order = told(make_member(), kept)
    here = Worker(order.order).work(shard(hashed), Quiet())
    order.order.members[0].path.unlink()  # it is there by content alone
    there = RemoteWorker(order, kept.__getitem__)
    reply = there.work(shard(hashed), look=True).reply
    assert reply.scored[0].ids == here.scored[0].ids
    np.testing.assert_array_equal(reply.scored[0].heads["label"], here.scored[0].heads["label"])
    assert [proven.name for proven in there.proven] == ["toy-f0"]


def test_what_a_worker_warns_of_comes_with_its_reply(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, bytes] = {}
    worker = RemoteWorker(told(make_member(), kept), kept.__getitem__)
    monkeypatch.setattr(Worker, "work", lambda _self, _order, progress: progress.warn("halved"))
    assert worker.work(shard(hashed), look=False).warnings == ("halved",)


def test_relative_paths_count_from_the_folder_of_the_command(
    make_member: MakeMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, bytes] = {}
    order = told(make_member(), kept)
    monkeypatch.chdir("/")
    RemoteWorker(order, kept.__getitem__)
    assert Path.cwd() == tmp_path


def test_a_folder_that_is_not_there_is_no_reason_to_refuse(make_member: MakeMember) -> None:
    kept: dict[str, bytes] = {}
    order = replace(told(make_member(), kept), folder=Path("/no/such/folder"))
    assert RemoteWorker(order, kept.__getitem__).proven


def test_engines_lie_on_the_machine_that_builds_them(
    make_member: MakeMember, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, bytes] = {}
    order = told(make_member(), kept)
    begun: list[WorkerOrder] = []
    monkeypatch.setattr(remote, "Worker", begun.append)
    RemoteWorker(order, kept.__getitem__)
    assert begun[0].cache == tmp_path / "cache" / "engines"
    assert begun[0].members[0].path.is_relative_to(tmp_path / "cache" / "members")


def test_an_image_that_is_not_on_a_machine_is_told_before_it_scores(
    make_member: MakeMember, hashed: list[Hashed]
) -> None:
    kept: dict[str, bytes] = {}
    worker = RemoteWorker(told(make_member(), kept), kept.__getitem__)
    away = [replace(image, source=Source(image.source.id, Path("/no/such"))) for image in hashed]
    error = worker.work(shard(away), look=True).reply.error
    assert isinstance(error, ImageNotThereError)
    assert str(error).startswith("image 'img1' (/no/such) is not there as the command sees it: ")
    assert worker.work(shard(away), look=False).reply.error is None


def test_an_image_that_nobody_could_read_shows_nothing_of_a_machine(
    make_member: MakeMember, tmp_path: Path
) -> None:
    kept: dict[str, bytes] = {}
    worker = RemoteWorker(told(make_member(), kept), kept.__getitem__)
    lost = Hashed(Source("a", tmp_path / "a.png"), "", -1)
    assert [q.id for q in worker.work(shard([lost]), look=True).reply.scored[0].lost] == ["a"]


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        ({"numpy": "2"}, {"numpy": "1"}, "package numpy is 1, and 2 where .*numpy==2"),
        ({"numpy": "2"}, {}, "package numpy is not there, and 2 where .*pip install numpy==2"),
        ({}, {"onnxruntime": "1"}, "onnxruntime is 1, and not there where .*pip uninstall"),
    ],
)
def test_packages_of_other_versions_are_refused(
    there: dict[str, str], here: dict[str, str], message: str
) -> None:
    with pytest.raises(ProviderError, match=message):
        check_versions(there, here)


def test_packages_of_the_same_versions_pass() -> None:
    found = versions("cpu")
    check_versions(found, dict(found))
    assert {"numpy", "ensemble-vote"} <= found.keys()


@pytest.mark.parametrize(("device", "count"), [("cpu", 0), ("openvino", 1)])
def test_openvino_counts_where_it_computes(
    device: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "version_of", lambda name: "1")
    assert list(versions(device)).count("openvino") == count


def test_an_image_may_be_looked_for_after_some_seconds(
    make_member: MakeMember, hashed: list[Hashed], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, bytes] = {}
    worker = RemoteWorker(told(make_member(), kept), kept.__getitem__)
    away = hashed[0].source.path.rename(hashed[0].source.path.with_suffix(".away"))
    slept: list[float] = []

    def back(seconds: float) -> None:
        slept.append(seconds)
        away.rename(hashed[0].source.path)

    monkeypatch.setattr(remote.time, "sleep", back)
    assert worker.work(shard(hashed), look=True, after=5).reply.error is None
    assert slept == [5]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemberError("m"), MemberError),
        (ProviderError("p"), ProviderError),
        (OSError("o"), ProviderError),
    ],
)
def test_an_error_names_the_machine_that_gave_it(error: Exception, kind: type[Exception]) -> None:
    found = named("machine 10.0.0.2", error)
    assert type(found) is kind
    assert str(found) == f"machine 10.0.0.2: {error}"


def test_the_cache_lies_where_temporary_files_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(remote.tempfile, "gettempdir", lambda: str(tmp_path))
    assert remote.cache_folder().parent == tmp_path
    assert stat.filemode(remote.cache_folder().stat().st_mode) == "drwx------"


@pytest.mark.parametrize("kind", ["drwxrwxrwx", "lrwxrwxrwx", "-rw-r--r--"])
def test_a_cache_that_others_may_write_to_or_lead_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(remote.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = remote.cache_folder()
    folder.rmdir()
    if kind[0] == "l":
        folder.symlink_to(tmp_path)
    elif kind[0] == "d":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        folder.write_bytes(b"")
    told = "cannot keep members there" if kind[0] == "-" else f"found {kind} of user"
    with pytest.raises(ProviderError, match=told):
        remote.cache_folder()


def test_a_cache_of_another_user_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(remote.tempfile, "gettempdir", lambda: str(tmp_path))
    other = os.getuid() + 1
    monkeypatch.setattr(remote.os, "getuid", lambda: other)
    with pytest.raises(ProviderError, match=f"expected a folder of user {other}"):
        remote.cache_folder()
