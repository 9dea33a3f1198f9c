"""Requests to a flux runtime against the model that is to do them."""

import math

import pytest

from runtimes.flux.checks import lora_weights, request_errors
from runtimes.flux.options import MAX_LORAS, ModelOptions
from runtimes.flux.requests import MAX_CHARACTERS, REQUESTS, Finish, Generation

PICTURE = "aGVsbG8="
LORAS = [
    {"name": "sketch", "source": "sketch.safetensors", "weight": 0.5},
    {"name": "neon", "source": "neon.safetensors"},
]


def card(profile, **options):
    return ModelOptions.model_validate({"profile": profile, **options}).card


def faults(content, task_type="text-to-image", profile="flux-schnell"):
    found = request_errors(content, task_type, card(profile), ("task", "content"))
    return {fault.pointer.removeprefix("task.content").lstrip("."): fault.detail for fault in found}


@pytest.mark.parametrize(
    ("profile", "task_type", "content"),
    [
        # What other programs spell out: schnell reads 256 tokens and no guidance scale.
        ("flux-schnell", "text-to-image", {"prompt": "a", "max_sequence_length": 512, "guidance_scale": 3.5}),
        ("sdxl", "text-to-image", {"prompt": "a", "width": 1032, "height": 2048, "negative_prompt": "b"}),
        *[
            ("flux-fill", "inpainting", {"prompt": "a", "image": PICTURE, "mask": PICTURE, field: None, name: link})
            for link in (" HTTPS://a.example/a.png\n", "S3://b/two words.png")
            for field, name in (("image", "image_url"), ("mask", "mask"))
        ],
    ],
)
def test_what_a_model_does_is_taken(profile, task_type, content):
    assert faults(content, task_type, profile) == {}


def test_errors_of_the_form_and_of_the_model_are_named_together_at_their_fields():
    content = {"prompt": "", "steps": 4, "width": 500, "seed": -2, "lora_weights": {"neon": 1}, "use_loras": [True]}
    content |= {"negative_prompt": "b" * (MAX_CHARACTERS + 1), "finish": {"sharpen": 9}}
    pointers = (
        "prompt",
        "steps",
        "width",
        "seed",
        "lora_weights.neon",
        "use_loras",
        "negative_prompt",
        "finish.sharpen",
    )
    assert sorted(faults(content)) == sorted(pointers)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lora_weights", [0.5] * (MAX_LORAS + 1)),
        ("lora_weights", {str(number): 0.5 for number in range(MAX_LORAS + 1)}),
        ("lora_weights", [math.nan]),
        ("use_loras", [True] * (MAX_LORAS + 1)),
    ],
)
def test_where_the_model_is_not_known_loras_have_bounds_all_the_same(field, value):
    (fault,) = request_errors({"prompt": "a", field: value}, "text-to-image", None)
    assert fault.pointer == field


@pytest.mark.parametrize(
    ("task_type", "profile", "content", "said"),
    [
        ("image-to-image", "flux-dev", {"prompt": "a"}, "must have an image"),
        ("image-to-image", "flux-dev", {"prompt": "a", "image_url": "file:///etc/passwd"}, "must be a link"),
        ("inpainting", "flux-fill", {"prompt": "a", "image": PICTURE}, "must have a mask"),
        (
            "inpainting",
            "flux-fill",
            {"prompt": "a", "image": PICTURE, "mask": PICTURE, "true_cfg_scale": 4},
            "is not known to this model",
        ),
        ("edit", "flux-kontext", {"instructions": "a", "images": [PICTURE] * 2}, "may be at most 1"),
        *[
            ("edit", "qwen-image-edit", {"instructions": "a", "image": PICTURE, field: value}, said)
            for field, value, said in [
                ("size", "5000x5000", "pixels in all"),
                ("size", "big", "must be pixels"),
                ("mask", "auto", "is not made here"),
                ("finish", {"sharpen": False}, "must be a number, not false"),
            ]
        ],
        ("edit", "flux-schnell", {"instructions": "a", "image": PICTURE}, "it does text-to-image, image-to-image"),
        ("text-to-image", "flux-dev", {"prompt": "a", "seed": True}, "must be a number, not true"),
        ("text-to-image", "flux-dev", {"prompt": "a", "width": 8192, "height": 8192}, "times height may be at most"),
    ],
)
def test_what_a_model_cannot_do_is_said(task_type, profile, content, said):
    assert said in " ".join(faults(content, task_type, profile).values())


@pytest.mark.parametrize(
    ("task_type", "profile", "content"),
    [
        ("text-to-image", "flux-schnell", {"prompt": "a"}),
        ("image-to-image", "flux-dev", {"prompt": "a", "image": PICTURE}),
        ("inpainting", "flux-fill", {"prompt": "a", "image": PICTURE, "mask": PICTURE}),
        ("edit", "qwen-image-edit", {"instructions": "a", "image": PICTURE}),
    ],
)
def test_null_is_taken_for_left_out_in_every_field(task_type, profile, content):
    model = REQUESTS[task_type]
    nulls = dict.fromkeys(model.model_fields.keys() - content.keys())
    assert faults({**nulls, **content}, task_type, profile) == {}
    assert model.model_validate({**nulls, **content}) == model.model_validate(content)
    assert model.model_validate({**content, "finish": dict.fromkeys(Finish.model_fields)}).finish == Finish()


@pytest.mark.parametrize(
    ("asked", "weights"),
    [
        ({}, {"sketch": 0.5}),
        ({"lora_weights": {"neon": 1}}, {"sketch": 0.5, "neon": 1}),
        ({"lora_weights": [0, 0.3]}, {"neon": 0.3}),
        ({"use_loras": [False, True]}, {"neon": 1}),
        ({"use_loras": [True, True], "lora_weights": [0.2]}, {"sketch": 0.2, "neon": 1}),
    ],
)
def test_loras_take_part_as_the_request_says_and_else_as_the_configuration_does(asked, weights):
    request = Generation.model_validate({"prompt": "a", **asked})
    assert lora_weights(request, card("flux-dev", loras=LORAS)) == weights
