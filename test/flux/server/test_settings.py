"""The server's environment variables, and a line of its log."""

import json
import logging
from pathlib import Path

import pytest

from runtimes.flux.server.errors import FluxSettingsError
from runtimes.flux.server.log import FluxJsonFormatter
from runtimes.flux.server.settings import FluxSettings, read_settings

MODEL = {"MODEL_OPTIONS": '{"profile": "flux-schnell"}'}
COMPILED = {"MODEL_OPTIONS": '{"profile": "flux-schnell", "compile": true}'}
GPUS = ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm")


@pytest.fixture
def read(monkeypatch):
    """Reads the settings from only these variables."""

    def settings(environment):
        for name in (*map(str.upper, FluxSettings.model_fields), "CUDA_VISIBLE_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return settings


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "^MODEL_OPTIONS is required$"),
        ({"MODEL_OPTIONS": ""}, "^MODEL_OPTIONS is required$"),
        ({"MODEL_OPTIONS": "{"}, "^MODEL_OPTIONS is not JSON"),
        ({"MODEL_OPTIONS": '{"profile": "umo"}'}, r"^MODEL_OPTIONS\.profile cannot run here"),
        ({**MODEL, "PORT": "99999", "PIPELINE": "no"}, "PORT must be at most 65535.*PIPELINE must be a loader"),
    ],
)
def test_errors_name_invalid_settings(read, environment, named):
    with pytest.raises(FluxSettingsError, match=named):
        read(environment)


@pytest.mark.parametrize(("chosen", "workers"), [("0,2,3", 3), ("", 1), (None, 2)])
def test_there_is_a_worker_for_each_gpu_and_at_least_one(monkeypatch, read, chosen, workers):
    monkeypatch.setattr(Path, "glob", lambda *_: [Path("/dev") / name for name in GPUS])
    environment = {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}
    assert read({**MODEL, **environment}).workers == workers


def test_a_step_of_a_compiled_model_may_take_15_minutes_unless_the_environment_sets_a_limit(read):
    environments = (MODEL, COMPILED, {**COMPILED, "STEP_SECONDS": "7"})
    assert [read(one).step_limit_s for one in environments] == [120, 900, 7]


def test_a_line_of_the_log_has_the_fixed_fields_first_and_then_those_of_the_record():
    error = ValueError("no")
    record = logging.LogRecord("runtimes.x", logging.ERROR, "", 0, "é %s", (1,), (ValueError, error, None))
    record.job = "a"
    line = json.loads(FluxJsonFormatter().format(record))
    assert list(line) == ["time", "level", "logger", "process", "message", "exception", "job"]
    assert (line["level"], line["logger"], line["message"], line["job"]) == ("ERROR", "runtimes.x", "é 1", "a")
    assert line["time"].endswith("+00:00")
