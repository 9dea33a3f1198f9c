"""Runtime type bedrock without its service: configuration, checks, translation of SDXL, answers."""

import asyncio
import base64
import io
import json

import pytest
from botocore.exceptions import ClientError
from driverkit import PNG, task_of
from PIL import Image

from api.content import content_errors, content_schema, ignored_content
from api.faces.v1.runtimes import contents_of
from configuration.config import ConfigError, parse_config
from contract.field_errors import MAX_FIELD_ERRORS, one_of
from queue_agent.errors import (
    ContentFiltered,
    InputError,
    InvalidTask,
    Rejected,
    ServerError,
    ServiceRefused,
    Throttled,
)
from queue_agent.media import identify
from queue_agent.settings import Settings, SettingsError
from runtimes.bedrock.driver.answer import refusal, result_of
from runtimes.bedrock.driver.executor import Bedrock
from runtimes.bedrock.driver.request import call_of
from runtimes.bedrock.families import ASPECT_RATIOS, ENDED, FAMILIES, MAX_SEED, TASK_TYPES, nearest_ratio
from runtimes.bedrock.options import BedrockModel
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.options import Place
from runtimes.pictures import NotDrawableError, PictureRequest
from runtimes.pictures import task_of as task_of_picture
from test.unit.configuration.configs import MINIMAL

PLACE = Place(partition="aws", region="us-east-1", account="123456789012")
SD35, CORE, INPAINT = "stability.sd3-5-large-v1:0", "stability.stable-image-core-v1:1", "stable-image-inpaint"
LINK = "https://example.com/a.png"
SEED_BODY = {"text_prompts": [{"text": "this is where you place your input text", "weight": 1}]} | {
    "cfg_scale": 10,
    "seed": 0,
    "steps": 50,
    "width": 512,
    "height": 512,
}


def runtime_of(model, region=None):
    if not model.startswith("stability."):
        model = f"us.stability.{model}-v1:0"
    return DeployedRuntime(name="mine", type="bedrock", options={"id": model, "region": region})


def errors_of(content, model=SD35, tasktype=None):
    runtime = runtime_of(model)
    found = content_errors(content, tasktype or runtime.task_types[0], runtime, ("content",))
    return [(error.pointer, error.detail) for error in found]


# Configuration


def config_errors(**model):
    row = {"name": "mine", "type": "bedrock", "model": model}
    try:
        parse_config({**MINIMAL, "modelsRuntime": [row]})
    except ConfigError as exc:
        return [(error.pointer.removeprefix("modelsRuntime[0].model"), error.detail) for error in exc.errors]
    return []


@pytest.mark.parametrize(
    ("model", "pointer", "words"),
    [
        ({"region": "us-west-2"}, ".id", "is required"),
        ({"id": "stability.sd35-large-v1:0"}, ".id", f"did you mean {SD35}?"),
        ({"id": "anthropic.claude"}, ".id", "there are stability.stable-image-core-v1:1, "),
        ({"id": "stability.stable-diffusion-xl-v1"}, ".id", f"has ended (2025-05-20); take {SD35}"),
        ({"id": "amazon.nova-canvas-v1:0"}, ".id", "has ended (2026-09-30)"),
        ({"id": f"stability.{INPAINT}-v1:0"}, ".id", f"write us.stability.{INPAINT}-v1:0"),
        ({"id": f"us.{SD35}"}, ".id", f"has no inference profile: write {SD35}"),
        ({"id": SD35, "region": "us-east-1"}, ".region", 'must be us-west-2, not "us-east-1"'),
        ({"id": SD35, "region": "eu-west-1"}, ".region", "in the United States alone"),
        ({"id": SD35, "region": "cn-north-1"}, ".region", "in the United States alone"),
        ({"id": SD35, "concurrency": 0}, ".concurrency", "must be at least 1"),
        ({"id": SD35, "modelId": "x"}, ".modelId", "is not a known key"),
    ],
)
def test_config_yaml_names_a_model_that_runs_and_a_region_that_has_it(model, pointer, words):
    ((found, detail),) = config_errors(**model)
    assert found == pointer
    assert words in detail


