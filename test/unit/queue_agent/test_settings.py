import pytest

from contract.deadlines import DEFAULT_DEADLINES
from queue_agent.drivers import load_executor
from queue_agent.settings import Settings, SettingsError
from runtimes.sdwebui.driver.executor import SdWebUI

TEN = {
    "SQS_QUEUE_URL": "https://sqs.us-west-2.amazonaws.com/123456789012/sdruntime",
    "SNS_TOPIC_ARN": "arn:aws:sns:us-west-2:123456789012:notices",
    "S3_BUCKET": "bucket",
    "JOBS_TABLE": "jobs",
    "RUNTIME_TYPE": "sdwebui",
    "RUNTIME_NAME": "sdruntime",
    "API_BASE_URL": "http://localhost:8080/sdapi/v1/",
    "DYNAMIC_SD_MODEL": "true",
    "LOGLEVEL": "debug",
    "AWS_ENDPOINT_URL": "http://localhost:5000",
}


def test_the_ten_documented_variables_are_enough():
    settings = Settings.from_environ(TEN)
    assert settings.dynamic_model is True
    assert settings.log_level == "DEBUG"
    assert settings.region == "us-west-2"
    assert settings.deadlines == DEFAULT_DEADLINES
    assert settings.allow_loopback_inputs is False


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, "") for key in list(TEN)[:6]),
        ("RUNTIME_TYPE", "forge"),
        ("DYNAMIC_SD_MODEL", "maybe"),
        ("LOGLEVEL", "LOUD"),
        ("EXECUTION_TIMEOUT_S", "-1"),
        ("EXECUTION_TIMEOUT_S", "soon"),
        ("SHUTDOWN_GRACE_S", "inf"),
    ],
)
def test_a_setting_that_is_missing_or_makes_no_sense_is_named(key, value):
    with pytest.raises(SettingsError, match=f"{key}='{value}'" if value else f"{key} is not set"):
        Settings.from_environ({**TEN, key: value})


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        ("", "http://localhost:8080/sdapi/v1/"),
        ("localhost:7860", "http://localhost:7860/sdapi/v1/"),
        ("http://localhost:7860/", "http://localhost:7860/sdapi/v1/"),
        ("http://localhost:8080/sdapi/v1", "http://localhost:8080/sdapi/v1/"),
        ("https://gpu.example.com/behind/proxy/sdapi/v1/", "https://gpu.example.com/behind/proxy/sdapi/v1/"),
    ],
)
async def test_sd_webui_is_reached_however_its_address_is_written(given, reached):
    driver = load_executor(Settings.from_environ({**TEN, "API_BASE_URL": given}))
    assert isinstance(driver, SdWebUI)
    assert str(driver._client.base_url) == reached
    await driver.aclose()
