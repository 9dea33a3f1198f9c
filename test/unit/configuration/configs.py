"""Configurations of one runtime, changed at a place."""

import copy
import re

import pytest

from configuration.config import Config, ConfigError, parse_config

RUNTIME = {"name": "sdruntime", "namespace": "sd", "type": "sdwebui", "modelFilename": "a.safetensors"}
MINIMAL = {"stackName": "sdoneks", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [RUNTIME]}


def changed(*places, runtime=RUNTIME):
    """The minimal configuration with values at places, such as ("vpc.cidr", …) or ("modelsRuntime[0].name", …)."""
    data = copy.deepcopy({**MINIMAL, "modelsRuntime": [runtime]})
    for path, value in places:
        *way, last = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", path)]
        inner = data
        for step in way:
            inner = inner[step] if isinstance(step, int) else inner.setdefault(step, {})
        inner[last] = value
    return data


def parsed(*places, runtime=RUNTIME) -> Config:
    return parse_config(changed(*places, runtime=runtime))


def errors_of(data):
    with pytest.raises(ConfigError) as caught:
        parse_config(data)
    return {error.pointer: error.detail for error in caught.value.errors}
