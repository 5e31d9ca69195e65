"""A cluster of Ray: joined or started, its machines, and its talk kept from the terminal."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps

from ensemble.errors import ProviderError, UsageError
from ensemble.inference.executors.nodes import Node
from ensemble.runtime.devices import available_threads, first_line
from ensemble.runtime.places import OWN, RAY_ADDRESS, unreachable

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read while Ray is imported
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what it will be: else it warns

import ray
from ray.exceptions import RayError


def join(address: str) -> bool:
    """Join a cluster or start one on this machine; tell whether Ray is ours to shut down.

    A Python that uses Ray already goes on with its cluster.

    Raises:
        UsageError: the address is that of another cluster than this Python uses.
        ProviderError: nobody answers there, or Ray refuses.
    """
    if ray.is_initialized():
        _check_same(address)
        return False
    address = address or os.environ.get(RAY_ADDRESS, "")
    local = address in ("", "local")
    if address not in OWN and (why := unreachable(address)):
        raise ProviderError(f"Ray at {address} {why}. Start it there with `ray start --head`, or "
                            f"leave the address out to use this machine")  # fmt: skip
    more = {"num_cpus": available_threads(), "include_dashboard": False} if local else {}
    with _own_signals():
        try:
            ray.init(address or "local", log_to_driver=False, logging_level="error", **more)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            where = "cannot be started here" if local else f"at {address} cannot be joined"
            raise ProviderError(
                f"Ray {where}: {first_line(error)}. It needs 100 MB of shared memory (/dev/shm), "
                f"and everywhere the same Ray and Python; its logs lie in /tmp/ray/session_latest"
            ) from error
    _hush()
    return True


def nodes() -> list[Node]:
    """Return the machines of the cluster that are alive."""
    return [
        Node(
            each["NodeID"],
            each["NodeManagerAddress"],
            int(each["Resources"].get("CPU", 0)),
            int(each["Resources"].get("GPU", 0)),
        )
        for each in ray.nodes()
        if each["Alive"]
    ]


def leave(*, own: bool) -> None:
    """Leave a cluster, and end it where it was started here; nothing, where Ray is not ours."""
    if own:
        ray.shutdown()
        _speak()


def _check_same(address: str) -> None:
    """Check that an address that was given is that of the cluster that this Python uses."""
    used = ray.get_runtime_context().gcs_address
    if address not in ("", "auto", used):
        raise UsageError(
            f"ray_address {address!r}: this Python uses Ray at {used} already. Leave the address "
            f"out, or call ray.shutdown() before"
        )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what SIGTERM does: Ray would end the process by its own handler."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


def _hush() -> None:
    """Keep Ray from printing what befalls workers, to stdout whatever it is told: we say it."""
    internals = ray._private.worker
    if printing := getattr(internals, "print_to_stdstream", None):
        internals.print_to_stdstream = wraps(printing)(lambda *_, **__: None)


def _speak() -> None:
    """Undo `_hush`, for whatever this Python does with Ray afterwards."""
    internals = ray._private.worker
    if hushed := getattr(internals, "print_to_stdstream", None):
        internals.print_to_stdstream = getattr(hushed, "__wrapped__", hushed)
