"""What a job has stored, by its number and by links that need no key."""

import time
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from contract.signatures import OutputLink, output_token
from jobs import commands
from jobs.job import Progress, StoredOutput
from test.kit.door import SIGNING_SECRET
from test.kit.processes import HTTP
from test.kit.tasks import INPUT_PNG

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
FILES = {"png": ("image/png", INPUT_PNG), "svg": ("image/svg+xml", SVG), "mp4": ("video/mp4", b"\0" * 5_000_000)}


@pytest.fixture
def done(api):
    """A job with one output of each of FILES."""
    job = api.submit(id="done")["job"]
    task = api.rig.task(job=job)
    api.rig.claim(task)
    outputs = [StoredOutput(content_type=kind, size_bytes=len(data), seed=7) for kind, data in FILES.values()]
    ending = {"now_s": time.time(), "attempts": 1, "pictures": list(FILES), "outputs": outputs}
    names = api.rig.update(commands.complete(job, "token", "succeeded", **ending)).names
    for number, (extension, (kind, data)) in enumerate(FILES.items(), start=1):
        put(api, names.picture_key(number, extension), data, kind)
    put(api, names.answer_key, b'{"prompt": "a cat"}', "application/json")
    return api.get(f"/jobs/{job}")


def put(api, key, data, content_type):
    api.rig.aws.s3.put_object(Bucket=api.rig.bucket, Key=key, Body=data, ContentType=content_type)


def bare_get(url, **headers):
    return HTTP.get(url, headers=headers, timeout=60)


def followed(response):
    """The bytes to which an answer leads, from S3 itself, for a browser without a key."""
    assert (response.status_code, response.content) == (303, b"")
    link = response.headers["location"]
    query = parse_qs(urlsplit(link).query)
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"]) == (["AWS4-HMAC-SHA256"], ["900"])
    stored = HTTP.get(link)
    assert stored.status_code == 200
    return stored


def test_outputs_are_numbered_from_1_with_the_manifest_as_0_and_lead_to_s3(api, done):
    for number, (kind, data) in enumerate([("application/json", b'{"prompt": "a cat"}'), *FILES.values()]):
        stored = followed(api.call("GET", f"/jobs/{done['job']}/outputs/{number}"))
        assert (stored.headers["content-type"], stored.content) == (kind, data)
    for number in ("4", "-1", "x", "1e3", "99999999", "%D9%A1"):
        answer = api.call("GET", f"/jobs/{done['job']}/outputs/{number}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), number


def test_a_jobs_links_work_without_a_key_and_say_how_long(api, done):
    shown = [done["images"][0], done["images"][1], done["files"][0], done["manifest"]]
    assert [one["content_type"] for one in shown[:3]] == [kind for kind, _ in FILES.values()]
    assert (shown[0]["seed"], shown[0]["bytes"]) == (7, len(INPUT_PNG))
    for one in shown:
        lasts_s = (datetime.fromisoformat(one["expires_at"]) - datetime.now(UTC)).total_seconds()
        assert 3590 < lasts_s <= 4500
        answer = bare_get(one["url"])
        assert "max-age" in answer.headers["cache-control"]
        stored = followed(answer)
        assert stored.headers["content-type"] == one["content_type"]
        assert one["url"].rpartition("/")[2] in stored.headers["content-disposition"]
        assert bare_get(one["url"].replace("-", "%2D")).status_code == 303
    assert api.get(f"/jobs/{done['job']}")["images"] == done["images"]  # as browsers have them in their caches


def test_the_file_itself_comes_with_headers_that_run_nothing_of_it(api, shell, done):
    png, svg, _ = (f"{one['url']}?redirect=false" for one in (*done["images"], done["files"][0]))
    for url, shown in ((png, "inline"), (svg, "attachment")):
        answer = bare_get(url, accept="image/*")
        kind, data = FILES["png" if shown == "inline" else "svg"]
        assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, kind, data)
        assert answer.headers["content-disposition"].startswith(f'{shown}; filename="done-')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    manifest = api.call("GET", f"/jobs/{done['job']}/outputs/0?redirect=0")
    assert (manifest.status_code, manifest.json()) == (200, {"prompt": "a cat"})


