"""What the server makes of a posted request: defaults, seeds, warnings, images."""

import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import Lora, ModelOptions, card_of
from runtimes.flux.profiles import PROFILES
from runtimes.flux.server.engine.generation import digest_of, generation_request
from runtimes.flux.server.errors import InvalidGenerationError

SCHNELL, DEV, SDXL, KONTEXT, FILL, QWEN = (
    card_of(ModelOptions(profile=name), PROFILES[name].family)
    for name in ("flux-schnell", "flux-dev", "sdxl", "flux-kontext", "flux-fill", "qwen-image-edit")
)


def drawn(card=SCHNELL, task_type="text-to-image", **values):
    return generation_request({"prompt": "a fox", **values}, task_type, card, "job")


@pytest.fixture
def edited(picture):
    """Makes a request for an edit, by default of a small image."""

    def edit(card=KONTEXT, **values):
        given = {} if values.keys() & {"image", "images"} else {"image": picture(), "size": 64}
        return generation_request({"instructions": "make it blue", **given, **values}, "edit", card, "job")

    return edit


def test_missing_values_have_the_defaults_of_the_model_and_zero_is_not_missing():
    request = drawn(DEV)
    assert (request.steps, request.guidance, request.sequence_length) == (28, 3.5, 512)
    assert (request.size, request.true_cfg) == ((512, 512), 1)
    assert drawn(DEV, guidance_scale=0).guidance == 0


def test_random_seeds_differ_and_are_exact_in_every_json_parser_and_seeds_wrap_around():
    seeds = {drawn().seeds[0] for _ in range(50)}
    assert len(seeds) > 45
    assert max(seeds) < 2**53
    assert drawn(seed=2**63 - 1, num_images=2).seeds == (2**63 - 1, 0)


NO_EFFECT = "{} has no effect: this model {}".format
ABOVE_1 = "reads it only if true_cfg_scale is above 1"


@pytest.mark.parametrize(
    ("card", "values", "warning"),
    [
        (DEV, {"negative_prompt": "fog"}, NO_EFFECT("negative_prompt", ABOVE_1)),
        (FILL, {"negative_prompt": "fog"}, NO_EFFECT("negative_prompt", "reads none")),
        (SCHNELL, {"guidance_scale": 3.5}, NO_EFFECT("guidance_scale", "is distilled to need none")),
        (SDXL, {"true_cfg_scale": 4}, "true_cfg_scale has no effect: this model's guidance is guidance_scale"),
        (SDXL, {"max_sequence_length": 77}, NO_EFFECT("max_sequence_length", "has a fixed length")),
        (QWEN, {"max_sequence_length": 1024}, NO_EFFECT("max_sequence_length", "reads prompts whole")),
        (SCHNELL, {"max_sequence_length": 512}, "max_sequence_length is 256: this model reads no more"),
        (DEV, {"negative_prompt": "fog", "true_cfg_scale": 4}, None),
        (DEV, {"guidance_scale": 2}, None),
        (SDXL, {"negative_prompt": "fog"}, None),
        (KONTEXT, {"max_sequence_length": 100}, None),
    ],
)
def test_values_that_the_model_ignores_are_left_out_with_a_warning(card, values, warning, picture):
    task_type = card.row.task_types[0]
    text = "instructions" if task_type == "edit" else "prompt"
    given = {text: "a fox"}
    given |= {} if task_type == "text-to-image" else {"image": picture(), "mask": picture(mode="L")}
    plain, request = (generation_request({**given, **more}, task_type, card, "job") for more in ({}, values))
    assert request.warnings == ((warning,) if warning else ())
    assert (request.batch_key == plain.batch_key) is bool(warning)
    assert request.parameters["max_sequence_length"] == request.sequence_length


