"""The format is told by the first bytes, or the file refused with what to do."""

import pytest
from pictures import encoded, picture
from PIL import features

from ensemble.errors import ImageError
from ensemble.images.formats import format_of
from ensemble.records import EXTENSIONS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"])
def test_what_pillow_writes_is_told_by_its_name(kind: str) -> None:
    assert format_of(encoded(picture(), kind)) == kind
    assert kind in EXTENSIONS


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"II+\0", "TIFF"), (b"MM\0+", "TIFF"), (b"MM\0*", "TIFF"), (b"GIF87a", "GIF")],
)
def test_the_rarer_beginnings_are_known(start: bytes, kind: str) -> None:
    assert format_of(start + bytes(20)) == kind


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "^HEIC is not supported: convert .* pillow-heif"),
        (b"\xff\x0a..", "^JPEG XL is not supported: convert .* djxl"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "^JPEG2000 is not supported: convert"),
        (b"\xff\x4f\xff\x51", "^JPEG2000 is not supported: convert"),
        (bytes(128) + b"DICM", "^DICOM is not supported: write its pixels"),
        (b"\x93NUMPY\x01\0", "^NPY is not supported: an array has bands"),
        (b"\x1f\x8b\x08\0", "^gzip is not supported: unpack"),
    ],
)
def test_what_is_not_decoded_is_refused_with_what_to_do(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        format_of(data)
    assert caught.value.kind == "unsupported"


def test_a_format_that_this_pillow_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture(), "WEBP")
    monkeypatch.setattr(features, "check", lambda name: name != "webp")
    with pytest.raises(ImageError, match="WEBP is not supported: .* install a Pillow"):
        format_of(data)


def test_a_pointer_of_git_lfs_is_told_with_what_fetches_the_file() -> None:
    with pytest.raises(ImageError, match="^not an image: .*git-lfs pointer: .* git lfs pull"):
        format_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")


@pytest.mark.parametrize(
    ("data", "kind"), [(b"", "empty"), (b"<html>", "not an image"), (b"\0" * 200, "not an image")]
)
def test_what_is_no_image_is_refused(data: bytes, kind: str) -> None:
    with pytest.raises(ImageError) as caught:
        format_of(data)
    assert (caught.value.stage, caught.value.kind) == ("decode", kind)
