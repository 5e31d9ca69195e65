"""Every error that the package raises on purpose.

    EnsembleError
    ├── UsageError      (ValueError)    flags, tables, names: the caller can mend it      exit 2
    ├── MemberError     (ValueError)    a member, checkpoint or card is not usable        exit 4
    ├── ProviderError   (RuntimeError)  the device that was asked for does not start      exit 4
    ├── ContractError   (ValueError)    the submission would be wrong; nothing published  exit 5
    ├── StoreError      (OSError)       the disk, or what the store holds                 exit 1
    ├── ScoreError      (RuntimeError)  a member failed while it was scoring              exit 1
    │   ├── OutOfMemoryError            memory ran out, at a batch of 1 too          exit 1
    │   └── GpuGoneError                the GPU failed; a new process may mend it    exit 1
    └── ImageError      (ValueError)    one image is unusable; it is quarantined          exit 3

Each message says what failed, which file and field, what was expected, what came, and how to
mend it. A leaf is also the built-in exception that it refines.
"""

from collections.abc import Collection


class EnsembleError(Exception):
    """The root: catch it to catch everything the package raises on purpose."""


class UsageError(EnsembleError, ValueError):
    """A flag, a recipe, a table or a name is wrong."""


class MemberError(EnsembleError, ValueError):
    """A member, a checkpoint or a card cannot be used. Found before any image is read."""


class ProviderError(EnsembleError, RuntimeError):
    """The device that was asked for is not the one that would run."""


class ContractError(EnsembleError, ValueError):
    """The submission would break its contract, so none was published."""


class StoreError(EnsembleError, OSError):
    """The disk refused a write, or the store holds something that it should not."""


class ScoreError(EnsembleError, RuntimeError):
    """A member failed, or gave NaN or infinity, while it was scoring."""


class OutOfMemoryError(ScoreError):
    """A batch did not fit into memory; a smaller one may."""


class GpuGoneError(ScoreError):
    """The GPU fell away, or this process's hold of it is beyond mending; a new process may do."""


class ImageError(EnsembleError, ValueError):
    """One image cannot be used.

    `stage` is "read" or "decode"; `kind` is a short name for the fault, such as "truncated".
    """

    def __init__(self, stage: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.kind = kind


def few(names: Collection[object]) -> str:
    """Name the first five in a message, and say how many more there are."""
    shown = ", ".join(str(name) for name in list(names)[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def apart(first: Collection[object], second: Collection[object]) -> str:
    """Name what is in the first of two only, and in the second only, where there is some."""
    alone = ("only the first has", first), ("only the second has", second)
    return "; ".join(f"{what} {few(names)}" for what, names in alone if names)


def counted(count: int, thing: str) -> str:
    """Write a count of things: "1 key", "2 keys"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
