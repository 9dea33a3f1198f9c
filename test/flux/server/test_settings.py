"""What the server reads from its environment."""

from pathlib import Path

import pytest

from runtimes.flux.server.settings import SettingsError, read_settings

MODEL = {"MODEL_OPTIONS": '{"profile": "flux-schnell"}'}
GPUS = ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "MODEL_OPTIONS is required"),
        ({"MODEL_OPTIONS": ""}, "MODEL_OPTIONS is required"),
        ({"MODEL_OPTIONS": "{"}, "MODEL_OPTIONS"),
        ({"MODEL_OPTIONS": '{"profile": "umo"}'}, r"MODEL_OPTIONS\.profile cannot run here"),
        ({**MODEL, "PORT": "99999", "PIPELINE": "no"}, "PORT.*PIPELINE"),
    ],
)
def test_wrong_settings_are_named_with_their_keys(environment, named):
    with pytest.raises(SettingsError, match=named):
        read_settings(environment)


def test_the_model_alone_is_enough():
    settings = read_settings(MODEL)
    assert (settings.port, str(settings.models)) == (8080, "/opt/ml/code/models")
    assert settings.pipeline == "runtimes.flux.server.pipeline.loading:load"


@pytest.mark.parametrize(("chosen", "workers"), [("0,2,3", 3), ("", 1), (None, 2)])
def test_there_is_a_worker_for_each_gpu_and_at_least_one(monkeypatch, chosen, workers):
    monkeypatch.setattr(Path, "glob", lambda *_: [Path("/dev") / name for name in GPUS])
    environment = {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}
    assert read_settings({**MODEL, **environment}).workers == workers


def test_a_step_of_a_compiled_model_may_take_many_minutes_unless_the_environment_says_otherwise():
    compiled = {"MODEL_OPTIONS": '{"profile": "flux-schnell", "compile": true}'}
    assert read_settings(MODEL).step_seconds < 180
    assert read_settings(compiled).step_seconds >= 900
    assert read_settings({**compiled, "STEP_SECONDS": "7"}).step_seconds == 7
