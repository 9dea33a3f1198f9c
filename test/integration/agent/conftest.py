"""The whole agent as a process, between AWS and a stand-in model server, all over real HTTP."""

import json

import pytest


def running_rig(kit, runtime_type, **options):
    """A rig with a running pod, for tests that leave it as they found it."""
    with kit.rig(runtime_type) as rig:
        rig.add_pod(**options).start()
        yield rig


@pytest.fixture(scope="session")
def sdwebui(kit):
    yield from running_rig(kit, "sdwebui", DYNAMIC_SD_MODEL="false")


@pytest.fixture(scope="session")
def dynamic_sdwebui(kit):
    yield from running_rig(kit, "sdwebui", CACHED_CHECKPOINTS="3")


@pytest.fixture(scope="session")
def comfyui(kit):
    yield from running_rig(kit, "comfyui")


@pytest.fixture(scope="session")
def flux(kit):
    edits = {"MODEL_OPTIONS": json.dumps({"profile": "flux-kontext"})}
    yield from running_rig(kit, "flux", step_s=0.05, server_environment=edits)


@pytest.fixture(scope="session")
def invokeai(kit):
    yield from running_rig(kit, "invokeai")
