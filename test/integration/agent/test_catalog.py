"""What an agent publishes of its server, and what the API makes of it."""

import pytest

from api.content import content_errors
from api.live import LiveCatalogs
from runtimes.catalog import DeployedRuntime
from test.kit.tasks import INVOKE_MODEL, TASKTYPES, content_of

WRONG = {
    "sdwebui": {"sd_model_checkpoint": "c.ckpt"},
    "comfyui": {"1": {"class_type": "SaveImag", "inputs": {}}},
    "flux": {"prompt": "p", "lora_weights": {"ink": 1}},
    "invokeai": {"nodes": {"model": {"type": "main_model_loader", "model": {**INVOKE_MODEL, "name": "c"}}}},
}
TROUBLE = {
    "sdwebui": "there are a.safetensors",
    "comfyui": "did you mean SaveImage?",
    "flux": "is no LoRA of this model",
    "invokeai": "there are a (sd-1), b (sd-1)",
}


@pytest.mark.parametrize("runtime_type", WRONG)
def test_the_api_rejects_what_an_agents_server_does_not_have_and_accepts_what_it_runs(kit, runtime_type):
    def errors(content):
        """As a door finds them that has just started."""
        catalogs = LiveCatalogs(lambda: kit.aws.s3, rig.bucket)
        deployed = DeployedRuntime(
            name=rig.name, type=runtime_type, dynamic_model=True, live=lambda: catalogs.read(rig.name)
        )
        return [error.detail for error in content_errors(content, TASKTYPES[runtime_type], deployed, ())]

    with kit.rig(runtime_type) as rig:
        assert errors(WRONG[runtime_type]) == []
        rig.add_pod().start()
        rig.until(lambda: errors(WRONG[runtime_type]))
        (detail,) = errors(WRONG[runtime_type])
        assert TROUBLE[runtime_type] in detail
        content = content_of(runtime_type)
        assert errors(content) == []
        assert rig.run(content)["result"]
