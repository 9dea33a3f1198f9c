"""Managed runtimes in config.yaml: what they need, and what is seldom meant."""

import pytest

from configuration.config import ConfigError, parse_config
from configuration.warnings import warnings
from test.unit.configuration.configs import RUNTIME

CORE = {"id": "stability.stable-image-core-v1:1", "region": "us-west-2"}


def managed(model=CORE, **more):
    return {"name": "cloud", "type": "bedrock", "model": model, **more}


def said(*runtimes, **top):
    config = parse_config(
        {"stackName": "a", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [*runtimes], **top}
    )
    return [(one.pointer, one.detail) for one in warnings(config)]


def test_managed_runtimes_alone_need_no_model_bucket_and_others_do():
    alone = parse_config({"stackName": "a", "modelsRuntime": [managed()]})
    assert (alone.has_cluster, alone.model_bucket_arn) == (False, None)
    with pytest.raises(TypeError, match="no model bucket"):
        _ = alone.models
    with pytest.raises(ConfigError, match="modelBucketArn: is required"):
        parse_config({"stackName": "a", "modelsRuntime": [managed(), RUNTIME]})


def test_what_a_function_cannot_keep_to_is_told():
    assert said(managed()) == []
    [(pointer, detail)] = said(managed({**CORE, "concurrency": 1}))
    assert (pointer, "at least 2 functions" in detail) == ("modelsRuntime[0].model.concurrency", True)
    [(pointer, detail)] = said(managed(deadlines={"executionSeconds": 1000}))
    assert (pointer, "no more than 900 s" in detail) == ("modelsRuntime[0].deadlines.executionSeconds", True)


def test_more_pods_than_jobs_are_told():
    values = {"runtime": {"scaling": {"maxReplicaCount": 9}}}
    [(pointer, detail)] = said(RUNTIME, managed({**CORE, "concurrency": 4}, extraValues=values))
    assert pointer == "modelsRuntime[1].extraValues.runtime.scaling.maxReplicaCount"
    assert "more than model.concurrency (4)" in detail
    assert said(RUNTIME, managed({**CORE, "concurrency": 1})) == []