@pytest.mark.parametrize(
    "model", [{"id": SD35}, {"id": "stability.sd3-5-large-v1:1"}, {"id": f"us.stability.{INPAINT}-v2:0"}]
)
def test_another_version_of_a_known_model_is_taken(model):
    assert config_errors(**model) == []


def test_an_agent_may_call_its_model_and_of_a_profile_all_that_it_leads_to():
    options = BedrockModel.model_validate({"id": SD35, "region": "us-west-2"})
    assert options.resources(PLACE) == [f"arn:aws:bedrock:us-west-2::foundation-model/{SD35}"]
    profile = runtime_of(INPAINT).options.resources(PLACE)
    assert profile[0] == f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.stability.{INPAINT}-v1:0"
    regions = ("us-east-1", "us-east-2", "us-west-2")
    assert profile[1:] == [f"arn:aws:bedrock:{one}::foundation-model/stability.{INPAINT}-v1:0" for one in regions]


def test_a_deployment_without_a_region_for_its_model_must_be_where_the_model_is():
    options = BedrockModel.model_validate({"id": SD35})
    with pytest.raises(ValueError, match='must be us-west-2, not "us-east-1"'):
        options.resources(PLACE)
    unresolved = Place(partition="${Token[P]}", region="${Token[R]}", account="1")
    assert options.resources(unresolved) == [f"arn:${{Token[P]}}:bedrock:${{Token[R]}}::foundation-model/{SD35}"]
    environment = {"SQS_QUEUE_URL": "q", "SNS_TOPIC_ARN": "t", "S3_BUCKET": "b", "JOBS_TABLE": "j"} | {
        "RUNTIME_TYPE": "bedrock",
        "RUNTIME_NAME": "r",
        "MODEL_OPTIONS": json.dumps({"id": SD35}),
    }
    in_china = Place(partition="aws-cn", region="cn-north-1", account="1")
    with pytest.raises(ValueError, match="cannot be called from cn-north-1"):
        BedrockModel.model_validate({"id": SD35, "region": "us-west-2"}).resources(in_china)
    with pytest.raises(SettingsError, match='must be us-west-2, not "eu-west-1"'):
        Bedrock.from_settings(Settings.from_environ({**environment, "AWS_REGION": "eu-west-1"}))


def test_the_model_travels_to_the_api_with_the_deployed_runtime():
    catalog = RuntimeCatalog.from_json(RuntimeCatalog([runtime_of(SD35, "us-west-2")]).to_json())
    assert catalog["mine"].options == BedrockModel.model_validate({"id": SD35, "region": "us-west-2"})
    assert catalog["mine"].task_types == ("text-to-image", "image-to-image")
    assert contents_of(catalog["mine"]).models == (SD35,)


def test_each_model_that_has_not_ended_is_known_with_its_price_and_every_task_type_has_a_model():
    assert {task_type for family in FAMILIES.values() for task_type in family.bodies} == set(TASK_TYPES)
    assert all(0.03 <= family.price_usd <= 0.6 for family in FAMILIES.values())
    assert not ENDED.keys() & {family.model for family in FAMILIES.values()}


# Bodies


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_the_example_of_each_model_is_accepted(family):
    runtime = DeployedRuntime(name="mine", type="bedrock", options={"id": family.model})
    for task_type in runtime.task_types:
        examples = content_schema(task_type, runtime)["examples"]
        assert not list(content_errors(examples[0], task_type, runtime, ()))


