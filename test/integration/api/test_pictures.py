"""A picture by one GET, and by a link without a key."""

import base64
import json
import time
from datetime import datetime
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from contract.signatures import PictureLink, picture_token
from jobs import commands
from jobs.job import StoredOutput
from jobs.schema import request_pk
from test.kit.door import SIGNING_SECRET
from test.kit.processes import HTTP
from test.kit.tasks import INPUT_PNG


def end(api, job, state="succeeded", **ending):
    """Let a job that waits end: with a picture, or with an error."""
    api.rig.claim(api.rig.task(job=job))
    if state == "succeeded":
        ending = {"pictures": ["png"], "outputs": [StoredOutput(content_type="image/png", size_bytes=9, seed=7)]}
    values = {"now_s": time.time(), "attempts": 1, "pictures": [], **ending}
    names = api.rig.update(commands.complete(job, "token", state, **values)).names
    if state == "succeeded":
        key = names.picture_key(1, "png")
        api.rig.aws.s3.put_object(Bucket=api.rig.bucket, Key=key, Body=INPUT_PNG, ContentType="image/png")


def link_of(api, **body):
    answer = api.call("POST", "/pictures/links", {"prompt": "a cat", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def seconds_of(text):
    return datetime.fromisoformat(text).timestamp()


def follow(link):
    return HTTP.get(link, timeout=60)


def turned(link, n):
    """The link as it leads to itself for the nth time; the API waits between them."""
    return f"{link}&n={n}"


def test_the_picture_comes_with_its_url_and_its_prompt(waiting_api, shell, kit):
    api = waiting_api(shell)
    prompt = "赛博老虎, 50% “neon”"
    first = api.call("GET", f"/pictures?prompt={quote(prompt)}&wait=0&seed=7&width=512&height=512")
    assert (first.status_code, first.headers["retry-after"], first.headers["cache-control"]) == (202, "2", "no-store")
    body = first.json()
    assert (body["url"], body["prompt"], first.headers["location"]) == (None, prompt, body["links"]["self"])
    assert api.get(f"/jobs/{body['job']}/request")["content"] == {
        "prompt": prompt,
        "seed": 7,
        "width": 512,
        "height": 512,
        "n_iter": 1,
    }
    end(api, body["job"])
    second = api.call("GET", f"/pictures?prompt={quote(prompt)}&wait=20&seed=7&width=512&height=512")
    assert second.status_code == 200
    assert (second.json()["job"], second.json()["prompt"], second.json()["seed"]) == (body["job"], prompt, 7)
    assert HTTP.get(second.json()["url"], follow_redirects=True).content == INPUT_PNG


def test_the_same_parameters_join_one_job_and_others_make_one_of_their_own(api):
    def ask(query, key="key"):
        return api.call("GET", f"/pictures?wait=0&{query}", key=key).json()["job"]

    first = ask("prompt=a+dog&seed=1")
    assert ask("seed=1&prompt=a%20dog") == first
    assert ask(f"seed=1&prompt=a%20dog&runtime={api.rig.name}") == first
    assert len({first, ask("prompt=a+dog"), ask("prompt=a+dog&seed=2"), ask("prompt=a+dog&seed=1", "other-key")}) == 4


def test_a_redirect_leads_to_the_picture_itself(api):
    job = api.call("GET", "/pictures?prompt=a&wait=0").json()["job"]
    assert api.call("GET", "/pictures?prompt=a&wait=0&redirect=1").status_code == 202
    end(api, job)
    answer = api.call("GET", "/pictures?prompt=a&wait=0&redirect=1")
    assert answer.status_code == 303
    assert HTTP.get(answer.headers["location"]).content == INPUT_PNG


@pytest.mark.parametrize(("code", "status"), [("content_filtered", 422), ("model_server_failed", 502)])
def test_a_failed_picture_says_why(api, code, status):
    job = api.call("GET", f"/pictures?prompt={code}&wait=0").json()["job"]
    end(api, job, "failed", error=commands.JobError(code=code, message="No such luck."))
    answer = api.call("GET", f"/pictures?prompt={code}&wait=0")
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (status, code, "No such luck.")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "?prompt"),
        ("prompt=", "?prompt"),
        ("prompt=" + "x" * 2049, "?prompt"),
        ("prompt=a&width=12", "?width"),
        ("prompt=a&wait=26", "?wait"),
        ("prompt=a&runtime=nobody", "?runtime"),
        ("prompt=a&steps=x", "?steps"),
        ("prompt=a&cfg_scale=3", "?cfg_scale"),
        ("prompt=a&image=base64", "?image"),
        ("prompt=a&format=webp", "?prompt"),
    ],
)
def test_what_cannot_be_drawn_is_rejected_by_the_name_of_its_parameter(api, query, pointer):
    answer = api.call("GET", f"/pictures?wait=0&{query}")
    assert answer.status_code == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_link_needs_no_key_draws_once_and_keeps_a_browser_waiting(api):
    link = link_of(api, seed=3, expires_in=600)
    assert 590 < seconds_of(link["expires_at"]) - time.time() <= 600
    assert api.get("/jobs")["jobs"] == []
    waiting = follow(turned(link["url"], 15))
    assert (waiting.status_code, waiting.json()["code"]) == (504, "timeout")
    (job,) = api.get("/jobs")["jobs"]
    end(api, job["job"])
    for _ in range(2):
        answer = follow(link["url"])
        assert (answer.status_code, answer.headers["cache-control"]) == (303, "no-store")
        assert HTTP.get(answer.headers["location"]).content == INPUT_PNG
    assert len(api.get("/jobs")["jobs"]) == 1


