from ipaddress import ip_address

import pytest

from queue_agent.errors import InputFault
from queue_agent.inputs.addresses import is_public, resolve
from queue_agent.inputs.links import find_links, is_link

FIELDS = frozenset({"init_images", "image", "mask"})


@pytest.mark.parametrize(
    "text", ["http://a/b", "https://a/b.png?x=1", "s3://b/k", " https://a/b ", "HTTPS://A/B", "S3://b/k"]
)
def test_a_link_alone_is_a_link(text):
    assert is_link(text)


@pytest.mark.parametrize(
    "value",
    ["", "a http://a/b", "http://a/b and more", "ftp://a/b", "file:///etc/passwd", "iVBORw0KGgo=", "http://", 5, None],
)
def test_text_that_holds_more_or_less_than_a_link_is_none(value):
    assert not is_link(value)


def test_links_are_found_at_any_depth_where_an_image_belongs_and_nowhere_else():
    body = {
        "prompt": "https://example.com/prompt.png",
        "negative_prompt": "s3://b/k",
        "init_images": ["s3://b/1", "iVBORw0KGgo="],
        "mask": "https://example.com/2",
        "styles": ["https://example.com/style"],
        "alwayson_scripts": {
            "ControlNet": {"args": [{"image": {"image": "s3://b/3", "mask": "s3://b/4"}, "module": "https://m"}]},
            "Other": {"args": ["https://example.com/5", {"prompt": "https://example.com/6"}]},
        },
    }
    sites = list(find_links(body, FIELDS))
    assert {site.link.field: site.link.url for site in sites} == {
        "init_images[0]": "s3://b/1",
        "mask": "https://example.com/2",
        "alwayson_scripts.ControlNet.args[0].image.image": "s3://b/3",
        "alwayson_scripts.ControlNet.args[0].image.mask": "s3://b/4",
    }
    for site in sites:
        site.replace("X")
    assert body["init_images"] == ["X", "iVBORw0KGgo="]
    assert body["alwayson_scripts"]["ControlNet"]["args"][0]["image"] == {"image": "X", "mask": "X"}
    assert body["prompt"] == "https://example.com/prompt.png"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.170.23",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_private_link_local_and_reserved_addresses_are_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "169.254.169.254", "10.0.0.1", "[::1]".strip("[]")]
)
async def test_a_host_that_leads_to_a_private_address_is_refused_however_it_is_written(host):
    with pytest.raises(InputFault, match=r"public internet|unknown"):
        await resolve(host, 80, allow_loopback=False)


async def test_loopback_is_reached_only_where_the_setting_allows_it():
    assert await resolve("127.0.0.1", 80, allow_loopback=True) == "127.0.0.1"
    with pytest.raises(InputFault):
        await resolve("10.0.0.1", 80, allow_loopback=True)


async def test_an_unknown_host_is_a_fault_of_the_input():
    with pytest.raises(InputFault, match="unknown"):
        await resolve("no-such-host.invalid", 80, allow_loopback=False)