def test_a_file_of_any_size_comes_itself_whatever_its_reader_accepts(api, done):
    film = f"{done['files'][0]['url']}?redirect=0"
    assert bare_get(film, accept="*/*").content == FILES["mp4"][1]
    assert api.call("GET", f"/jobs/{done['job']}/outputs/3?redirect=0").content == FILES["mp4"][1]


def test_outputs_are_their_tenants_and_an_admins(api, done):
    path = f"/jobs/{done['job']}/outputs/1"
    assert api.call("GET", path, key="other-key").status_code == 404
    assert api.call("GET", f"/jobs/{done['job']}/preview", key="other-key").status_code == 404
    assert api.call("GET", path, key=None).status_code == 401
    assert followed(api.call("GET", path, key="admin-key")).content == INPUT_PNG


def test_a_link_that_is_forged_is_403_and_one_that_has_expired_is_410(api, done):
    *_, token, name = done["images"][0]["url"].split("/")
    other = done["images"][1]["url"].split("/")[-2]
    link = {"key": "_tasks/secret.json", "content_type": "text/html", "name": name}
    stranger = output_token("x" * 40, OutputLink(**link, expires_s=2**40))
    old = output_token(SIGNING_SECRET, OutputLink(**link, expires_s=int(time.time()) - 1))
    for path, status in (
        (f"{token}/x{name}", 403),
        (f"{other}/{name}", 403),
        (f"{token[:-1]}{'A' if token[-1] != 'A' else 'B'}/{name}", 403),
        (f"{stranger}/{name}", 403),
        (f"{old}/{name}", 410),
        ("/a", 404),
        ("%F0%9F%90%B1./a", 403),
        (".../a", 403),
    ):
        answer = bare_get(f"{api.url}/outputs/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path


def test_an_output_that_has_been_deleted_is_404(api, done):
    key = done["images"][0]["s3"].partition(api.rig.bucket)[2][1:]
    api.rig.aws.s3.delete_object(Bucket=api.rig.bucket, Key=key)
    assert bare_get(f"{done['images'][0]['url']}?redirect=0", accept="image/png").status_code == 404


def test_a_preview_is_shown_while_its_job_runs_and_never_cached(api):
    job = api.submit()["job"]
    assert api.call("GET", f"/jobs/{job}/preview").status_code == 404
    api.rig.claim(api.rig.task(job=job))
    progress = Progress(fraction=0.5, previewed_s=time.time())
    renewal = {"until_s": time.time() + 60, "start_by_s": time.time() + 90, "attempts": 0}
    api.rig.update(commands.renew(job, "token", **renewal, progress=progress))
    put(api, f"_previews/{job}", INPUT_PNG, "image/png")
    url = api.get(f"/jobs/{job}")["progress"]["preview"]
    for answer in (bare_get(url), api.call("GET", f"/jobs/{job}/preview")):
        assert answer.headers["cache-control"] == "no-store"
        assert followed(answer).content == INPUT_PNG
    api.rig.update(commands.complete(job, "token", "succeeded", now_s=time.time(), attempts=1))
    assert api.call("GET", f"/jobs/{job}/preview").status_code == 404


def test_links_are_signed_with_the_root_secret_that_secrets_manager_has(kit, make_api):
    with kit.rig("sdwebui") as rig:
        secret = "a root secret that is long enough"
        name = f"root-{rig.name}"
        arn = rig.aws.client("secretsmanager").create_secret(Name=name, SecretString=secret)["ARN"]
        api = make_api(rig, "api.asgi", SIGNING_SECRET="", SIGNING_SECRET_ARN=arn)
        link = OutputLink(key="output/a.png", content_type="image/png", name="a.png", expires_s=2**40)
        for root, status in ((secret, 303), (SIGNING_SECRET, 403)):
            assert bare_get(f"{api.url}/outputs/{output_token(root, link)}/a.png").status_code == status
