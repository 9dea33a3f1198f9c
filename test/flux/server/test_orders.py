"""What a request becomes: defaults, seeds, warnings."""

import pytest

from runtimes.flux.families import FAMILIES
from runtimes.flux.options import Lora, ModelOptions, card_of
from runtimes.flux.server.orders import RequestFaults, asked_of

SCHNELL = card_of(ModelOptions(profile="flux-schnell"), FAMILIES["flux"])
DEV = card_of(ModelOptions(profile="flux-dev"), FAMILIES["flux"])
SDXL = card_of(ModelOptions(profile="sdxl"), FAMILIES["sdxl"])
KONTEXT = card_of(ModelOptions(profile="flux-kontext"), FAMILIES["flux-kontext"])
FILL = card_of(ModelOptions(profile="flux-fill"), FAMILIES["flux-fill"])
QWEN = card_of(ModelOptions(profile="qwen-image-edit"), FAMILIES["qwen-image-edit"])


def asked(card=SCHNELL, task_type="text-to-image", **values):
    return asked_of({"prompt": "a fox", **values}, task_type, card, "job")


def edited(card=KONTEXT, **values):
    return asked_of({"instructions": "make it blue", **values}, "edit", card, "job")


def test_values_that_are_not_given_are_the_models():
    order = asked(DEV).order
    assert (order.steps, order.guidance, order.sequence_length) == (28, 3.5, 512)
    assert (order.width, order.height, order.true_cfg) == (512, 512, 1)


def test_a_guidance_of_zero_is_not_a_missing_one():
    assert asked(DEV, guidance_scale=0).order.guidance == 0


def test_drawn_seeds_differ_and_stay_whole_in_every_json_reader():
    seeds = {asked().order.seeds[0] for _ in range(50)}
    assert len(seeds) > 45
    assert max(seeds) < 2**53


def test_seeds_go_round_at_the_largest():
    assert asked(seed=2**63 - 1, num_images=2).order.seeds == (2**63 - 1, 0)


def test_qwen_is_guided_as_its_authors_do_unless_the_request_says_otherwise(picture):
    given = {"image": picture(), "size": 64}
    assert edited(QWEN, **given).order.true_cfg == 4
    assert edited(QWEN, true_cfg_scale=1, **given).order.true_cfg == 1


def test_fill_has_no_place_for_a_negative_prompt_and_says_so(picture):
    found = asked(
        FILL, "inpainting", image=picture(), mask=picture(mode="L"), negative_prompt="fog", width=64, height=64
    )
    assert found.order.negative_prompt is None
    assert found.warnings == ("negative_prompt has no effect: this model reads none",)


@pytest.mark.parametrize(
    ("card", "values", "field"),
    [
        (DEV, {"negative_prompt": "fog"}, "negative_prompt"),
        (SCHNELL, {"guidance_scale": 3.5}, "guidance_scale"),
        (SDXL, {"true_cfg_scale": 4}, "true_cfg_scale"),
    ],
)
def test_what_the_model_does_not_read_is_left_out_and_told(card, values, field):
    found = asked(card, **values)
    assert [warning.partition(" ")[0] for warning in found.warnings] == [field]
    assert found.order.batch_key == asked(card).order.batch_key


@pytest.mark.parametrize(
    ("card", "values"),
    [
        (DEV, {"negative_prompt": "fog", "true_cfg_scale": 4}),
        (DEV, {"guidance_scale": 2}),
        (SDXL, {"negative_prompt": "fog"}),
    ],
)
def test_what_the_model_reads_is_not_warned_of(card, values):
    found = asked(card, **values)
    assert found.warnings == ()
    assert found.order.batch_key != asked(card).order.batch_key


def test_a_model_that_reads_prompts_whole_says_so_when_it_is_told_how_much_to_read(picture):
    found = edited(QWEN, image=picture(), size=64, max_sequence_length=1024)
    assert found.warnings == ("max_sequence_length has no effect: this model reads prompts whole",)
    assert found.order.sequence_length is found.parameters["max_sequence_length"] is None
    assert edited(QWEN, image=picture(), size=64).warnings == ()


@pytest.mark.parametrize("size", [(4000, 8), (8, 4000)])
def test_a_strip_whose_picture_would_be_longer_than_may_be_asked_for_is_refused(picture, size):
    with pytest.raises(RequestFaults) as caught:
        edited(KONTEXT, image=picture(*size))
    ((field, problem),) = [(fault.pointer, fault.detail) for fault in caught.value.faults]
    assert (field, "at most 8192 a side" in problem) == ("image", True)
    assert edited(KONTEXT, image=picture(*size), size="1024x64").order.width == 1024


def test_of_several_images_the_strips_are_named_each(picture):
    with pytest.raises(RequestFaults) as caught:
        edited(QWEN, images=[picture(), picture(4000, 8), picture(8, 4000)], size=64)
    assert [fault.pointer for fault in caught.value.faults] == ["images[1]", "images[2]"]
    with pytest.raises(RequestFaults, match=r"images\[0\] is too narrow: it would be drawn with 22896 x 48 pixels"):
        edited(QWEN, images=[picture(4000, 8), picture()])


