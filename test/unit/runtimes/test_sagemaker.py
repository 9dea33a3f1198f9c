"""Type sagemaker without an endpoint: its options, checks and picture requests, its decoder, and what failures mean."""

import base64
import io
import json

import pytest
from botocore.exceptions import ClientError
from PIL import Image
from pydantic import ValidationError

from api.content import content_errors, ignored_content
from queue_agent.errors import (
    ContentFiltered,
    DeadlineExceeded,
    ExecutionFailed,
    Rejected,
    ServerError,
    ServiceRefused,
    StartedTooLate,
    Throttled,
)
from runtimes.catalog import DeployedRuntime
from runtimes.options import Place
from runtimes.pictures import NotDrawableError, PictureRequest, task_of
from runtimes.sagemaker.driver.decoder import MAX_PICTURES, decode
from runtimes.sagemaker.driver.failures import failure_of, refusal
from runtimes.sagemaker.options import SageMakerEndpoint

FLUX = {"endpoint": "mine", "form": "flux", "flux": {"profile": "flux-schnell"}}


def picture(form="PNG", colour="red", size=(4, 3)):
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, form)
    return held.getvalue()


PNG, JPEG = picture(), picture("JPEG", "blue")
PNG64, JPEG64 = (base64.b64encode(one).decode() for one in (PNG, JPEG))
RED = [[[255, 0, 0]] * 4] * 3


def as_json(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("answer", "pictures", "seeds"),
    [
        (PNG, [PNG], [None]),
        (JPEG, [JPEG], [None]),
        (as_json({"generated_images": [JPEG64, PNG64], "prompt": "p"}), [JPEG, PNG], [None, None]),
        (as_json({"generated_image": PNG64, "prompt": "p"}), [PNG], [None]),
        (as_json({"artifacts": [{"base64": PNG64, "seed": 7, "finishReason": "SUCCESS"}]}), [PNG], [7]),
        (as_json({"image": PNG64, "images": [PNG64, JPEG64], "seeds": [7, 8]}), [PNG, JPEG], [7, 8]),
        (as_json({"image": PNG64, "seed": 7, "seeds": [7]}), [PNG], [7]),
        (as_json({"images": [PNG64], "seeds": [9], "finish_reasons": [None]}), [PNG], [9]),
        (as_json({"predictions": [{"generated_image": PNG64}, {"b64_json": JPEG64}]}), [PNG, JPEG], [None, None]),
        (as_json([PNG64]), [PNG], [None]),
        (as_json({"output": f"data:image/png;base64,{PNG64}"}), [PNG], [None]),
    ],
)
def test_pictures_are_found_in_every_form_of_answer(answer, pictures, seeds):
    outputs = decode(answer).outputs
    assert ([one.content for one in outputs], [one.seed for one in outputs]) == (pictures, seeds)


@pytest.mark.parametrize(
    "rows", [RED, [[[1.0, 0.0, 0.0]] * 4] * 3, [[[255.0, 0, 0]] * 4] * 3], ids=["bytes", "fractions", "floats"]
)
@pytest.mark.parametrize("wrap", [lambda rows: {"generated_images": [rows]}, lambda rows: {"generated_image": rows}])
def test_rows_of_numbers_become_a_png(rows, wrap):
    (output,) = decode(as_json(wrap(rows))).outputs
    drawn = Image.open(io.BytesIO(output.content))
    assert (drawn.format, drawn.size, drawn.getpixel((0, 0))) == ("PNG", (4, 3), (255, 0, 0))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ExecutionFailed),
        (b"\x00\xff", ExecutionFailed),
        (as_json({}), ExecutionFailed),
        (as_json(7), ExecutionFailed),
        (as_json({"generated_images": []}), ExecutionFailed),
        (as_json({"generated_images": ["https://example.com/a.png"]}), ExecutionFailed),
        (as_json({"generated_images": [base64.b64encode(b"<html>").decode()]}), ExecutionFailed),
        (as_json({"generated_image": [[[1, 2, 3]], [[1, 2, 3]] * 2]}), ExecutionFailed),
        (as_json({"generated_image": [[[1, 2, 300]]]}), ExecutionFailed),
        (as_json({"generated_image": [[[1, 2, "x"]]] * 2}), ExecutionFailed),
        (as_json({"images": [PNG64] * (MAX_PICTURES + 1)}), ExecutionFailed),
        (as_json({"images": [[[[[[PNG64]]]]]]}), ExecutionFailed),
        (as_json({"artifacts": 7, "finish_reasons": "x"}), ExecutionFailed),
        (as_json({"artifacts": [{"finishReason": ["CONTENT_FILTERED"]}]}), ContentFiltered),
        (as_json({"artifacts": [{"base64": PNG64, "finishReason": "CONTENT_FILTERED"}]}), ContentFiltered),
        (as_json({"images": [], "finish_reasons": ["Filter reason: prompt"]}), ContentFiltered),
    ],
)
def test_an_answer_without_a_picture_fails_the_task(answer, error):
    with pytest.raises(error):
        decode(answer)


