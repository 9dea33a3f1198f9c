"""Links that somebody may write to reach what they should not, against the settings of a deployment."""

import json
from ipaddress import ip_address

import httpcore
import pytest

from contract.addresses import is_public
from queue_agent.errors import InputError, PlatformError
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.inputs.web import Web
from queue_agent.ports import Input
from runtimes.sdwebui.driver.call import call_of

HOSTS = """
    127.0.0.1 127.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.0.0.1 017700000001 0177.0.0.1 localhost LOCALHOST
    localhost. 169.254.169.254 2852039166 0xa9fea9fe 169.254.43518 10.0.0.1 172.20.0.1 192.168.1.1 100.64.0.1 [::1]
    [::] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe] [::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b::7f00:1] [fd00:ec2::254]
    [fe80::1] [2002:a9fe:a9fe::1] \uff11\uff12\uff17.0.0.1 \u2460\u2461\u2466.0.0.1 127\u30020\u30020\u30021
    %31%32%37.0.0.1
"""
SPELLINGS = [
    "http://{}/latest/meta-data/",
    "http://{}/latest/meta-data/ x",
    "HTTP://{}/",
    "https://{}:443/",
    " \t\nhttp://{}/",
    "http://{}/\n",
    "http://{}\t/",
    "http://user:pass@{}/",
    "http://example.com@{}/",
    "http://{}\\@example.invalid/",
    "http://{}:80/x?y#z",
    "http:\\\\{}\\x",
    "http:/{}/",
    "http:///{}/",
    "http://\x00{}/",
    "http://{}#@example.invalid/",
    "http://{}?@example.invalid/",
    "ftp://{}/x",
    "gopher://{}:80/_x",
    "file://{}/etc/passwd",
]


@pytest.mark.parametrize("host", HOSTS.split())
async def test_no_spelling_of_a_private_host_is_dialled_or_handed_to_the_server(make_task, monkeypatch, host):
    """Links of tasks for SD WebUI, as an agent of a deployment prepares them."""

    async def dial(self, host, *_):
        assert is_public(ip_address(host)), host
        raise httpcore.ConnectError

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", dial)
    monkeypatch.setattr("queue_agent.inputs.web.PAUSES_S", ())
    async with Web(allow_loopback=False) as web:
        inputs = InputFetcher(web=web, store=None, bucket="out", input_buckets=frozenset({"in"}))
        for link in (spelling.format(host) for spelling in SPELLINGS):
            for content in ({"init_images": [link]}, {"alwayson_scripts": {"reactor": {"args": [link, True]}}}):
                call = call_of(make_task(content, "image-to-image"))
                try:
                    call.write(await inputs.fetch([site.input for site in call.sites]))
                except (InputError, PlatformError):  # the latter where a name server is slow
                    continue
                # What is no link to any server may stay where words may stand.
                assert "init_images" not in content, link
                sent = json.dumps(json.loads(call.content)).lower()
                assert not any(mark in sent for mark in ("http:", "https:", "ftp:", "file:"))


FOREIGN = ("OUT", "other", "in.evil", "", "out ", " out")


@pytest.mark.parametrize(
    "place",
    [
        "out/_tasks/j.json",
        "out/_x",
        "out/_files",
        "out/_workflows/a/b.json",
        *(f"{bucket}/{key}" for bucket in FOREIGN for key in ("_x", "a")),
    ],
)
async def test_no_foreign_bucket_and_no_reserved_prefix_is_read(place):
    async with Web(allow_loopback=False) as web:
        inputs = InputFetcher(web=web, store=None, bucket="out", input_buckets=frozenset({"in"}))
        with pytest.raises(InputError):
            await inputs.fetch([Input(f"s3://{place}", "image")])