def test_a_link_leads_to_itself_while_its_picture_is_drawn(make_api, kit):
    with kit.rig("sdwebui") as rig:
        api = make_api(rig, "api.asgi")
        link = link_of(api)["url"]
        answer = follow(link)
        assert answer.status_code == 303
        assert parse_qs(urlsplit(answer.headers["location"]).query)["n"] == ["1"]
        assert answer.headers["location"].startswith(link)


def test_a_link_that_was_changed_or_has_expired_draws_nothing(api):
    link = link_of(api)["url"]
    token = parse_qs(urlsplit(link).query)["token"][0]
    payload, _, proof = token.partition(".")
    values = json.loads(base64.urlsafe_b64decode(payload + "=="))
    values[0] = "somebody-else"
    forged = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
    old = picture_token(SIGNING_SECRET, PictureLink(tenant="a", runtime="b", picture={"prompt": "c"}, expires_s=1))
    for wrong, status in ((f"{forged}.{proof}", 403), (f"{payload}.", 403), ("x", 403), (old, 410)):
        assert follow(link.replace(token, wrong)).status_code == status, wrong
    assert api.get("/jobs")["jobs"] == []


def test_a_link_that_is_opened_again_writes_nothing(api):
    """Nobody needs a key to open it, and a write costs five times a read."""
    link = link_of(api)["url"]
    follow(turned(link, 15))
    (job,) = api.get("/jobs")["jobs"]
    kept = {"TableName": api.rig.store.table, "Key": {"pk": {"S": request_pk(job["job"])}}}
    assert api.rig.aws.dynamodb.delete_item(**kept, ReturnValues="ALL_OLD")["Attributes"]
    assert follow(turned(link, 15)).status_code == 504
    assert "Item" not in api.rig.aws.dynamodb.get_item(**kept)


def test_links_are_drawn_within_the_budget_of_who_made_them(waiting_api, shell):
    api = waiting_api(shell)
    links = [api.call("POST", "/pictures/links", {"prompt": f"cat {n}"}, key="daily").json()["url"] for n in range(5)]
    assert [follow(turned(link, 15)).status_code for link in links] == [504, 504, 504, 429, 429]
    assert follow(turned(links[0], 15)).status_code == 504


def test_a_link_that_is_made_can_be_opened_however_long_it_is_and_a_longer_one_is_not_made(api):
    link = link_of(api, prompt="老" * 682, negative_prompt="x" * 2048)["url"]
    assert follow(turned(link, 15)).status_code == 504
    for letter in ("x", "\x01"):
        long = {"prompt": "x" * 2048, "negative_prompt": letter * 2048, "image": f"https://example.com/{'x' * 2000}"}
        answer = api.call("POST", "/pictures/links", long)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/prompt")


def test_a_link_to_what_cannot_be_drawn_is_not_made(api):
    answer = api.call("POST", "/pictures/links", {"prompt": "a", "format": "webp"})
    assert answer.status_code == 400
    assert api.call("POST", "/pictures/links", {"prompt": "a", "expires_in": 10**9}).status_code == 400
    assert api.call("POST", "/pictures/links", {"prompt": "a"}, key=None).status_code == 401
    assert api.call("GET", "/pictures?prompt=a", key=None).status_code == 401
