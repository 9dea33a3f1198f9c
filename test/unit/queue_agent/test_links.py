import pytest

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
