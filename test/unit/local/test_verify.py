import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from deploy.errors import DeployError
from deploy.verify import target
from deploy.verify.pictures import PictureError, read_picture
from deploy.verify.samples import SAMPLE_CHECKPOINT, InputLinks, Sample, make_request, samples_of
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.flux.checks import request_errors
from runtimes.flux.options import ModelOptions

LINKS = InputLinks(s3="s3://bucket/verify/input.png", http="https://bucket.example/verify/input.png?Signature=x")


def body_of(name: str, version: str = "v1alpha2", **changes: Any) -> Any:
    (file,) = Path("runtimes").glob(f"[!f]*/samples/{version}/{name}.json")
    return make_request(Sample(file=file, api_version=version, runtime="mine", **changes), LINKS).body


def of_type(type_: str, **wanted: Any) -> list[Sample]:
    """The samples of a platform with one runtime, which may do all."""
    return samples_of(RuntimeCatalog([DeployedRuntime(name="mine", type=type_, dynamic_model=True)]), **wanted)


@pytest.mark.parametrize(
    ("type_", "wanted", "names"),
    [
        ("sdwebui", None, ["t2i", "i2i", "extra-single-image", "t2i", "i2i"]),
        ("comfyui", None, ["pipeline"]),
        ("flux", None, ["flux-t2i", "flux-i2i", "flux-inpaint", "flux-edit"]),
        ("flux", ["edit", "text-to-image", "upscaling"], ["flux-t2i", "flux-edit"]),
    ],
)
def test_a_types_samples_are_the_files_in_its_folder_in_the_order_of_its_task_types(
    type_: str, wanted: list[str] | None, names: list[str]
) -> None:
    assert [one.name for one in of_type(type_, task_types=wanted)] == names


CATALOG = RuntimeCatalog(
    [
        DeployedRuntime(name="base", type="sdwebui", model_filename="base.safetensors"),
        DeployedRuntime(name="any", type="sdwebui", dynamic_model=True),
        DeployedRuntime(name="fills", type="flux", options=ModelOptions(profile="flux-fill")),
        DeployedRuntime(name="flows", type="comfyui"),
    ]
)
TWO_DYNAMIC = RuntimeCatalog(DeployedRuntime(name=name, type="sdwebui", dynamic_model=True) for name in "ab")


def test_every_runtime_gets_its_samples_and_those_of_the_old_api_that_reach_it_alone() -> None:
    posted = [(one.runtime, one.api_version, one.name, one.checkpoint) for one in samples_of(CATALOG)]
    assert {one[:3] for one in posted} == {
        *{(name, "v1alpha2", sample) for name in ("base", "any") for sample in ("t2i", "i2i", "extra-single-image")},
        *{(name, "v1alpha1", sample) for name in ("base", "any") for sample in ("t2i", "i2i")},
        ("fills", "v1alpha2", "flux-inpaint"),
        ("flows", "v1alpha2", "pipeline"),
    }
    assert {one[3] for one in posted if one[0] == "base"} == {"base.safetensors"}
    assert {one[3] for one in posted if one[0] == "any"} == {SAMPLE_CHECKPOINT}
    assert {one.api_version for one in samples_of(TWO_DYNAMIC)} == {"v1alpha2"}


@pytest.mark.parametrize(
    ("catalog", "wanted", "words"),
    [
        (CATALOG, {"api_version": "v2"}, "for v2 of base, any, fills, flows"),
        (CATALOG, {"task_types": ["upscaling", "video"]}, "for upscaling or video of base"),
        (RuntimeCatalog([]), {}, "of a platform without runtimes"),
    ],
)
def test_a_platform_without_such_samples_is_named(catalog: RuntimeCatalog, wanted: Any, words: str) -> None:
    with pytest.raises(DeployError, match=f"There is no sample .*{words}"):
        samples_of(catalog, **wanted)


def test_every_flux_sample_is_one_that_some_model_takes() -> None:
    profiles = ("flux-schnell", "sdxl", "flux-fill", "flux-kontext")
    for one, profile in zip(of_type("flux"), profiles, strict=True):
        request, card = make_request(one, LINKS), ModelOptions(profile=profile).card
        assert list(request_errors(request.body["task"]["content"], request.task_type, card)) == []


def test_a_request_has_an_id_of_its_own_its_runtime_its_checkpoint_and_links_to_the_input_picture() -> None:
    one, other = (body_of("pipeline", checkpoint="my.ckpt")["task"] for _ in range(2))
    assert one["metadata"]["id"].startswith("test-pipeline-")
    assert one["metadata"]["id"] != other["metadata"]["id"]
    assert one["metadata"]["runtime"] == "mine"
    assert one["content"]["4"]["inputs"]["ckpt_name"] == "my.ckpt"
    assert body_of("i2i")["task"]["content"]["init_images"] == [LINKS.s3]
    assert body_of("extra-single-image")["task"]["content"]["image"] == LINKS.http
    old = body_of("i2i", "v1alpha1", checkpoint="my.ckpt")["alwayson_scripts"]
    assert (old["image_link"], old["sd_model_checkpoint"]) == (LINKS.http, "my.ckpt")
    assert not any("${" in json.dumps(make_request(one, LINKS).body) for one in of_type("sdwebui"))


class FakeAws:
    """boto3.client for a deployed stack."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs
        self.asked_for: list[str] = []

    def __call__(self, service: str) -> Any:
        return self

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803 - boto3's own spelling
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}

    def get_api_key(self, *, apiKey: str, includeValue: bool) -> Any:  # noqa: N803
        self.asked_for.append(apiKey)
        return {"value": "the-key"}


OUTPUTS = {
    "FrontApiEndpoint": "https://abc.execute-api.us-east-1.amazonaws.com/dev/",
    "OutputS3Bucket": "bucket",
    "sdNotificationOutputArn": "arn:aws:sns:us-east-1:1:notices",
    "GetAPIKeyCommand": "aws apigateway get-api-key --api-key a1b2c3d4e5 --include-value --query value",
}


@pytest.mark.parametrize("command", [OUTPUTS["GetAPIKeyCommand"], "x; rm -rf / # items[?id==`a1b2c3d4e5`]"])
def test_the_key_is_looked_up_by_the_id_in_the_command_which_is_never_run(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    aws = FakeAws(OUTPUTS | {"GetAPIKeyCommand": command})
    monkeypatch.setattr(boto3, "client", aws)
    found = target.deployed_target("sdoneksStack")
    assert aws.asked_for == ["a1b2c3d4e5"]
    assert (found.api_key, found.api_key_id) == ("the-key", "a1b2c3d4e5")
    assert found.endpoint == OUTPUTS["FrontApiEndpoint"].rstrip("/")
    assert "the-key" not in repr(found)


@pytest.mark.parametrize("missing", OUTPUTS)
def test_an_output_that_the_stack_lacks_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(boto3, "client", FakeAws({key: value for key, value in OUTPUTS.items() if key != missing}))
    with pytest.raises(DeployError, match=missing):
        target.deployed_target("sdoneksStack")


@pytest.mark.parametrize(
    ("content", "extension"),
    [(b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff\xe0", "jpg"), (b"GIF89a", "gif"), (b"RIFF....WEBPVP8 ", "webp")],
)
def test_a_picture_is_known_by_its_first_bytes(content: bytes, extension: str) -> None:
    assert read_picture("s3://bucket/a.bin", content).extension == extension


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVE"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(PictureError, match="is no picture"):
        read_picture("s3://bucket/a.png", content)
