import io
import json
import logging

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from queue_agent.log import AgentJsonFormatter, log_fields
from queue_agent.media import HEAD_BYTES, identify, is_what_it_is_called, named_media, picture_size


def encoded(kind, **options):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind, **options)
    return stream.getvalue()


def boxed(*brands):
    head = brands[0] + bytes(4) + b"".join(brands[1:])
    return (8 + len(head)).to_bytes(4, "big") + b"ftyp" + head + bytes(300)


APNG = encoded("PNG", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])


@pytest.mark.parametrize(
    ("data", "filename", "extension", "content_type"),
    [
        (encoded("PNG"), None, "png", "image/png"),
        (encoded("JPEG"), None, "jpg", "image/jpeg"),
        (encoded("WEBP"), None, "webp", "image/webp"),
        (encoded("GIF"), None, "gif", "image/gif"),
        (APNG, None, "png", "image/apng"),
        (b"fLaC" + bytes(300), None, "flac", "audio/flac"),
        (b"<svg/>", None, "bin", "application/octet-stream"),
        (b"", None, "bin", "application/octet-stream"),
        (boxed(b"isom", b"avc1", b"mp41"), None, "mp4", "video/mp4"),
        (boxed(b"avis", b"avif", b"msf1"), None, "avif", "image/avif"),
        (boxed(b"cmfc"), None, "mp4", "video/mp4"),
        (boxed(b"M4A ", b"mp42"), None, "m4a", "audio/mp4"),
        (boxed(b"dash", b"cmfc", b"iso6"), None, "mp4", "video/mp4"),
        (boxed(b"heic", b"mif1"), None, "heic", "image/heic"),
        (boxed(b"what"), None, "bin", "application/octet-stream"),
        (b"glTF\2", "mesh_00001_.glb", "glb", "model/gltf-binary"),
        (b"<svg/>", "logo.SVG", "svg", "image/svg+xml"),
        (b"PK\5\6", "arrays.npz", "npz", "application/zip"),
        (b"\xff\x0a", "a.jxl", "jxl", "image/jxl"),
        (b"\0\1\0\0\0", "font.ttf", "ttf", "font/ttf"),
        (b"any", "a.latent", "latent", "application/octet-stream"),
        (b"<script>", "page.html", "html", "text/plain"),
        (b"any", "noname", "bin", "application/octet-stream"),
        (b"any", "a.b/c", "bin", "application/octet-stream"),
        (b"any", "a." + "x" * 300, "bin", "application/octet-stream"),
        (encoded("WEBP"), "a.zip", "webp", "image/webp"),
        (b"OggS\0\2", "a.ogv", "ogv", "video/ogg"),
        (b"OggS\0\2", "a.webm", "ogg", "audio/ogg"),
        (b"MThd\0\0\0\6", "a.mid", "mid", "audio/midi"),
        (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "a.wma", "wma", "audio/x-ms-wma"),
        (boxed(b"isom"), "a.m4a", "m4a", "audio/mp4"),
    ],
)
def test_bytes_tell_their_own_type_and_a_file_that_is_no_media_is_what_its_name_says(
    data, filename, extension, content_type
):
    media = identify(data, filename)
    assert (media.extension, media.content_type) == (extension, content_type)


@pytest.mark.parametrize(
    ("data", "filename", "found"),
    [
        (encoded("PNG"), "a.png", True),
        (b"any bytes", "noname", True),
        (b"any bytes", "a.opus", True),
        (b"%PDF-1.7", "a.pdf", True),
        (b"", "a.png", None),
        (b"<html>", "a.jpeg", None),
        (b"PK\x05\x06", "a.png", None),
        (b"\0\xff<garbage>", "a.mp4", None),
        (b"\0\xff<garbage>", "a.tif", None),
        (b"II+\0\x08\0\0\0", "a.tif", "image/tiff"),
        (b"\0\0\0\x08wide\0\0\0\x08mdat", "a.mov", "video/quicktime"),
        (b"\0\0\1\0mdat" + bytes(20), "a.mov", "video/quicktime"),
        (b"\0\0\0\x08free\0\0\0\x14ftypisom", "a.MP4", "video/mp4"),
        (boxed(b"f4v "), "a.mp4", "video/mp4"),
        (b"\xff\xe3\x18\xc4", "a.mp3", "audio/mpeg"),
    ],
)
def test_a_file_with_the_name_of_media_must_be_such_if_only_of_a_form_that_the_library_does_not_know(
    data, filename, found
):
    named = named_media(data, filename)
    fits = is_what_it_is_called(identify(data, filename), filename)
    assert (fits or (named and named.content_type)) == found


def test_a_log_line_is_json_with_the_jobs_fields():
    with log_fields(job="j", task="t"), log_fields(stage="run"):
        record = logging.makeLogRecord({"msg": "done %s", "args": ("now",), "levelname": "INFO", "attempt": 2})
        line = json.loads(AgentJsonFormatter("r").format(record))
    assert {"message": "done now", "runtime": "r", "job": "j", "task": "t", "stage": "run", "attempt": 2}.items() <= (
        line.items()
    )
    assert "job" not in json.loads(AgentJsonFormatter("r").format(record))


def drawn(kind, **options):
    """A picture whose file is larger than its head."""
    stream = io.BytesIO()
    Image.effect_noise((200, 150), 99).convert("RGB").save(stream, kind, **options)
    return stream.getvalue()


WORKFLOW_TEXT = PngInfo()
WORKFLOW_TEXT.add_text("prompt", "x" * 100_000)
FRAMES = {"save_all": True, "append_images": [Image.effect_noise((200, 150), 50).convert("RGB")] * 3}


@pytest.mark.parametrize(
    ("data", "size"),
    [
        *[(drawn(kind), (200, 150)) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")],
        *[(drawn(kind, **FRAMES), (200, 150)) for kind in ("PNG", "WEBP", "GIF")],
        (drawn("PNG", pnginfo=WORKFLOW_TEXT), (200, 150)),
        (drawn("JPEG", exif=b"Exif\0\0" + bytes(60_000)), None),
        *[(data, None) for data in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", boxed(b"isom"), b"<svg/>")],
    ],
)
def test_a_pictures_size_is_read_from_its_head_where_that_says_it(data, size):
    assert picture_size(identify(data[:HEAD_BYTES])) == size