def test_a_length_above_the_models_is_the_models_and_told():
    found = asked(SCHNELL, max_sequence_length=512)
    assert found.order.sequence_length == found.parameters["max_sequence_length"] == 256
    assert found.warnings == ("max_sequence_length is 256: this model reads no more",)
    assert found.order.batch_key == asked(SCHNELL).order.batch_key


def test_a_length_has_no_effect_where_it_is_fixed():
    found = asked(SDXL, max_sequence_length=77)
    assert found.order.sequence_length is None
    assert found.warnings == ("max_sequence_length has no effect: this model has a fixed length",)


def test_a_model_that_cuts_prompts_is_told_where_without_a_warning(picture):
    found = edited(KONTEXT, image=picture(), size=64, max_sequence_length=100)
    assert (found.order.sequence_length, found.warnings) == (100, ())


@pytest.mark.parametrize("steps", [1, 2])
def test_an_early_look_for_which_there_are_too_few_steps_is_left_out_and_told(picture, steps):
    given = {"image": picture(), "size": 64, "num_inference_steps": steps, "seed": 1}
    found = edited(preview=True, **given)
    assert found.warnings == ("preview has no effect: it needs at least 3 steps",)
    assert found.parameters["preview"] is found.order.preview is False


@pytest.mark.parametrize("steps", [3, None])
def test_an_early_look_for_which_there_are_enough_steps_is_not_warned_of(picture, steps):
    found = edited(preview=True, image=picture(), size=64, num_inference_steps=steps)
    assert found.warnings == ()
    assert found.parameters["preview"] is found.order.preview is True


def test_too_few_steps_are_not_warned_of_where_no_early_look_was_asked_for(picture):
    assert edited(image=picture(), size=64, num_inference_steps=1).warnings == ()


def test_qwen_needs_two_steps(picture):
    given = {"image": picture(), "size": 64}
    with pytest.raises(RequestFaults, match="num_inference_steps must be at least 2 for this model, not 1"):
        edited(QWEN, num_inference_steps=1, **given)
    assert edited(QWEN, num_inference_steps=2, **given).order.steps == 2
    assert edited(KONTEXT, num_inference_steps=1, **given).order.steps == 1


def test_null_counts_as_left_out_in_every_field(picture):
    nulls = (
        "negative_prompt",
        "true_cfg_scale",
        "num_inference_steps",
        "guidance_scale",
        "max_sequence_length",
        "seed",
    )
    nulls += ("num_images", "lora_weights", "use_loras", "output_format", "quality", "finish")
    assert asked(DEV, **dict.fromkeys((*nulls, "width", "height"))).order.steps == 28
    more = ("images", "size", "mask", "mask_url", "image_url", "background", "preview")
    assert edited(QWEN, image=picture(), **dict.fromkeys((*nulls, *more))).order.steps == 40
    more = ("prompt", "feather", "strength", "image_url", "mask_url", "width", "height")
    given = {"image": picture(), "mask": picture(mode="L"), **dict.fromkeys((*nulls, *more))}
    assert asked(FILL, "inpainting", **given).order.prompt == ""
    assert asked(DEV, finish={"sharpen": None}).finishing.finish.sharpen == 0


def test_loras_take_part_by_their_weight():
    options = ModelOptions(profile="flux-dev", loras=(Lora(name="icons", source="a.safetensors"),))
    found = asked(card_of(options, FAMILIES["flux"]), lora_weights={"icons": 0.5})
    assert found.order.loras == (("icons", 0.5),)
    assert found.parameters["lora_weights"] == {"icons": 0.5}


def test_several_references_keep_their_own_shapes(picture):
    order = edited(QWEN, images=[picture(300, 300), picture(400, 200)], size=512).order
    assert [image.size for image in order.images] == [(512, 512), (1456, 720)]
    assert (order.width, order.height) == (512, 512)


def test_every_image_that_cannot_be_read_is_named(picture):
    with pytest.raises(RequestFaults) as raised:
        edited(QWEN, images=["AAAA", picture(), "BBBB"], mask="CCCC")
    assert {fault.pointer for fault in raised.value.faults} == {"images[0]", "images[2]", "mask"}


@pytest.mark.parametrize("link", ["HTTPS://x/a.png", "S3://bucket/a b.png", "\n http://x/a.png"])
def test_a_link_is_named_however_it_is_written(link):
    with pytest.raises(RequestFaults, match="image is a link: this server fetches no links"):
        edited(image=link)


def test_every_link_is_named(picture):
    with pytest.raises(RequestFaults) as raised:
        edited(QWEN, images=[picture(), "s3://bucket/a.png"], mask_url="https://example.com/m.png")
    assert {fault.pointer for fault in raised.value.faults} == {"images[1]", "mask_url"}


def test_parameters_hold_no_images(picture):
    assert not {"image", "mask"} & asked(DEV, "image-to-image", image=picture()).parameters.keys()


def test_all_given_images_and_the_mask_count_as_memory(picture):
    found = edited(QWEN, images=[picture(), picture(64, 32)], mask=picture(mode="L"), size=64)
    pixels = [image.width * image.height for image in found.order.images]
    assert found.image_bytes == 3 * sum(pixels) + 64 * 64
    assert found.without_images().image_bytes == 0
