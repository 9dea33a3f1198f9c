import os

from local.sandbox import sandbox_environment, sandboxed

ENDPOINT = "http://127.0.0.1:5566"
CALLER = {
    "PATH": "/usr/bin",
    "AWS_PROFILE": "production",
    "AWS_SESSION_TOKEN": "real",
    "AWS_ACCESS_KEY_ID": "real",
    "AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/",
    "PYTHONPATH": "/elsewhere",
    "HTTPS_PROXY": "http://proxy:3128",
    "no_proxy": "intranet",
}


def test_no_aws_setting_of_the_caller_survives() -> None:
    inside = sandboxed(CALLER, ENDPOINT)
    expected = {name: value for name, value in sandbox_environment(ENDPOINT).items() if name.startswith("AWS_")}
    assert {name: value for name, value in inside.items() if name.startswith("AWS_")} == expected
    assert "real" not in inside.values()


def test_configuration_files_and_instance_metadata_are_out_of_reach() -> None:
    inside = sandboxed(CALLER, ENDPOINT)
    assert inside["AWS_CONFIG_FILE"] == inside["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert inside["AWS_EC2_METADATA_DISABLED"] == "true"
    assert inside["AWS_ENDPOINT_URL"] == ENDPOINT


def test_other_settings_stay_but_no_other_modules_get_in() -> None:
    inside = sandboxed(CALLER, ENDPOINT)
    assert inside["PATH"] == "/usr/bin"
    assert inside["HTTPS_PROXY"] == "http://proxy:3128"
    assert "PYTHONPATH" not in inside


def test_this_machine_is_never_reached_through_a_proxy() -> None:
    inside = sandboxed(CALLER, ENDPOINT)
    assert inside["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert inside["NO_PROXY"] == "127.0.0.1,localhost"
