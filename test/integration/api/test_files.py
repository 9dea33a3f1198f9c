"""Files that callers send, and the jobs that read them."""

from urllib.parse import parse_qs, urlsplit

import pytest

from contract.objects import TENANT_METADATA, tenant_label
from local.api_key import API_KEY_ID
from test.kit.processes import HTTP
from test.kit.tasks import INPUT_PNG, linking_content

ID = "12345678-1234-1234-1234-123456789012-a.png"


def send(api, *files, key="key", **fields):
    headers = {"x-api-key": key} if key else {}
    return HTTP.post(f"{api.url}/files", files=[("file", one) for one in files], data=fields, headers=headers)


def kept(api, file):
    """The object that a file is."""
    bucket, _, key = file["s3"].removeprefix("s3://").partition("/")
    assert (bucket, key.startswith(f"_files/{tenant_label(API_KEY_ID)}/")) == (api.rig.bucket, True)
    stored = api.rig.aws.s3.get_object(Bucket=bucket, Key=key)
    assert stored["Metadata"] == {TENANT_METADATA: tenant_label(API_KEY_ID)}
    return stored


def test_a_file_of_a_form_is_stored_byte_for_byte_with_its_type_its_name_and_its_tenant(api):
    odd = b"\xff\r\n\x00--\r\n-- \xd8\n" + bytes(range(256))
    for name, data, content_type in (
        ('c\u00e4t "1".png', INPUT_PNG, "image/png"),
        ("no.png", odd, "application/octet-stream"),
        ("page.html", INPUT_PNG, "image/png"),
        ("words.txt", odd, "text/plain"),
        ("../../.x", odd, "application/octet-stream"),
        ("x" * 300 + ".png", INPUT_PNG, "image/png"),
    ):
        answer = send(api, (name, data, "text/html"), purpose="input")
        file = answer.json()
        assert (answer.status_code, answer.headers["location"]) == (201, f"{api.url}/files/{file['file']}"), name
        assert (file["content_type"], file["bytes"], file["upload"]) == (content_type, len(data), None), name
        stored = kept(api, file)
        assert (stored["Body"].read(), stored["ContentType"]) == (data, content_type), name
        assert file["s3"].endswith(f"/{file['name']}")
        assert not file["name"].startswith(".")
        shown = api.get(f"/files/{file['file']}")
        assert {**shown, "expires_at": 0} == {**file, "expires_at": 0}


def test_a_large_file_is_announced_and_sent_to_s3_itself(api):
    answer = api.call("POST", "/files", {"name": "film.mp4", "size": 5_000_000})
    file, upload = answer.json(), answer.json()["upload"]
    assert (answer.status_code, file["content_type"], upload["method"]) == (201, "video/mp4", "PUT")
    assert api.call("GET", f"/files/{file['file']}").status_code == 404
    signed = parse_qs(urlsplit(upload["url"]).query)
    assert set(signed["X-Amz-SignedHeaders"][0].split(";")) >= {"content-length", "content-type", "x-amz-meta-tenant"}
    assert HTTP.put(upload["url"], content=b"x" * 5_000_000, headers=upload["headers"]).status_code == 200
    assert len(kept(api, file)["Body"].read()) == 5_000_000
    assert api.get(f"/files/{file['file']}")["bytes"] == 5_000_000


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"url": "https://example.org/a.png"}, {"#/url", "#/name", "#/size"}),
        ({"name": "", "size": 0}, {"#/name", "#/size"}),
        ({"name": "a", "size": 64 * 1024 * 1024 + 1}, {"#/size"}),
        ({"name": "a", "size": 1, "content_type": "image/png\r\nx: y"}, {"#/content_type"}),
        ([], {"#"}),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_with_all_reasons(api, body, pointers):
    answer = api.call("POST", "/files", body)
    assert (answer.status_code, {one["pointer"] for one in answer.json()["errors"]}) == (400, pointers)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"\r\n--b" * 200_000 + b"--"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"a: b\r\n" * 200_000 + b"\r\n--b--"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx',
        ),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--'),
        ("multipart/form-data; boundary=b", b"--b\r\n\xff\xfe: \x00\r\n\r\nx\r\n--b--"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n--b--\r\n',
        ),
    ],
)
def test_a_form_without_one_whole_file_is_refused(api, content_type, body):
    headers = {"x-api-key": "key", "content-type": content_type}
    answer = HTTP.post(f"{api.url}/files", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_other_bodies_and_two_files_are_refused(api):
    assert send(api, ("a", b"1"), ("b", b"2")).status_code == 400
    answer = HTTP.post(f"{api.url}/files", content=INPUT_PNG, headers={"x-api-key": "key", "content-type": "image/png"})
    assert answer.status_code == 415


def test_a_file_is_seen_and_deleted_by_its_own_tenant_alone(api):
    file = send(api, ("a.png", INPUT_PNG)).json()
    path = f"/files/{file['file']}"
    assert send(api, ("a.png", INPUT_PNG), key=None).status_code == 401
    for key in ("other-key", "admin-key"):
        assert api.call("GET", path, key=key).status_code == 404
        assert api.call("DELETE", path, key=key).status_code == 204
    assert api.get(path)["bytes"] == len(INPUT_PNG)
    assert api.call("DELETE", path).status_code == 204
    assert api.call("GET", path).status_code == 404
    for odd in ("x", "%2e%2e", ID, ID + "%2Fa", ID[:-1] + "%0A", "\u732b"):
        assert api.call("GET", f"/files/{odd}").status_code == 404, odd


def test_only_jobs_of_its_own_tenant_read_a_file(kit, shell, make_api):
    with kit.rig("sdwebui") as rig:
        rig.add_pod().start()
        api = make_api(rig, shell)
        link = send(api, ("a.png", INPUT_PNG)).json()["s3"]
        body = api.body(type="image-to-image", content=linking_content("sdwebui", link))
        states = {}
        for key in ("key", "other-key"):
            job = api.call("POST", "/jobs", body, key=key).json()["job"]
            states[key] = api.wait(job, key=key)
        assert (states["key"]["state"], states["key"]["error"]) == ("succeeded", None)
        assert (states["other-key"]["state"], states["other-key"]["error"]["code"]) == ("failed", "input_failed")
