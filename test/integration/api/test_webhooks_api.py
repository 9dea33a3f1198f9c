"""Webhooks from the request of a job to its receiver, and what their tenant can ask of them."""

import contextlib
import json
import uuid
from functools import cache

import pytest

from local.aws import STREAM, WITH_WEBHOOK
from sd_on_eks import Client, Conflict, NotFound
from sd_on_eks import verify_webhook as verified
from test.integration.api.conftest import Api
from test.kit.processes import wait_for
from test.kit.web import is_signed, posts_answered


class Receiver:
    """What was posted to the path of one test."""

    def __init__(self):
        self.path = f"/{uuid.uuid4()}"
        self.received = []

    def __call__(self, path, headers, body):
        if path == self.path:  # an earlier test's webhook may be late
            self.received.append((headers, body))
        return 200, {}, b""


@pytest.fixture(scope="module")
def hooked_api(kit):
    """Makes each shell's API once, with a courier, and a receiver that asks ``api.answer``."""
    with contextlib.ExitStack() as stack:

        @cache
        def make(shell):
            rig = stack.enter_context(kit.rig("sdwebui"))
            rig.aws.dynamodb.update_table(TableName=rig.store.table, **STREAM)
            dead = rig.aws.make_queue(f"{rig.name}-courier-dead")
            queue = rig.aws.make_queue(f"{rig.name}-courier", redrive_to=f"{rig.name}-courier-dead")
            where = {"Protocol": "sqs", "Endpoint": rig.aws.queue_arn(f"{rig.name}-courier")}
            rig.aws.sns.subscribe(TopicArn=rig.notice_topic, **where, Attributes={"FilterPolicy": WITH_WEBHOOK})
            places = {"COURIER_QUEUE_URL": queue, "ALLOW_PRIVATE_ADDRESSES": "true"}
            api = Api(rig, shell, **places)
            secret = {"SIGNING_SECRET": api.door.signing_secret}
            api.courier = rig.add_child("courier", COURIER_DEAD_QUEUE_URL=dead, **places, **secret)
            api.courier.start()

            def answer(*request):
                return api.answer(*request)

            api.receiver = stack.enter_context(posts_answered(answer))
            return api

        yield make


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def api(hooked_api, shell, receiver):
    """The API and the courier over one runtime, and a receiver, at ``api.hook``."""
    api = hooked_api(shell)
    api.rig.clear()
    api.answer, api.hook = receiver, {"url": f"{api.receiver}{receiver.path}"}
    return api


def ended(api, **options):
    """A job that was submitted with a webhook and cancelled."""
    job = api.submit(webhook=api.hook, **options)["job"]
    api.call("POST", f"/jobs/{job}/cancel", {})
    return job


def deliveries(api, job, **options):
    return api.get(f"/webhooks/deliveries?job={job}", **options)["deliveries"]


def test_a_jobs_end_is_told_signed_logged_and_told_again_on_demand(api, receiver):
    job = ended(api, context="mine")
    secret = api.get("/webhooks/secret")["secret"]
    wait_for(lambda: deliveries(api, job), lambda: api.courier.log)
    [(headers, body)] = receiver.received
    assert is_signed(secret, headers, body)
    told = json.loads(body)
    assert (told["type"], told["data"]["job"], told["data"]["state"]) == ("job.completed", job, "cancelled")
    [row] = deliveries(api, job)
    assert (row["id"], row["state"], row["status"]) == (headers["webhook-id"], "delivered", 200)
    assert api.call("POST", f"/webhooks/deliveries/{row['id']}/replay", {}).status_code == 202
    wait_for(lambda: len(receiver.received) == 2, lambda: api.courier.log)
    assert receiver.received[1][0]["webhook-id"] == row["id"]


def test_deliveries_and_secrets_are_each_tenants_own(api):
    job = ended(api)
    wait_for(lambda: deliveries(api, job), lambda: api.courier.log)
    [row] = deliveries(api, job)
    for method, path in (
        ("GET", f"/webhooks/deliveries?job={job}"),
        ("POST", f"/webhooks/deliveries/{row['id']}/replay"),
    ):
        assert api.call(method, path, {} if method == "POST" else None, key="other-key").status_code == 404
    assert api.call("POST", "/webhooks/deliveries/none/replay", {}).status_code == 404
    assert api.get("/webhooks/secret", key="other-key")["secret"] != api.get("/webhooks/secret")["secret"]


def test_the_deliveries_of_all_jobs_are_listed_page_by_page_the_newest_job_first(api):
    first, second = ended(api), ended(api)
    for job in (first, second):
        wait_for(lambda job=job: deliveries(api, job), lambda: api.courier.log)
    page = api.get("/webhooks/deliveries")
    assert [row["job"] for row in page["deliveries"]][:2] == [second, first]
    assert page["deliveries"][0] == deliveries(api, second)[0]
    older = api.get(f"/webhooks/deliveries?cursor={second}")
    assert older["deliveries"][0]["job"] == first
    others = api.get("/webhooks/deliveries", key="other-key")
    assert (others["deliveries"], others["next"]) == ([], None)
    assert api.call("GET", "/webhooks/deliveries?cursor=x").status_code == 400


def test_a_secret_is_rotated_at_most_once_a_day(api):
    first = api.get("/webhooks/secret")
    rotated = api.call("POST", "/webhooks/secret/rotate", {})
    assert rotated.status_code == 200
    assert rotated.json()["version"] == first["version"] + 1
    assert rotated.json()["previous_until"] is not None
    again = api.call("POST", "/webhooks/secret/rotate", {})
    assert (again.status_code, again.json()["code"]) == (409, "rotated_recently")
    assert int(again.headers["retry-after"]) > 3600
    assert api.get("/webhooks/secret")["secret"] == rotated.json()["secret"] != first["secret"]


def test_a_link_that_no_webhook_may_have_is_refused_with_the_other_errors(api):
    body = api.body(webhook={"url": "ftp://example.org", "events": ["all"]}, runtime="nowhere")
    problem = api.call("POST", "/jobs", body).json()
    assert {one["pointer"] for one in problem["errors"]} == {"#/webhook/url", "#/webhook/events/0", "#/runtime"}


def test_the_python_client_verifies_lists_and_replays_webhooks_and_changes_their_secret(api, receiver):
    with Client(api.door.base, "key") as sd:
        job = sd.submit(**api.body(webhook=api.hook))
        sd.cancel(job)
        secret = sd.webhook_secret()
        for count in (1, 2):
            wait_for(lambda count=count: len(receiver.received) == count, "the webhook")
            headers, body = receiver.received[-1]
            event = verified(body, headers, secret.secret)
            assert (event.type, event.data["job"], event.data["state"]) == ("job.completed", job.job, "cancelled")
            (delivery,) = wait_for(lambda: sd.deliveries(job), "the log")
            if count == 1:
                sd.replay(delivery)
        assert sd.rotate_webhook_secret().version == secret.version + 1
        with pytest.raises(Conflict):
            sd.rotate_webhook_secret()
        with pytest.raises(NotFound):
            sd.replay("nothing")
