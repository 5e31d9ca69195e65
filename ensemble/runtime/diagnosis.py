"""What is wrong with an installation, and the line that mends it.

Everything is told by arguments: what is installed, and what a probe of ONNX Runtime found. So
each conflict can be told apart without having it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ensemble.cores import cores
from ensemble.errors import UsageError
from ensemble.files.atomic import check_writable, free_bytes
from ensemble.runtime.wheels import (
    CORE,
    CPU_WHEEL,
    EXTRAS,
    GPU_WHEEL,
    Finding,
    both_installed,
    usual_wheel,
)

_LITTLE: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """What ONNX Runtime does here.

    `fault` says why it cannot be used at all. `providers` has, for each provider that is compiled
    in, "" where a session really runs on it, else the reason. `missing` are the shared libraries
    that CUDA needs and that are not found; `driver` is the CUDA version that the driver takes, as
    13020 for 13.2, and 0 without a driver.
    """

    fault: str = ""
    providers: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    driver: int = 0


def examine(found: Mapping[str, str], probe: Probe) -> list[Finding]:
    """Return what there is to say of packages, providers, CUDA's libraries and extras."""
    wheels = _wheels(found, probe)
    listed = ", ".join(f"{name} {found[name]}" for name in CORE if name in found)
    return [
        *wheels,
        Finding("packages", "ok", listed),
        *_providers(probe),
        *(_cuda(found, probe) if GPU_WHEEL in found else []),
        *_extras(found),
    ]


def machine(store: Path) -> list[Finding]:
    """Return what there is to say of processors, memory, and the disk where the store lies."""
    findings = [Finding("threads", "ok", _threads())]
    if memory := _memory():
        findings.append(Finding("memory", "ok", memory))
    free = free_bytes(store)
    text = f"{free / 1e9:.1f} GB are free where the store {store} lies"
    little = free < _LITTLE
    remedy = "ensemble store gc --yes, or --store on another disk" if little else ""
    findings.append(Finding("disk", "problem" if little else "ok", text, remedy))
    try:
        check_writable(store, "--store")
    except UsageError as error:
        findings.append(Finding("disk", "problem", str(error), "--store with another folder"))
    return findings


def libraries(wheel: str) -> tuple[str, ...]:
    """Return the shared libraries that a version of onnxruntime-gpu needs on Linux."""
    thirteen = _release(wheel) >= _CUDA13
    major = 13 if thirteen else 12
    names = (f"libcudart.so.{major}", f"libcublas.so.{major}", f"libcublasLt.so.{major}")
    return ("libcuda.so.1", *names, f"libcufft.so.{major - 1}", "libcurand.so.10", "libcudnn.so.9")


def _wheels(found: Mapping[str, str], probe: Probe) -> list[Finding]:
    present = [name for name in (CPU_WHEEL, GPU_WHEEL) if name in found]
    if len(present) == 2:
        return [both_installed(found)]
    if not present:
        return [Finding("onnxruntime", "problem", "no wheel of ONNX Runtime is installed",
                        f"pip install {usual_wheel()}")]  # fmt: skip
    name = f"{present[0]} {found[present[0]]}"
    if probe.fault:
        again = f"pip install --force-reinstall --no-deps {present[0]}=={found[present[0]]}"
        return [Finding("onnxruntime", "problem", f"{name} is installed, and {probe.fault}", again)]
    return [Finding("onnxruntime", "ok", name)]


def _providers(probe: Probe) -> list[Finding]:
    findings = [
        Finding("provider", "note" if reason else "ok",
                f"{name} does not start: {reason}" if reason else f"{name} starts")
        for name, reason in probe.providers.items()
    ]  # fmt: skip
    if not probe.fault and all(probe.providers.values()):
        findings.append(Finding("provider", "problem", "no provider starts",
                                f"pip install --force-reinstall {usual_wheel()}"))  # fmt: skip
    return findings


def _cuda(found: Mapping[str, str], probe: Probe) -> list[Finding]:
    """Tell what CUDA lacks: a note without a driver, for there is no GPU; else a problem."""
    release = found[GPU_WHEEL]
    thirteen = _release(release) >= _CUDA13
    needs = f"{GPU_WHEEL} {release} needs CUDA {13 if thirteen else 12} and cuDNN 9"
    if probe.fault:
        return []
    if not probe.driver:
        lacks = f"{needs}; no NVIDIA driver was found"
        return [Finding("cuda", "note", f"{lacks} (missing: {', '.join(probe.missing) or 'none'})")]
    if thirteen and probe.driver < _DRIVER_13:
        old = f"{needs}; the driver takes CUDA {probe.driver // 1000}.{probe.driver % 1000 // 10}"
        line = f"pip install '{GPU_WHEEL}[cuda,cudnn]<1.27'"
        return [Finding("cuda", "problem", f"{old}: update it, or take the last wheel for CUDA 12",
                        line)]  # fmt: skip
    if probe.missing:
        line = f"pip install '{GPU_WHEEL}[cuda,cudnn]=={release}'"
        return [Finding("cuda", "problem", f"{needs}; missing: {', '.join(probe.missing)}", line)]
    return [Finding("cuda", "ok", f"{needs}, and its libraries are found")]


def _extras(found: Mapping[str, str]) -> list[Finding]:
    findings = []
    for extra, names in EXTRAS.items():
        lacking = [name for name in names if name not in found]
        line = f"pip install 'ensemble-vote[{extra}]'" if lacking else ""
        text = f"extra {extra}: " + (f"without {', '.join(lacking)}" if lacking else "installed")
        findings.append(Finding("extras", "note" if lacking else "ok", text, line))
    return findings


def _release(text: str) -> tuple[int, ...]:
    parts = text.split(".")[:2]
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


def _threads() -> str:
    own = cores()
    text = f"this process may use {own} of {os.cpu_count()} processors"
    quota, _, period = _line("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(quota) < own * int(period):
        share = int(quota) / int(period)
        text += f", and its control group {share:.3g} of them: say --threads {max(1, int(share))}"
    return text


def _memory() -> str:
    """Say how much memory is there to use; "" where the system does not tell."""
    lines = _text("/proc/meminfo").splitlines()
    free = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), "")
    text = f"{int(free) / 1e6:.1f} GB are available" if free.isdigit() else ""
    limit = _line("/sys/fs/cgroup/memory.max")
    return f"{text}, the control group's limit is {int(limit) / 1e9:.1f} GB" \
        if text and limit.isdigit() else text  # fmt: skip


def _line(path: str) -> str:
    return _text(path).strip()


def _text(path: str) -> str:
    try:
        return Path(path).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


_CUDA13: Final = (1, 27)
"""The first wheel of onnxruntime-gpu for CUDA 13; 1.26 is the last for CUDA 12."""

_DRIVER_13: Final = 13_000
