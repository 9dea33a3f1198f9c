"""The SDK's complaints, as the agent tells them."""

import logging

import pytest
from opentelemetry.util.re import parse_env_headers
from telemetrykit import SECRET

from queue_agent.telemetry.complaints import Complaints


@pytest.fixture
def sdk():
    """The SDK's loggers by name, whose complaints are heard."""
    Complaints().install()
    return lambda name: logging.getLogger(f"opentelemetry.{name}")


@pytest.fixture
def told(caplog):
    """What the agent's own loggers have told; pytest hears the SDK's too, though they do not propagate."""
    return lambda: [record for record in caplog.records if record.name.startswith("queue_agent.")]


def test_of_many_complaints_within_an_hour_one_is_told(sdk, told):
    for number in range(3):
        sdk("exporter.traces").error("Failed %s", number)
    assert [record.getMessage() for record in told()] == ["telemetry is in trouble: Failed 0"]


def test_a_complaint_is_told_as_a_warning_without_its_stack(sdk, told):
    sdk("sdk").error("Exception while exporting Span.", exc_info=KeyError(SECRET))
    [record] = told()
    assert (record.levelname, record.exc_info) == ("WARNING", None)


def test_a_complaint_about_a_url_names_the_exception_alone(sdk, told):
    sdk("exporter.traces").warning("Transient error %s, retrying in %.2fs", ConnectionError(SECRET), 1.5)
    [record] = told()
    assert record.getMessage() == "telemetry is in trouble: Transient error ConnectionError, retrying in 1.50s"


def test_a_complaint_about_headers_does_not_show_them(sdk, told):
    parse_env_headers(SECRET, liberal=True)
    [record] = told()
    assert "Header format invalid" in record.getMessage()
    assert "prompt" not in record.getMessage()
