import pytest
from agentkit import base64_picture

from queue_agent.errors import InputFault
from queue_agent.inputs.inline import check_inline_images

FIELDS = frozenset({"init_images", "mask", "image"})
SMALL, HUGE = base64_picture(8), base64_picture(9000)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"init_images": [SMALL, HUGE]}, "init_images[1]"),
        ({"mask": HUGE}, "mask"),
        ({"mask": "data:image/png;base64," + HUGE}, "mask"),
        (
            {"alwayson_scripts": {"controlnet": {"args": [{"image": HUGE}]}}},
            "alwayson_scripts.controlnet.args[0].image",
        ),
    ],
)
async def test_a_small_text_that_is_a_huge_picture_fails_and_its_field_is_named(body, field):
    assert len(HUGE) < 100_000

    with pytest.raises(InputFault, match=r"too many|at most") as caught:
        await check_inline_images(body, FIELDS)

    assert str(caught.value).startswith(f"{field}: ")


async def test_all_huge_pictures_are_named_at_once():
    with pytest.raises(InputFault) as caught:
        await check_inline_images({"init_images": [HUGE], "mask": HUGE}, FIELDS)

    assert ("init_images[0]: " in str(caught.value), "mask: " in str(caught.value)) == (True, True)


@pytest.mark.parametrize("text", [SMALL, "https://example.com/a.png", "no base64!", "", "aGVsbG8="])
async def test_small_pictures_links_and_what_is_no_picture_pass(text):
    await check_inline_images({"init_images": [text], "mask": text, "other": HUGE}, FIELDS)
