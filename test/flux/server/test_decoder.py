"""Images are unpacked in a process of their own, within limits of memory and time."""

import base64
import io
import resource
import struct
import zlib

import pytest
from PIL import Image

from runtimes.flux.server import decoder
from runtimes.flux.server.decoder import decode, decode_mask
from runtimes.flux.server.decoding import ImageFault


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def saved(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def segments(image: bytes, *more: bytes) -> bytes:
    """The JPEG with more segments before its picture."""
    return image[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", 2 + len(one)) + one for one in more) + image[2:]


SMALL = Image.new("RGB", (16, 16), "red")
PNG, JPEG, GIF = saved(SMALL), saved(SMALL, "JPEG"), saved(SMALL, "GIF")
COMMENT = b"!\xfe" + b"\x01x" * 3_000_000 + b"\0"
HOSTILE = {
    "a GIF with a comment of small blocks": GIF[:-1] + COMMENT + b";",
    "a PNG of empty chunks": PNG[:33] + chunk(b"abCd", b"") * 500_000 + PNG[33:],
    "a JPEG of empty segments": segments(JPEG, *[b""] * 1_000_000),
    "a JPEG of EXIF segments": segments(JPEG, *[b"Exif\0\0" + bytes(20)] * 300_000),
    "a JPEG of fewer": segments(JPEG, *[b"Exif\0\0" + bytes(100)] * 2_000),
}


def test_an_image_and_a_mask_come_as_they_are():
    transparent = SMALL.convert("RGBA")
    transparent.putalpha(0)
    assert decode(as_base64(PNG)).tobytes() == SMALL.tobytes()
    assert decode(as_base64(saved(transparent)), "#00ff00").getpixel((3, 3)) == (0, 255, 0)
    assert (decode_mask(as_base64(PNG)).mode, decode_mask(as_base64(PNG)).size) == ("L", (16, 16))


@pytest.mark.parametrize("content", ["AAAA", "not base64 ä", "", as_base64(PNG[:45])])
def test_what_cannot_be_read_is_a_fault(content):
    with pytest.raises(ImageFault, match=r"^is "):
        decode(content)


def test_a_file_may_say_a_lot_beside_its_pixels():
    assert decode(as_base64(segments(JPEG, *[b"http://ns.adobe.com/" + bytes(60_000)] * 1_000))).size == (16, 16)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_whose_headers_have_no_end_is_refused_unread(name):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with pytest.raises(ImageFault, match="is a broken image: it has too many parts"):
        decode(as_base64(HOSTILE[name]))
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < decoder.MAX_CPU_SECONDS / 2


def test_what_takes_too_long_is_stopped(monkeypatch):
    monkeypatch.setattr(decoder, "MAX_CPU_SECONDS", 1)
    many = [b"Exif\0\0" + bytes(30_000)] * 1_900
    with pytest.raises(ImageFault, match="takes too much memory or time"):
        decode(as_base64(segments(JPEG, *many)))


def test_what_takes_too_much_memory_is_stopped(monkeypatch):
    monkeypatch.setattr(decoder, "MAX_MEMORY_BYTES", 200_000_000)
    with pytest.raises(ImageFault, match="takes too much memory or time"):
        decode(as_base64(saved(Image.new("RGB", (8000, 8000)))))


def test_an_image_of_as_many_pixels_as_are_allowed_stays_within_the_limits():
    assert decode(as_base64(saved(Image.new("RGBA", (8000, 8000), "#ff000080"), compress_level=1))).size == (8000, 8000)


def test_a_decoder_that_cannot_run_is_no_fault_of_the_image(monkeypatch):
    monkeypatch.setattr(decoder, "_COMMAND", (decoder.sys.executable, "-m", "no_such_module"))
    with pytest.raises(decoder.subprocess.CalledProcessError):
        decode(as_base64(PNG))
