"""Where work may run, for the doctor: GPUs by number, workers, a Ray cluster.

Told by arguments, but for one thing: whether the address of a cluster answers. Ray itself is not
imported.
"""

import socket
from collections.abc import Mapping, Sequence
from typing import Final

from ensemble.runtime.nvidia import HIDING, Gpu
from ensemble.runtime.wheels import Finding

RAY_ADDRESS: Final = "RAY_ADDRESS"
OWN: Final = ("", "auto", "local")
"""Addresses that name no machine."""

_PATIENCE: Final = 2.0


def places(
    environment: Mapping[str, str], found: Mapping[str, str], gpus: Sequence[Gpu], processors: int
) -> list[Finding]:
    """Return what there is to say of where work may run.

    Args:
        environment: The variables of this process.
        found: The version of each package that is installed.
        gpus: The GPUs that the driver shows.
        processors: How many processors this process may use.
    """
    return [*_gpus(environment, gpus), _local(gpus, processors), *_ray(environment, found)]


def _gpus(environment: Mapping[str, str], gpus: Sequence[Gpu]) -> list[Finding]:
    findings = [
        Finding("gpu", "ok", f"cuda:{gpu.number} is {gpu.name}, {gpu.memory / 1e9:.1f} GB")
        for gpu in gpus
    ]
    if HIDING in environment:
        text = f"{HIDING}={environment[HIDING]!r}: GPUs that it does not name are hidden"
        findings.append(Finding("gpu", "note", text, f"unset {HIDING}"))
    return findings


def _local(gpus: Sequence[Gpu], processors: int) -> Finding:
    parts = [f"a process for each of {len(gpus)} GPUs"] if len(gpus) > 1 else []
    parts.append(f"one process of {processors} threads on the CPU, or --workers N processes")
    return Finding("executor", "ok", f"local: {'; '.join(parts)}")


def _ray(environment: Mapping[str, str], found: Mapping[str, str]) -> list[Finding]:
    """Say which Ray there is and where; nothing where it is not installed: the extras say it."""
    if "ray" not in found:
        return []
    named, address = f"ray {found['ray']}", environment.get(RAY_ADDRESS, "")
    if address in OWN:
        text = f"{named}: {RAY_ADDRESS} names no cluster, so it is one of this machine"
        return [Finding("ray", "ok", text)]
    if why := unreachable(address):
        text = f"{named}: {RAY_ADDRESS}={address} {why}"
        remedy = (
            f"ray status --address {address}, on a machine of the cluster; or unset {RAY_ADDRESS}"
        )
        return [Finding("ray", "problem", text, remedy)]
    return [Finding("ray", "ok", f"{named}: the cluster at {address} answers")]


def unreachable(address: str) -> str:
    """Return why nothing answers at the address of a cluster, host:port; else ""."""
    if address.startswith("ray://"):
        return "is that of Ray's client: say that of the cluster's head, as in 10.0.0.1:6379"
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdigit()):
        return "is no address of a cluster: expected host:port, as in 10.0.0.1:6379"
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        return f"does not answer: {error}"
    return ""
