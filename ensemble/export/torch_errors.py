"""Errors of torch and timm, told in a line or two."""


def brief(error: BaseException) -> str:
    """Return the first two lines of an error of torch or timm, or what kind it is."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__


def root_cause(error: BaseException) -> str:
    """Return the kind and the first two lines of the error from which others were raised.

    torch's exporter wraps what went wrong into several errors of its own.
    """
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    kind, text = type(seen[-1]).__name__, brief(seen[-1])
    return text if len(seen) == 1 or text == kind else f"{kind}: {text}"