@pytest.mark.parametrize("value", [b"[1]", b"{}"])
def test_an_answer_of_very_many_lists_or_objects_is_not_read(value):
    with pytest.raises(ExecutionFailed, match="too many values"):
        decode(b'{"generated_image": [' + b",".join([value] * 2_500_001) + b"]}")


def client_error(status, code, message, **fields):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **fields}
    return ClientError(answer, "InvokeEndpoint")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (client_error(424, "ModelError", "m", OriginalStatusCode=400, OriginalMessage="no prompt"), Rejected),
        (client_error(424, "ModelError", "m", OriginalStatusCode=500, OriginalMessage="a bug"), ServerError),
        (
            client_error(424, "ModelError", "m", OriginalStatusCode=400, OriginalMessage="CUDA out of memory"),
            ServerError,
        ),
        (client_error(424, "ModelError", "Your invocation timed out", OriginalStatusCode=0), ServerError),
        (client_error(429, "ModelNotReadyException", "not ready"), Throttled),
        (client_error(400, "ThrottlingException", "Rate exceeded"), Throttled),
        (
            client_error(400, "ValidationError", "Inference Component has no capacity to process this request."),
            Throttled,
        ),
        (client_error(400, "ValidationError", "Endpoint x of account 1 not found."), ServiceRefused),
        (client_error(400, "ValidationError", "Value at 'body' failed to satisfy constraint"), Rejected),
        (client_error(403, "AccessDeniedException", "no"), ServiceRefused),
        (client_error(503, "ServiceUnavailable", "later"), ServerError),
    ],
)
def test_errors_of_a_call_are_the_tasks_the_endpoints_or_the_operators(answer, error):
    assert type(refusal(answer)) is error


POINTER = (
    " See https://us-west-2.console.aws.amazon.com/cloudwatch/home?region=us-west-2#logEventViewer:group="
    "/aws/sagemaker/Endpoints/mine in account 123456789012 for more information."
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal(client_error(400, "ValidationError", "Endpoint mine of account 123456789012 not found.")), "endpoint"),
        (
            refusal(client_error(424, "ModelError", f"Received server error (0) from primary.{POINTER}")),
            "from primary.",
        ),
        (failure_of(f'Received client error (400) from primary with message "no".{POINTER}'.encode()), '"no".'),
        (failure_of(as_json({"failureReason": f"Received server error (500).{POINTER}"})), "(500)."),
    ],
)
def test_callers_do_not_read_whose_account_it_is(error, words):
    assert "123456789012" not in str(error)
    assert words in str(error)


