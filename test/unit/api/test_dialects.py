"""What dialects share: pictures within JSON, forms, masks, and streams that never end as if they were whole."""

import base64
import io
import json
import struct
import zlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from api.door import Door
from api.errors import InvalidRequestError, RequestError
from api.faces.dialects import comfy_assets, comfyui_files, replicate_files
from api.faces.dialects.dialect import Base64, DialectCall, JsonWithFiles
from api.faces.dialects.openai_answers import ImageEvents
from api.http import Request
from api.operations.masks import white_where_transparent
from api.operations.outputs import OpenFile, Outputs, StoredFile
from api.request import FormPart, idempotency_key, read_form
from contract.notice import JobError
from jobs.job import Job, JobState

FORM = (
    b'--{0}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nein H\xc3\xa4schen\r\n'
    b'--{0}\r\nContent-Disposition: form-data; name="image[]"; filename="upload"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\x89PNG\r\n\r\n--\r\n--{0}--\r\n"
)


def form(boundary):
    headers = {"content-type": f"multipart/form-data; boundary={boundary}", "idempotency-key": "k"}
    return Request(method="POST", path="openai/v1", headers=headers, body=FORM.replace(b"{0}", boundary.encode()))


def test_a_form_has_texts_and_files_by_their_names():
    assert read_form(form("abc")) == [
        FormPart("prompt", None, "ein Häschen".encode()),
        FormPart("image[]", "upload", b"\x89PNG\r\n\r\n--"),
    ]
    with pytest.raises(InvalidRequestError, match="prompt must be text in UTF-8"):
        _ = FormPart("prompt", None, b"\xff").text


def test_a_form_with_another_boundary_is_the_same_request():
    assert idempotency_key(form("abc")) == idempotency_key(form("xyz"))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100_001])
def test_files_in_json_are_base64_whose_length_is_known_before_they_are_read(size):
    data = (bytes(range(256)) * 400)[:size]
    file = OpenFile(
        content_type="image/png",
        size_bytes=size,
        pieces=lambda: (data[start : start + 1000] for start in range(0, size, 1000)),
    )
    answer = JsonWithFiles({"é": [{"b64_json": Base64(file)}, Base64(file, "data:image/png;base64,")]}).answer()
    pieces = list(answer.pieces())
    assert all(pieces)
    assert sum(map(len, pieces)) == answer.size_bytes
    [first, second] = json.loads(b"".join(pieces))["é"]
    assert base64.b64decode(first["b64_json"]) == data
    assert second == f"data:image/png;base64,{first['b64_json']}"


def png(rows, width, colour=6, depth=8, interlace=0):
    """A PNG of rows that are filtered already."""
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, interlace)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    whole = (
        struct.pack(">I", len(one)) + kind + one + struct.pack(">I", zlib.crc32(kind + one)) for kind, one in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


@pytest.mark.parametrize("kind", range(5))
def test_a_mask_becomes_white_where_it_is_transparent_however_its_rows_are_filtered(kind):
    noise = bytes((one * 73 + one * one * 7) % 256 for one in range(4 * 17 * 9))
    mask = png([bytes([0 if row == 0 else kind]) + noise[row * 68 : row * 68 + 68] for row in range(9)], 17)
    with Image.open(io.BytesIO(mask)) as given, Image.open(io.BytesIO(white_where_transparent(mask))) as made:
        wanted = given.getchannel("A").point([255 if one < 128 else 0 for one in range(256)])
        assert (made.mode, made.tobytes()) == ("L", wanted.tobytes())


OPAQUE = png([b"\0\1\2\3"], 1, colour=2)


@pytest.mark.parametrize("mask", [OPAQUE, b"GIF89a", b"", OPAQUE[:20]], ids=["opaque", "GIF", "empty", "cut"])
def test_a_mask_without_transparency_stays_as_it_is(mask):
    assert white_where_transparent(mask) == mask


@pytest.mark.parametrize(
    "mask",
    [
        png([bytes(5)], 1, depth=16),
        png([bytes(5)], 1, interlace=1),
        png([bytes(4)], 1),
        png([b""], 100_000),
        png([bytes(5)], 1)[:45],
    ],
    ids=["16 bits", "interlaced", "too short", "too large", "cut"],
)
def test_a_mask_that_cannot_be_read_is_rejected(mask):
    with pytest.raises(ValueError, match=r"8 bits|no whole PNG"):
        white_where_transparent(mask)


def job(state, error=None, **values):
    given = {"task_id": "a", "runtime": "r", "tasktype": "t", "prefix": "output", "context": "null", "notified": False}
    return Job(pk="j", state=state, created_at=1.0, pictures=("png",), error=error, **given, **values)


class Files:
    """Outputs of which nothing is left."""

    files, preview = (lambda _, job: [job], lambda _, job: job)

    def open(self, _):
        raise RequestError(404, "not_found", "The file does not exist any more.")


def events():
    services = SimpleNamespace(outputs=Files(), signing_secret="s" * 40)
    request = Request(method="POST", path="openai/v1/images/edits", base_url="https://here")
    return ImageEvents(DialectCall(dialect="openai", request=request, services=services, path={}), "image_edit", 1)


OUT_OF_MEMORY = JobError(code="out_of_memory", message="It is too large.")


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (job(JobState.FAILED, OUT_OF_MEMORY), "It is too large."),
        (job(JobState.CANCELLED), "The job j is cancelled and has no pictures."),
        (job(JobState.SUCCEEDED), "The file does not exist any more."),
    ],
)
def test_a_stream_without_pictures_ends_with_an_error(ended, words):
    text = "".join(events().events(ended, 0))
    assert text.startswith("event: error\ndata: {")
    assert json.loads(text.partition("data: ")[2])["error"]["message"] == words