@pytest.mark.parametrize(
    ("model", "content", "errors"),
    [
        (SD35, {"prompt": "a", "seed": MAX_SEED, "aspect_ratio": "21:9", "output_format": "webp"}, {}),
        (SD35, {"prompt": "a", "seed": None, "mode": "text-to-image"}, {}),
        (CORE, {"prompt": "a", "output_format": "webp"}, {"output_format": 'must be png or jpeg, not "webp"'}),
        (CORE, {"prompt": "a", "mode": "text-to-image"}, {"mode": "is not a known key"}),
        (
            SD35,
            {"promt": "a", "seed": -1, "aspect_ratio": "16x9", "cfg_scale": 7, "negative_prompt": 3},
            {
                "prompt": "is required",
                "promt": "is not a known key; did you mean prompt?",
                "seed": "must be at least 0, not -1",
                "aspect_ratio": f'must be {one_of(ASPECT_RATIOS)}, not "16x9"; did you mean 16:9?',
                "cfg_scale": "is not a known key",
                "negative_prompt": "must be a string, not 3",
            },
        ),
        (
            SD35,
            {"prompt": " ", "seed": True},
            {"prompt": "must not be empty", "seed": "must be a whole number, not true"},
        ),
        (SD35, {"prompt": "a" * 10_001}, {"prompt": "may have at most 10000 characters"}),
        ("stable-outpaint", {"image": LINK}, {"left": "or another side (right, up, down) must be above 0"}),
        ("stable-outpaint", {"image": LINK, "up": 2001}, {"up": "must be at most 2000, not 2001"}),
        ("stable-outpaint", {"image": LINK, "down": 8}, {}),
        (
            INPAINT,
            {"prompt": "a", "image": 3},
            {"image": "must be a string: a link (http, https or s3) or base64, not 3"},
        ),
        (
            INPAINT,
            {"prompt": "a", "image": LINK, "mask": LINK, "grow_mask": 2.5},
            {"grow_mask": "must be a whole number, not 2.5"},
        ),
        ("stable-image-search-replace", {"prompt": "a", "image": LINK}, {"search_prompt": "is required"}),
        (
            "stable-creative-upscale",
            {"prompt": "a", "image": LINK, "creativity": 0.6},
            {"creativity": "must be at most 0.5, not 0.6"},
        ),
        ("stable-fast-upscale", {"image": LINK, "prompt": "a"}, {"prompt": "is not a known key"}),
        (
            "stable-image-remove-background",
            {"image": LINK, "output_format": "jpeg"},
            {"output_format": 'must be png or webp, not "jpeg"'},
        ),
    ],
)
def test_all_errors_of_a_body_are_named_with_what_was_meant(model, content, errors):
    assert dict(errors_of(content, model)) == {f"content.{name}": detail for name, detail in errors.items()}


def test_text_prompts_for_a_model_that_edits_are_an_unknown_key_and_no_body_of_sdxl():
    found = dict(errors_of({"text_prompts": [], "image": LINK}, "stable-fast-upscale"))
    assert found == {"content.text_prompts": "is not a known key"}


@pytest.mark.parametrize("content", [{}, {"text_prompts": [{"text": "a"}]}])
def test_of_very_many_unknown_keys_only_as_many_are_looked_up_as_an_answer_names(content, monkeypatch):
    looked_up = []
    for module in ("checks", "sdxl"):
        monkeypatch.setattr(f"runtimes.bedrock.{module}.suggestion", lambda name, _: looked_up.append(name) or "")
    content = {**content, **{f"k{number}": 1 for number in range(10_000)}}
    assert len(errors_of(content)) > MAX_FIELD_ERRORS
    with pytest.raises(InvalidTask):
        call_of(task_of(content), runtime_of(SD35).options.family)
    assert len(looked_up) < 3 * MAX_FIELD_ERRORS


# SDXL


def translated(content, model=SD35, tasktype=None):
    """The body that is sent, and what is said of each field."""
    runtime = runtime_of(model)
    tasktype = tasktype or runtime.task_types[0]
    assert list(content_errors(content, tasktype, runtime, ())) == []
    call = call_of(task_of(content, tasktype), runtime.options.family)
    body = {name: value for name, value in call.body.items() if name != "mode"}
    said = {error.pointer: error.detail for error in ignored_content(content, tasktype, runtime, ())}
    assert call.changes == tuple(f"{pointer} {detail}" for pointer, detail in said.items())
    return body, said, call.inverts_mask


