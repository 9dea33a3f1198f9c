import json
import logging

import pytest

from api.access_log import log_request


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO)

    def log(path, body=None):
        log_request("GET", path, 400, 0, body)
        (record,) = caplog.records
        return record.getMessage()

    return log


HOSTILE = "x\nERROR forged\r\x1b[31m\u2028\u202e\x00"
ESCAPED = r"x\nERROR forged\r\x1b[31m\u2028\u202e\x00"


def test_a_path_cannot_begin_a_line_nor_command_a_terminal(logged):
    assert logged(f"/v1/{HOSTILE}") == f"GET /v1/{ESCAPED} 400 0 ms"


def test_an_encoded_path_is_logged_as_it_was_meant_and_harmless(logged):
    assert logged("/v1/jobs/a%0aERROR%20forged") == r"GET /v1/jobs/a\nERROR forged 400 0 ms"


def test_the_name_of_a_field_cannot_begin_a_line_nor_command_a_terminal(logged):
    body = json.dumps({"errors": [{"pointer": f"#/{HOSTILE}", "detail": "is not a known key"}]}).encode()
    assert logged("/v1/jobs", body) == f"GET /v1/jobs 400 0 ms: #/{ESCAPED} is not a known key"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/outputs/hidden/a.png",
        "/v1//outputs//hidden/a.png",
        "/v1/%6futputs/hidden/a",
        "v1%2foutputs%2fhidden",
        "/replicate/v1/stream/hidden",
    ],
)
def test_no_spelling_of_a_link_tells_its_token(logged, path):
    assert "hidden" not in logged(path)


def test_the_number_of_an_output_is_no_token(logged):
    assert logged("/v1/jobs/1/outputs/2") == "GET /v1/jobs/1/outputs/2 400 0 ms"