def test_a_stream_goes_on_without_a_preview_that_is_gone():
    assert list(events().events(job(JobState.RUNNING, previewed_at=2.0), 0)) == []


def test_a_stream_that_is_cut_says_where_the_picture_will_be():
    text = events().cut(job(JobState.RUNNING))
    assert (
        "GET https://here/openai/v1/images/jobs/j waits for it."
        in json.loads(text.partition("data: ")[2])["error"]["message"]
    )


def test_pages_of_allowed_origins_send_and_read_what_clients_of_other_apis_do():
    door = Door(SimpleNamespace(settings=SimpleNamespace(cors_origins="https://studio.example")))
    headers = {"origin": "https://studio.example", "access-control-request-headers": "authorization,x-stainless-os"}
    asked = Request(method="OPTIONS", path="openai/v1/models", headers=headers)
    allowed = door.answer(asked).headers
    assert {*allowed["Access-Control-Allow-Headers"].split(", ")} == {"*", "authorization"}
    refused = door.answer(replace(asked, method="GET"))
    assert refused.status == 401
    assert "x-request-id" in refused.headers["Access-Control-Expose-Headers"]


def test_where_callers_do_not_reach_s3_no_part_of_an_asset_leads_there_with_its_access_key(monkeypatch):
    monkeypatch.setattr(comfy_assets, "_output", lambda _: ({}, StoredFile.of_key("output/1.png")))
    outputs = Outputs(
        make_s3=lambda: pytest.fail("S3 is asked"),
        bucket="bucket",
        root=lambda: "a root secret that is long enough",
        sends_files=True,
    )
    request = Request(method="GET", path="", headers={"range": "bytes=0-1"}, base_url="https://here/dev")
    call = DialectCall(dialect="comfy", request=request, services=SimpleNamespace(outputs=outputs), path={})
    assert comfy_assets.content(call).headers["Location"].startswith("https://here/dev/v1/outputs/")


class CountedFiles:
    """Every file that is asked for exists."""

    def __init__(self):
        self.asked = []

    def named(self, tenant, name):
        self.asked.append(name)
        return SimpleNamespace(s3=f"s3://bucket/{name}")

    get = named


def call_with(files):
    request = Request(method="POST", path="", base_url="https://here")
    return DialectCall(dialect="replicate", request=request, services=SimpleNamespace(files=files), path={})


def test_a_file_that_one_request_names_often_is_looked_up_once():
    files = CountedFiles()
    sent = replicate_files.sent_files(call_with(files), {"image": ["https://here/replicate/v1/files/a"] * 9})
    assert (sent, files.asked) == ({"image": ["s3://bucket/a"] * 9}, ["a"])
    graph = {str(one): {"class_type": "LoadImage", "inputs": {"image": "a.png"}} for one in range(9)}
    linked = comfyui_files.with_links(call_with(files), graph, None)
    assert {node["inputs"]["image"] for node in linked.values()} == {"s3://bucket/a.png"}
    assert files.asked == ["a", "a.png"]


def test_a_workflow_cannot_have_thousands_of_files_looked_up():
    files = CountedFiles()
    graph = {str(one): {"class_type": "LoadImage", "inputs": {"image": f"{one}.png"}} for one in range(101)}
    with pytest.raises(InvalidRequestError, match="prompt names more than 100 files"):
        comfyui_files.with_links(call_with(files), graph, None)
    assert len(files.asked) == 100