def test_the_seeds_body_becomes_a_prompt_and_an_aspect_ratio():
    body, said, _ = translated(SEED_BODY)
    assert body == {"prompt": "this is where you place your input text", "aspect_ratio": "1:1", "seed": 0}
    assert said == {
        "text_prompts": "is sent as prompt",
        "width": "is sent as aspect_ratio 1:1: the model chooses the pixels",
        "height": "is sent as aspect_ratio 1:1: the model chooses the pixels",
        "cfg_scale": "is dropped: the model sets it itself",
        "steps": "is dropped: the model sets it itself",
    }


def test_weights_are_signs_and_texts_of_one_sign_are_joined():
    prompts = [{"text": "a", "weight": 0.5}, {"text": "b"}, {"text": "c", "weight": -1}, {"text": "d", "weight": 0}]
    body, said, _ = translated({"text_prompts": prompts})
    assert body == {"prompt": "a, b", "negative_prompt": "c"}
    assert said["text_prompts[0].weight"] == "is dropped: prompts have no weights; only its sign counts"
    assert said["text_prompts[3]"] == "is dropped: its weight is 0"
    assert said["text_prompts"] == "is sent as prompt and negative_prompt"


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((1024, 1024), "1:1"),
        ((1344, 768), "16:9"),
        ((768, 1344), "9:16"),
        ((1152, 896), "5:4"),
        ((1216, 832), "3:2"),
        ((1536, 640), "21:9"),
        ((1, 4000), "9:21"),
    ],
)
def test_a_size_becomes_the_nearest_aspect_ratio(size, ratio):
    assert nearest_ratio(*size) == ratio


@pytest.mark.parametrize(
    ("more", "strength", "pointer"),
    [
        ({}, 0.65, "image_strength"),
        ({"image_strength": 0.2}, 0.8, "image_strength"),
        ({"init_image_mode": "STEP_SCHEDULE", "step_schedule_start": 0.3}, 0.3, "step_schedule_start"),
    ],
)
def test_sdxl_counts_the_strength_of_an_image_the_other_way(more, strength, pointer):
    content = {"text_prompts": [{"text": "a"}], "init_image": LINK, **more}
    body, said, _ = translated(content, SD35, "image-to-image")
    assert body == {"prompt": "a", "image": LINK, "strength": strength}
    assert said[pointer].startswith(f"is sent as strength {strength}")


@pytest.mark.parametrize(
    ("source", "sent", "inverts"),
    [
        ("MASK_IMAGE_WHITE", {"mask": "s3://b/mask"}, False),
        ("MASK_IMAGE_BLACK", {"mask": "s3://b/mask"}, True),
        ("INIT_IMAGE_ALPHA", {}, False),
    ],
)
def test_each_of_sdxls_masks_is_what_the_model_takes(source, sent, inverts):
    masked = {"init_image": LINK, "mask_source": source, "mask_image": "s3://b/mask", "style_preset": "anime"}
    body, said, inverted = translated({"text_prompts": [{"text": "a"}], **masked}, INPAINT)
    assert body == {"prompt": "a", "image": LINK, **sent, "style_preset": "anime"}
    assert inverted == inverts
    assert "mask_image" in said


def test_a_style_is_kept_where_the_model_has_styles():
    _, said, _ = translated({"text_prompts": [{"text": "a"}], "style_preset": "anime"})
    assert said["style_preset"] == "is dropped: this model has no style_preset"


