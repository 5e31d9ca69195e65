"""The most pixels an image may have."""

from ensemble.errors import ImageError
from ensemble.records import DecodePolicy


def check_size(height: int, width: int, policy: DecodePolicy) -> None:
    """Check an image's size before memory is taken for it.

    Raises:
        ImageError: it has more pixels than the policy allows.
    """
    if width * height > policy.max_pixels:
        raise ImageError(
            "decode", "too large",
            f"{height}x{width} pixels, over the limit of {policy.max_pixels} (--max-pixels)",
        )  # fmt: skip
