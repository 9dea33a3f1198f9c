"""Configurations to plan with."""

import copy

from configuration.config import parse_config

RUNTIME = {"name": "a", "namespace": "a", "type": "sdwebui", "modelFilename": "a.safetensors"}
FILE = {"stackName": "a", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [RUNTIME]}


def config_with(profile="lean", **keys):
    """A configuration of one runtime; a key with dots sets what is below it, ``runtime.`` of the first runtime."""
    data = copy.deepcopy(FILE) | {"profile": profile}
    for path, value in keys.items():
        *above, last = path.split(".")
        at = data
        if above[:1] == ["runtime"]:
            at, above = data["modelsRuntime"][0], above[1:]
        for key in above:
            at = at.setdefault(key, {})
        at[last] = value
    return parse_config(data)
