"""Reading checkpoints: a training run's file becomes a plain state dict. The door for torch.

The file is untrusted. safetensors holds no code; a pickle is read with `weights_only=True`, and a
fixed list of harmless classes that Lightning and timm files need. Nothing falls back to unsafe
loading, and no weight is dropped in silence.
"""

import argparse
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, TypeAlias, cast

import numpy as np
import safetensors
import safetensors.torch
import torch

from ensemble.errors import MemberError, few
from ensemble.files.atomic import sha256_file
from ensemble.files.paths import is_url

PREFIXES: Final = ("module.", "_orig_mod.", "model.", "net.")
"""What DataParallel, torch.compile and Lightning modules put before a net's own names."""

_CONTAINERS: Final = ("state_dict", "model_state_dict", "model")
_EMA_CONTAINERS: Final = ("state_dict_ema", "model_ema", "ema_state_dict")
_LIGHTNING: Final = ("pytorch-lightning_version", "hyper_parameters", "callbacks", "loops")
_COUNTER: Final = "n_averaged"
_SNIFFED: Final = 512
_ALLOWED: TypeAlias = Callable[..., object] | tuple[Callable[..., object], str]
_TORCH_ERRORS: Final = (
    pickle.UnpicklingError,
    struct.error,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A net's weights by name, the prefix that was removed from every name, the file's hash."""

    state: dict[str, torch.Tensor]
    stripped: str
    sha256: str


def load_checkpoint(path: Path, *, ema: bool = False, trust_pickle: bool = False) -> Checkpoint:
    """Read a checkpoint: a state dict, or a file of torch, Lightning or timm that holds one.

    A known prefix is removed where every name carries it. The step counter of torch's
    `AveragedModel`, `n_averaged`, is no weight and is left out.

    Args:
        path: A .safetensors file, or what `torch.save` wrote.
        ema: Take the moving average of the weights instead of the weights.
        trust_pickle: Run the code that the file's pickle asks for.

    Raises:
        MemberError: the file is missing or damaged, needs code to be read, or holds no weights.
    """
    head = _sniff(path)
    if path.suffix == ".safetensors" or _is_safetensors(head):
        content: object = _read_safetensors(path)
    else:
        content = _read_pickle(path, trust_pickle)
    state = _weights(_find(content, path, ema), path)
    if isinstance(content, Mapping) and any(key in content for key in _LIGHTNING):
        _check_lightning(state, path)
    state, stripped = _strip(state)
    return Checkpoint(state, stripped, sha256_file(path))


def _sniff(path: Path) -> bytes:
    if is_url(path):
        raise MemberError(f"{path}: a URL is not a checkpoint; download it first")
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


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, "safetensors file", error) from error


def _read_pickle(path: Path, trust: bool) -> object:
    if _is_torchscript(path):
        raise MemberError(
            f"{path}: a TorchScript archive, which is code. Save its weights instead: "
            f"torch.save(torch.jit.load(FILE).state_dict(), OTHER)"
        )
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols, which decide nothing
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except _TORCH_ERRORS as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and wanted:
            raise MemberError(
                f"{path}: its pickle runs code, {wanted[1]}, so it was not loaded. Save the "
                f"weights alone, as torch.save(net.state_dict(), FILE) or safetensors; or, if "
                f"you trust who made the file, --trust-pickle {path}"
            ) from error
        if isinstance(error, ImportError):
            raise MemberError(
                f"{path}: its pickle needs a module that is not here: {error}. Install it, or "
                f"save the weights alone, as torch.save(net.state_dict(), FILE)"
            ) from error
        raise _damaged(path, "PyTorch checkpoint", error) from error


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


def _find(content: object, path: Path, ema: bool) -> object:
    """Return what holds the weights: a mapping, or a net that was pickled whole."""
    if isinstance(content, torch.nn.Module) and not ema:
        return content.state_dict()
    if not isinstance(content, Mapping):
        raise MemberError(f"{path}: expected a state dict, found {type(content).__name__}")
    names = _EMA_CONTAINERS if ema else _CONTAINERS
    found = [n for n in names if isinstance(content.get(n), Mapping | torch.nn.Module)]
    if len(found) > 1:
        raise MemberError(
            f"{path}: holds weights under {' and '.join(found)}; save the one to use alone, as "
            f"torch.save(torch.load(FILE)[{found[0]!r}], OTHER)"
        )
    if found:
        inner = content[found[0]]
        return inner.state_dict() if isinstance(inner, torch.nn.Module) else inner
    if ema:
        raise MemberError(
            f"{path}: holds no EMA weights ({' or '.join(names)}); it has {few(content)}. "
            f"Leave out --ema to use its plain weights"
        )
    return content


def _weights(found: object, path: Path) -> dict[str, torch.Tensor]:
    state = cast(Mapping[object, object], found)
    foreign = [k for k, v in state.items() if not isinstance(v, torch.Tensor)]
    if foreign or not state:
        what = f"values that are no tensors: {few(foreign)}" if foreign else "no weights"
        raise MemberError(
            f"{path}: expected a state dict, bare or under {', '.join(_CONTAINERS)}; it holds "
            f"{what}"
        )
    weights = cast(Mapping[str, torch.Tensor], state)
    others = [k for k in weights if k != _COUNTER]
    averaged = len(others) < len(weights) and all(k.startswith("module.") for k in others)
    return {k: v for k, v in weights.items() if not (averaged and k == _COUNTER)}


def _check_lightning(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse a Lightning file that holds more than its net, such as the weights of a loss."""
    for prefix in ("model.", "net."):
        extra = [key for key in state if not key.startswith(prefix)]
        if 0 < len(extra) < len(state):
            raise MemberError(
                f"{path}: a Lightning file with {len(state) - len(extra)} weights under "
                f"{prefix!r} and {len(extra)} beside it: {few(extra)}. They are not dropped "
                f"in silence: save the net alone, as torch.save(module.{prefix}state_dict(), FILE)"
            )


def _strip(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], str]:
    stripped = ""
    while prefix := next((p for p in PREFIXES if all(k.startswith(p) for k in state)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
        stripped += prefix
    return state, stripped


def _damaged(path: Path, kind: str, error: BaseException) -> MemberError:
    text = str(error).strip()
    reason = text.splitlines()[0][:200] if text else type(error).__name__
    return MemberError(f"{path}: truncated or not a {kind} ({reason}). Copy it again")
