"""The wheels of ONNX Runtime that are installed: one, never two."""

import contextlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

from ensemble.errors import ProviderError

CPU_WHEEL: Final = "onnxruntime"

GPU_WHEEL: Final = "onnxruntime-gpu"

WHEELS: Final = (CPU_WHEEL, GPU_WHEEL)

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "export": ("torch", "torchvision", "timm", "ttach", "onnxscript", "safetensors"),
    "tune": ("ImageHash", "jinja2", "matplotlib", "scikit-learn"),
    "ray": ("ray",),
    "openvino": ("openvino",),
}
"""The packages of each extra, as in pyproject.toml."""

CORE: Final = ("ensemble-vote", "numpy", "onnx", "pyarrow", "pillow", "simplejpeg", "scipy")

Level = Literal["ok", "note", "problem"]


@cache
def version_of(package: str) -> str:
    """Return a package's version, which is looked up once a process.

    Raises:
        PackageNotFoundError: it is not installed; it is looked for again the next time.
    """
    return version(package)


def installed(names: Sequence[str] = ()) -> dict[str, str]:
    """Return the version of each package that is installed, by its name: of all that matter.

    Of some of them where they are named: each takes milliseconds to look for.
    """
    every = (*CORE, *WHEELS, *(name for extra in EXTRAS.values() for name in extra))
    names, found = names or every, {}
    for name in names:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version_of(name)
    return found


def check_wheels(found: Mapping[str, str]) -> None:
    """Check that one wheel of ONNX Runtime is installed, before a run trusts it.

    Raises:
        ProviderError: both are: they share one folder, and which of them runs is chance.
    """
    if CPU_WHEEL in found and GPU_WHEEL in found:
        finding = both_installed(found)
        raise ProviderError(f"{finding.text}. Mend it with: {finding.remedy}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` is a line to type, where there is one."""

    topic: str
    level: Level
    text: str
    remedy: str = ""


def both_installed(found: Mapping[str, str]) -> Finding:
    text = (
        f"{CPU_WHEEL} {found[CPU_WHEEL]} and {GPU_WHEEL} {found[GPU_WHEEL]} are both installed: "
        f"they overwrite each other's files"
    )
    line = f"pip uninstall -y {CPU_WHEEL} {GPU_WHEEL} && pip install {usual_wheel()}"
    return Finding("onnxruntime", "problem", text, line)


def usual_wheel() -> str:
    """Name the wheel that the package asks for on this machine, as in pyproject.toml."""
    usual = platform.system() in ("Linux", "Windows")
    return GPU_WHEEL if usual and platform.machine() in ("x86_64", "AMD64") else CPU_WHEEL