@pytest.mark.parametrize("size", [(4000, 8), (8, 4000)])
def test_an_image_so_narrow_that_its_picture_would_be_too_long_is_rejected(picture, edited, size):
    with pytest.raises(InvalidGenerationError, match=r"^image is too narrow: .* at most 8192 a side"):
        edited(image=picture(*size))
    assert edited(image=picture(*size), size="1024x64").width == 1024


def test_an_error_names_each_image_that_is_too_narrow(picture, edited):
    with pytest.raises(InvalidGenerationError) as caught:
        edited(QWEN, images=[picture(), picture(4000, 8), picture(8, 4000)], size=64)
    assert [error.pointer for error in caught.value.field_errors] == ["images[1]", "images[2]"]


@pytest.mark.parametrize(("steps", "is_taken"), [(2, False), (3, True)])
def test_a_preview_is_promised_only_if_the_pipeline_takes_one(edited, steps, is_taken):
    request = edited(preview=True, num_inference_steps=steps)
    assert request.preview is request.parameters["preview"] is is_taken
    assert request.warnings == (() if is_taken else ("preview has no effect: it needs at least 3 steps",))
    assert edited(num_inference_steps=steps).warnings == (), "none was asked for"


def test_qwen_has_the_guidance_of_its_authors_by_default_and_needs_two_steps(edited):
    assert [edited(QWEN, true_cfg_scale=scale).true_cfg for scale in (None, 1)] == [4, 1]
    with pytest.raises(InvalidGenerationError, match="num_inference_steps must be at least 2 for this model, not 1"):
        edited(QWEN, num_inference_steps=1)
    assert [edited(card, num_inference_steps=steps).steps for card, steps in ((QWEN, 2), (KONTEXT, 1))] == [2, 1]


def test_loras_apply_with_the_requested_weight():
    options = ModelOptions(profile="flux-dev", loras=(Lora(name="icons", source="a.safetensors"),))
    request = drawn(card_of(options, FAMILIES["flux"]), lora_weights={"icons": 0.5})
    assert request.loras == (("icons", 0.5),)
    assert request.parameters["lora_weights"] == {"icons": 0.5}


def test_references_keep_their_shapes_and_all_count_as_memory(picture, edited):
    request = edited(QWEN, images=[picture(300, 300), picture(400, 200)], mask=picture(mode="L"), size=512)
    assert [image.size for image in request.images] == [(512, 512), (1456, 720)]
    assert request.size == (512, 512)
    assert request.image_bytes == 3 * (512 * 512 + 1456 * 720) + 512 * 512
    assert request.without_images().image_bytes == 0
    assert not {"image", "images", "mask"} & request.parameters.keys()


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"images": ["AAAA", None, "BBBB"], "mask": "CCCC"}, ["images[0]", "images[2]", "mask"]),
        ({"images": [None, "s3://bucket/a.png"], "mask_url": "https://x/m.png"}, ["images[1]", "mask_url"]),
        *(({"image": link}, ["image"]) for link in ("HTTPS://x/a.png", "S3://bucket/a b.png", "\n http://x/a.png")),
    ],
)
def test_errors_name_every_image_that_cannot_be_read_and_every_link(picture, edited, values, fields):
    if "images" in values:
        values = {**values, "images": [image or picture() for image in values["images"]]}
    with pytest.raises(InvalidGenerationError) as raised:
        edited(QWEN, **values)
    assert sorted(error.pointer for error in raised.value.field_errors) == fields


def test_the_digest_of_a_request_depends_on_everything_except_the_order_of_fields():
    request = {"prompt": "a fox", "lora_weights": {"icons": 1, "flat": 0.5}}
    turned = {"lora_weights": {"flat": 0.5, "icons": 1}, "prompt": "a fox"}
    assert digest_of(turned, "text-to-image") == digest_of(request, "text-to-image")
    others = [{**request, **change} for change in ({"prompt": "a cat"}, {"seed": None}, {"lora_weights": [1, 0.5]})]
    digests = {digest_of(one, "text-to-image") for one in (request, *others)} | {digest_of(request, "edit")}
    assert len(digests) == 5