@pytest.mark.parametrize(
    ("content", "model", "tasktype", "errors"),
    [
        ({"text_prompts": []}, SD35, "text-to-image", ["text_prompts"]),
        ({"text_prompts": None}, SD35, "text-to-image", ["text_prompts"]),
        ({"text_prompts": [{"text": "a", "weight": -1}]}, SD35, "text-to-image", ["text_prompts"]),
        ({"text_prompts": [{"text": "a", "weight": "1"}]}, SD35, "text-to-image", ["text_prompts[0].weight"]),
        ({"text_prompts": [{"txt": "a"}, "b"]}, SD35, "text-to-image", ["text_prompts[0]", "text_prompts[1]"]),
        ({"text_prompts": [{"text": "a" * 10_001}]}, SD35, "text-to-image", ["text_prompts"]),
        ({**SEED_BODY, "samples": 2, "width": "512"}, SD35, "text-to-image", ["width", "samples"]),
        ({**SEED_BODY, "sampels": 1}, SD35, "text-to-image", ["sampels"]),
        ({**SEED_BODY, "width": 10**400}, SD35, "text-to-image", ["width"]),
        ({"text_prompts": [{"text": "a"}] * 101}, SD35, "text-to-image", ["text_prompts"]),
        ({"text_prompts": [{"text": "a", "wieght": 1}]}, SD35, "text-to-image", ["text_prompts[0].wieght"]),
        ({**SEED_BODY, "seed": 2**32 - 1}, SD35, "text-to-image", ["seed"]),
        ({**SEED_BODY, "init_image": LINK}, SD35, "text-to-image", ["init_image"]),
        ({**SEED_BODY, "mask_source": "INIT_IMAGE_ALPHA"}, SD35, "text-to-image", ["mask_source"]),
        ({**SEED_BODY}, SD35, "image-to-image", ["init_image"]),
        ({**SEED_BODY, "init_image": LINK, "image_strength": 2}, SD35, "image-to-image", ["image_strength"]),
        ({**SEED_BODY, "init_image": LINK}, INPAINT, "inpainting", ["mask_source"]),
        ({**SEED_BODY, "init_image": LINK, "mask_source": "MASK_IMAGE_WHITE"}, INPAINT, "inpainting", ["mask_image"]),
    ],
)
def test_errors_of_a_body_of_sdxl_stand_at_its_own_fields(content, model, tasktype, errors):
    assert [pointer.removeprefix("content.") for pointer, _ in errors_of(content, model, tasktype)] == errors


# Calls


def picture(size=(128, 96), form="PNG", colour="white"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form)
    return identify(file.getvalue())


def written(content, tasktype, model, **fetched):
    call = call_of(task_of(content, tasktype), runtime_of(model).options.family)
    call.write(fetched)
    return json.loads(call.content), call


def test_pictures_are_sent_in_base64_and_named_in_the_parameters_by_their_size():
    image = picture()
    sent, call = written({"prompt": "a", "image": "s3://b/k"}, "image-to-image", SD35, **{"s3://b/k": image})
    assert sent == {"prompt": "a", "image": base64.b64encode(image.data).decode(), "mode": "image-to-image"}
    assert call.body["image"] == f"<{len(image.data)} bytes>"


@pytest.mark.parametrize(
    ("media", "model", "words"),
    [
        (picture((63, 900)), INPAINT, "image: is an image of 63 x 900 pixels; each side must have at least 64"),
        (picture((4000, 2400)), INPAINT, "image: is an image of 4000 x 2400 pixels; the model takes at most 9437184"),
        (picture((1100, 1000)), "stable-creative-upscale", "takes at most 1048576"),
        (picture(form="GIF"), INPAINT, "image: is an image of type image/gif; the model takes JPEG, PNG or WebP"),
    ],
)
def test_a_picture_that_the_model_does_not_take_is_an_error_of_its_field(media, model, words):
    (task_type,) = runtime_of(model).task_types
    with pytest.raises(InputError, match=words):
        written({"prompt": "a", "image": "s3://b/k"}, task_type, model, **{"s3://b/k": media})


def test_a_request_larger_than_bedrock_takes_is_not_sent():
    noise = Image.effect_noise((2900, 2900), 90)
    file = io.BytesIO()
    Image.merge("RGB", [noise] * 3).save(file, "PNG", compress_level=0)
    with pytest.raises(InputError, match=r"MB with its pictures; Bedrock takes 25 MB"):
        written({"prompt": "a", "image": "s3://b/k"}, "inpainting", INPAINT, **{"s3://b/k": identify(file.getvalue())})