@pytest.mark.parametrize(
    ("written", "error"),
    [
        (b'Received client error (400) from primary with message "no prompt".', Rejected),
        (b'Received client error (422) from primary with message "x".', Rejected),
        (b'Received server error (500) from primary with message "x".', ServerError),
        (b'{"failureReason": "ClientError: Received client error (400) from primary"}', Rejected),
        (as_json({"OriginalStatusCode": 413, "OriginalMessage": "too large"}), Rejected),
        (b"Request expired: it was not processed within RequestTTLSeconds.", StartedTooLate),
        (b"Invocation timed out.", DeadlineExceeded),
        (b"\xff", ServerError),
        (b"", ServerError),
    ],
)
def test_what_lies_at_a_failure_location_is_the_tasks_or_the_endpoints_fault(written, error):
    assert type(failure_of(written)) is error


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({}, "Field required"),
        ({"endpoint": "-a"}, "hyphens"),
        ({"endpoint": "a", "mode": "batch"}, "async"),
        ({"endpoint": "a", "flux": {"profile": "flux-schnell"}}, "form: flux"),
        ({"endpoint": "a", "make": {"instanceType": "ml.g5.xlarge"}}, "names no image"),
        ({**FLUX, "make": {"instanceType": "g5.xlarge"}}, "ml.g6.xlarge"),
        ({**FLUX, "region": "us-west-2", "make": {"instanceType": "ml.g5.xlarge"}}, "must not name a region"),
        ({**FLUX, "make": {"instanceType": "ml.g5.xlarge", "image": "docker.io/a"}}, "image in ECR"),
    ],
)
def test_a_model_that_makes_no_sense_is_rejected(model, words):
    with pytest.raises(ValidationError, match=words):
        SageMakerEndpoint.model_validate(model)


def test_an_agent_may_call_the_one_endpoint_wherever_it_is():
    place = Place(partition="aws-cn", region="cn-north-1", account="123456789012")
    options = SageMakerEndpoint.model_validate({"endpoint": "Mine"})
    assert options.resources(place) == ["arn:aws-cn:sagemaker:cn-north-1:123456789012:endpoint/mine"]


def runtime_of(**model):
    return DeployedRuntime(name="mine", type="sagemaker", options={"endpoint": "mine", **model})


@pytest.mark.parametrize(
    ("model", "tasktype", "content", "pointers"),
    [
        ({}, "text-to-image", {"prompt": "p", "width": 512, "batch_size": 2}, []),
        ({}, "text-to-image", {"prompt": ["p", "q"]}, []),
        ({}, "text-to-image", {"width": 510, "seed": "7"}, ["c.prompt", "c.width", "c.seed"]),
        ({}, "inpainting", {"prompt": "p", "image": "https://a/b"}, ["c.mask_image"]),
        (FLUX, "text-to-image", {"prompt": "p", "width": 65, "size": 3}, ["c.size", "c.width"]),
        ({"form": "other"}, "text-to-image", {"anything": 1}, []),
    ],
)
def test_the_api_checks_a_content_by_the_form_of_the_endpoint(model, tasktype, content, pointers):
    runtime = runtime_of(**{**model, "endpoint": "mine"})
    assert [error.pointer for error in content_errors(content, tasktype, runtime, ("c",))] == pointers


def test_the_caller_is_warned_of_fields_that_jumpstart_does_not_have():
    (warning,) = ignored_content({"prompt": "p", "widht": 64}, "text-to-image", runtime_of(), ("c",))
    assert (warning.pointer, "width" in warning.detail) == ("c.widht", True)


@pytest.mark.parametrize(
    ("model", "picture", "task"),
    [
        (
            {},
            {"prompt": "p", "n": 2, "steps": 4, "format": "png"},
            ("text-to-image", {"prompt": "p", "num_images_per_prompt": 2, "num_inference_steps": 4}),
        ),
        (
            {},
            {"prompt": "p", "image": "i", "mask": "m", "strength": 0.5},
            ("inpainting", {"prompt": "p", "image": "i", "mask_image": "m", "strength": 0.5}),
        ),
        (
            FLUX,
            {"prompt": "p", "n": 2, "format": "jpeg", "image": "i"},
            ("image-to-image", {"prompt": "p", "num_images": 2, "image": "i", "output_format": "jpeg"}),
        ),
    ],
)
def test_a_picture_request_becomes_a_task_of_the_endpoints_form(model, picture, task):
    assert task_of(PictureRequest.model_validate(picture), runtime_of(**{**model, "endpoint": "mine"})) == task


def test_a_picture_that_the_endpoints_model_cannot_draw_is_refused():
    fill = runtime_of(form="flux", flux={"profile": "flux-fill"})
    with pytest.raises(NotDrawableError, match="does not do text-to-image"):
        task_of(PictureRequest(prompt="p"), fill)
