"""Files of checkpoints: untrusted bytes become what they hold.

safetensors holds no code; a pickle is read with `weights_only=True`, and a fixed list of harmless
classes that Lightning and timm files need. Nothing falls back to unsafe loading.
"""

import argparse
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, TypeAlias, cast

import numpy as np
import safetensors
import safetensors.torch
import torch

from ensemble.errors import MemberError
from ensemble.files.paths import is_url

_SNIFFED: Final = 512
_CHECKED: Final = 3
"""The last protocol of pickles that torch's checked unpickler knows."""

_CHUNK: Final = 1 << 20
_ZIP_ERRORS: Final = (
    zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
"""What Python's zipfile raises of a damaged archive; NotImplementedError is a RuntimeError."""

_ALLOWED: TypeAlias = Callable[..., object] | tuple[Callable[..., object], str]


def read_file(path: Path, *, trust_pickle: bool = False) -> object:
    """Return what a file holds: of .safetensors a dict of tensors, else what `torch.save` wrote.

    Args:
        path: The file; safetensors are known by their content, whatever the file is called.
        trust_pickle: Run the code that the file's pickle asks for.

    Raises:
        MemberError: the file is missing or damaged, or needs code to be read; says the remedy.
    """
    head = _sniff(path)
    if path.suffix == ".safetensors" or _is_safetensors(head):
        return _read_safetensors(path)
    return _read_pickle(path, trust_pickle)


def _sniff(path: Path) -> bytes:
    if is_url(path):
        raise MemberError(f"{path}: a URL is not a checkpoint; download it first")
    if path.is_dir():
        raise MemberError(
            f"{path}: a folder, as DeepSpeed and FSDP write it. Join its shards into one file of "
            f"weights first, such as with zero_to_fp32.py, and export that"
        )
    try:
        with path.open("rb") as stream:
            head = stream.read(_SNIFFED)
    except OSError as error:
        raise MemberError(f"{path}: cannot read the checkpoint: {error.strerror}") from error
    if not head:
        raise MemberError(f"{path}: the checkpoint is empty (0 bytes)")
    if head.startswith(b"version https://git-lfs"):
        raise MemberError(f"{path}: a git-lfs pointer, not the checkpoint. Run `git lfs pull`")
    if head.lstrip()[:1] == b"<":
        raise MemberError(f"{path}: an HTML page, not a checkpoint. Download it again")
    return head


def _is_safetensors(head: bytes) -> bool:
    return head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 100_000_000


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, "safetensors file", error) from error


def _read_pickle(path: Path, trust: bool) -> object:
    names = _archived(path)
    if any(name.endswith("/constants.pkl") for name in names):
        raise MemberError(
            f"{path}: a TorchScript archive, which is code. Save its weights instead: "
            f"torch.save(torch.jit.load(FILE).state_dict(), OTHER)"
        )
    if names:
        _check_sums(path)
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols, which decide nothing
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except Exception as error:  # damaged bytes make torch and pickle raise anything
        raise _unread(path, error, names) from error


def _archived(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except _ZIP_ERRORS:
        return []


def _check_sums(path: Path) -> None:
    """Hold each record of an archive against its CRC-32, which torch itself does not look at.

    Torch writes 0 where it was told to compute none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for record in filter(attrgetter("CRC"), archive.infolist()):
                with archive.open(record) as stream:
                    while stream.read(_CHUNK):
                        pass
    except _ZIP_ERRORS as error:
        raise _damaged(path, "PyTorch checkpoint", error) from error


def _unread(path: Path, error: Exception, names: list[str]) -> MemberError:
    """Say why torch did not read a file, and what to do."""
    wanted = re.search(r"GLOBAL (\S+)", str(error))
    if isinstance(error, pickle.UnpicklingError) and wanted:
        return MemberError(
            f"{path}: its pickle runs code, {wanted[1]}, so it was not loaded. Save the "
            f"weights alone, as torch.save(net.state_dict(), FILE) or safetensors; or, if "
            f"you trust who made the file, --trust-pickle {path}"
        )
    if isinstance(error, ImportError):
        return MemberError(
            f"{path}: its pickle needs a module that is not here: {error}. Install it, or "
            f"save the weights alone, as torch.save(net.state_dict(), FILE)"
        )
    if (protocol := _protocol(path, names)) > _CHECKED:
        return MemberError(
            f"{path}: a pickle of protocol {protocol}, which torch cannot read without running "
            f"its code. Save it again without pickle_protocol={protocol}, as "
            f"torch.save(torch.load(FILE, weights_only=False), OTHER), or as safetensors; or, if "
            f"you trust who made the file, --trust-pickle {path}"
        )
    return _damaged(path, "PyTorch checkpoint", error)


def _protocol(path: Path, names: list[str]) -> int:
    """Return the protocol of the pickle in a file, or 0 where its start does not tell."""
    inner = next((name for name in names if name.endswith("/data.pkl")), None)
    try:
        start = _start(path, inner)
    except _ZIP_ERRORS:
        return 0
    return start[1] if start[:1] == b"\x80" and len(start) == 2 else 0


def _start(path: Path, inner: str | None) -> bytes:
    if inner is None:
        with path.open("rb") as stream:
            return stream.read(2)
    with zipfile.ZipFile(path) as archive, archive.open(inner) as stream:
        return stream.read(2)


def _harmless() -> list[_ALLOWED]:
    """Classes and functions that hold data only. Paths and defaultdicts become inert twins."""
    rebuild = np.zeros(1).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    allowed: list[_ALLOWED] = [argparse.Namespace, np.dtype, np.ndarray, list, dict, int, float]
    allowed += [cast(type, getattr(np.dtypes, name)) for name in np.dtypes.__all__]
    for package in ("numpy.core", "numpy._core"):
        allowed.append((cast(Callable[..., object], rebuild), f"{package}.multiarray._reconstruct"))
        allowed.append((cast(Callable[..., object], scalar), f"{package}.multiarray.scalar"))
    for module in ("pathlib", "pathlib._local"):
        for name in ("PosixPath", "PurePosixPath", "Path"):
            allowed.append((PurePosixPath, f"{module}.{name}"))
        for name in ("WindowsPath", "PureWindowsPath"):
            allowed.append((PureWindowsPath, f"{module}.{name}"))
    allowed.append((_plain_dict, "collections.defaultdict"))
    return allowed


def _plain_dict(_factory: object = None) -> dict[object, object]:
    return {}


def _damaged(path: Path, kind: str, error: BaseException) -> MemberError:
    text = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    reason = text.splitlines()[0][:200] if text else type(error).__name__
    return MemberError(f"{path}: truncated or not a {kind} ({reason}). Copy it again")