def test_a_mask_that_cannot_be_decoded_to_be_inverted_is_the_tasks_fault():
    content = {"text_prompts": [{"text": "a"}], "init_image": "i", "mask_source": "MASK_IMAGE_BLACK", "mask_image": "m"}
    broken = identify(picture().data[:60])
    with pytest.raises(InputError, match="mask: the image cannot be decoded"):
        written(content, "inpainting", INPAINT, i=picture(), m=broken)


def test_a_task_that_no_door_has_checked_fails_with_all_its_errors():
    with pytest.raises(InvalidTask, match="prompt is required; seed must be a whole number"):
        call_of(task_of({"seed": "1"}), runtime_of(SD35).options.family)
    with pytest.raises(InvalidTask, match=r"is upscale, which Stable Diffusion 3\.5 Large does not do"):
        call_of(task_of({"image": LINK}, "upscale"), runtime_of(SD35).options.family)


# Answers

CALL = call_of(task_of({"prompt": "a"}), runtime_of(SD35).options.family)
DATA = base64.b64encode(PNG).decode()


def answered(**answer):
    return result_of(json.dumps(answer).encode(), CALL, SD35, "id")


@pytest.mark.parametrize(
    "answer",
    [
        {"seeds": [7], "finish_reasons": [None], "images": [DATA]},
        {"images": [DATA], "seeds": [7]},
        {"result": "success", "artifacts": [{"seed": 7, "base64": DATA, "finishReason": "SUCCESS"}]},
    ],
)
def test_a_picture_is_read_from_each_form_of_answer(answer):
    result = answered(**answer)
    assert [(output.content, output.seed) for output in result.outputs] == [(PNG, 7)]
    assert result.answer == {"seeds": [7], "request_id": "id", "warnings": []}


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"finish_reasons": ["Filter reason: prompt"]}, ContentFiltered, "Filter reason: prompt"),
        ({"seeds": [], "finish_reasons": ["Filter reason: input image"], "images": []}, ContentFiltered, "input image"),
        ({"artifacts": [{"base64": DATA, "finishReason": "CONTENT_FILTERED"}]}, ContentFiltered, "CONTENT_FILTERED"),
        ({"finish_reasons": ["Inference error"]}, ServerError, "Inference error"),
        ({"artifacts": [{"finishReason": "ERROR"}]}, ServerError, "ERROR"),
        ({}, ServerError, "no picture"),
        ({"images": []}, ServerError, "no picture"),
        ({"images": ["§"]}, ServerError, "no base64"),
        ({"images": [None]}, ServerError, "no base64"),
    ],
)
def test_an_answer_without_a_picture_tells_whose_fault_it_is(answer, error, words):
    with pytest.raises(error, match=words) as raised:
        answered(**answer)
    assert type(raised.value) is error


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b'"x"', b""])
def test_an_answer_of_no_known_form_is_the_services_fault(content):
    with pytest.raises(ServerError):
        result_of(content, CALL, SD35, None)


def service_error(code, status, message="words"):
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "InvokeModel")


@pytest.mark.parametrize(
    ("code", "status", "message", "error"),
    [
        ("ThrottlingException", 429, "slow down", Throttled),
        ("ServiceQuotaExceededException", 400, "quota", Throttled),
        ("ModelNotReadyException", 429, "not ready", Throttled),
        ("AccessDeniedException", 403, "no access", ServiceRefused),
        ("ResourceNotFoundException", 404, "end of its life", ServiceRefused),
        ("ValidationException", 400, "The provided model identifier is invalid.", ServiceRefused),
        (
            "ValidationException",
            400,
            "Invocation of model ID x with on-demand throughput isn\u2019t supported.",
            ServiceRefused,
        ),
        ("ValidationException", 400, json.dumps({"detail": "prompt: too long"}), Rejected),
        ("ValidationException", 400, "Malformed input request", Rejected),
        ("ModelTimeoutException", 408, "late", ServerError),
        ("ModelErrorException", 424, "failed", ServerError),
        ("ServiceUnavailableException", 503, "away", ServerError),
        ("InternalServerException", 500, "failed", ServerError),
    ],
)
def test_each_error_of_the_service_is_the_tasks_the_operators_or_its_own(code, status, message, error):
    found = refusal(service_error(code, status, message), SD35)
    assert type(found) is error
    assert str(found) == "prompt: too long" or "detail" not in str(found)


