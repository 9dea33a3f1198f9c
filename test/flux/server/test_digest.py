"""Which requests count as the same."""

import pytest

from runtimes.flux.server.digest import digest_of

REQUEST = {"prompt": "a fox", "lora_weights": {"icons": 1, "flat": 0.5}}


def test_the_order_of_fields_does_not_count():
    turned = {"lora_weights": {"flat": 0.5, "icons": 1}, "prompt": "a fox"}
    assert digest_of(turned, "text-to-image") == digest_of(REQUEST, "text-to-image")


@pytest.mark.parametrize("change", [{"prompt": "a cat"}, {"seed": None}, {"lora_weights": [1, 0.5]}])
def test_another_value_is_another_request(change):
    assert digest_of({**REQUEST, **change}, "text-to-image") != digest_of(REQUEST, "text-to-image")


def test_another_task_type_is_another_request():
    assert digest_of(REQUEST, "image-to-image") != digest_of(REQUEST, "text-to-image")