def test_what_names_the_operators_roles_is_in_the_log_and_not_in_the_jobs_error(caplog):
    words = "User: arn:aws:sts::123456789012:assumed-role/agent is not authorized"
    error = refusal(service_error("AccessDeniedException", 403, words), SD35)
    assert words in caplog.text
    assert "AccessDeniedException" in str(error)
    assert "arn:" not in str(error)


async def test_settings_that_name_no_model_end_the_agent():
    environment = {"SQS_QUEUE_URL": "q", "SNS_TOPIC_ARN": "t", "S3_BUCKET": "b", "JOBS_TABLE": "j"} | {
        "RUNTIME_TYPE": "bedrock",
        "RUNTIME_NAME": "r",
        "AWS_REGION": "us-west-2",
    }
    with pytest.raises(SettingsError, match="MODEL_OPTIONS"):
        Bedrock.from_settings(Settings.from_environ(environment))
    driver = Bedrock.from_settings(Settings.from_environ({**environment, "MODEL_OPTIONS": json.dumps({"id": SD35})}))
    await driver.interrupt("job", 1)
    await asyncio.wait_for(driver.aclose(), 60)


# Pictures in words


@pytest.mark.parametrize(
    ("model", "picture", "task"),
    [
        (CORE, {"prompt": "a"}, ("text-to-image", {"prompt": "a"})),
        (
            SD35,
            {"prompt": "a", "negative_prompt": "b", "width": 512, "height": 768, "seed": 2**32 - 1, "steps": 9},
            ("text-to-image", {"prompt": "a", "negative_prompt": "b", "seed": MAX_SEED, "aspect_ratio": "2:3"}),
        ),
        (
            SD35,
            {"prompt": "a", "image": LINK, "strength": 0.2, "format": "webp", "width": 64, "height": 64},
            ("image-to-image", {"prompt": "a", "image": LINK, "strength": 0.2, "output_format": "webp"}),
        ),
        (
            INPAINT,
            {"prompt": "a", "image": LINK, "mask": LINK},
            ("inpainting", {"prompt": "a", "image": LINK, "mask": LINK}),
        ),
        ("stable-fast-upscale", {"prompt": "a", "image": LINK}, ("upscale", {"image": LINK})),
    ],
)
def test_a_picture_in_words_becomes_the_task_that_the_model_does(model, picture, task):
    runtime = runtime_of(model)
    assert task_of_picture(PictureRequest(**picture), runtime) == task
    assert not list(content_errors(task[1], task[0], runtime, ()))


@pytest.mark.parametrize(
    ("model", "picture", "words"),
    [
        (CORE, {"prompt": "a", "n": 2}, "draws one picture a job, not 2"),
        (CORE, {"prompt": "a", "format": "webp"}, "draws png or jpeg, not webp"),
        (CORE, {"prompt": "a", "image": LINK}, "a prompt and an image alone: Stable Image Core does text-to-image"),
        (SD35, {"prompt": "a", "image": LINK, "mask": LINK}, "and an image and a mask alone"),
        (INPAINT, {"prompt": "a"}, "Inpaint does inpainting"),
        ("stable-image-search-replace", {"prompt": "a", "image": LINK}, "does search-and-replace"),
    ],
)
def test_a_picture_that_the_model_does_not_draw_is_refused_with_what_it_does(model, picture, words):
    with pytest.raises(NotDrawableError, match=words):
        task_of_picture(PictureRequest(**picture), runtime_of(model))
