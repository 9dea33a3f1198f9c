import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import strict_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_what_is_written_reads_back_type_for_type(value):
    back = strict_json.loads(strict_json.dumps(value))
    assert back == value
    assert json.dumps(back) == json.dumps(value)  # 1 and 1.0 and True are equal, and not the same


@given(st.text() | st.binary())
def test_any_input_either_reads_or_is_refused_with_value_error(text):
    with contextlib.suppress(ValueError):
        strict_json.loads(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ('{"a": NaN}', "holds NaN"),
        ("1e400", "too large"),
        ("[" * 101 + "]" * 101, "nested more than 100"),
        (json.dumps([0] * 100_001), "holds more than 100000 values"),
        ("[" + "[1,1]," * 60_000 + "0]", "holds more than 100000 values"),
        ("[" + '"a,b\\\\",' * 100_001 + "0]", "holds more than 100000 values"),
        ("{" + ",".join(f'"{n}":0' for n in range(100_002)) + "}", "holds more than 100000 values"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100"),
        ('"\\ud800"', "surrogate"),
        (b"\xff", "is not UTF-8"),
        ("9" * 5000, "too many digits"),
    ],
)
def test_what_no_json_document_can_carry_is_refused_with_its_reason(text, problem):
    with pytest.raises(ValueError, match=problem):
        strict_json.loads(text)


MARKS = ["," * 200_000, "[{" * 100_000, '\\",' * 200_000, "\\" * 200_001 + ","]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((json.dumps([text, 1, [text]]), [text, 1, [text]]) for text in MARKS),
        (json.dumps([0] * 99_999), [0] * 99_999),
        ("[" * 100 + "]" * 100, json.loads("[" * 100 + "]" * 100)),
        ('"\\ud83d\\ude00"', "😀"),
        (b"\xef\xbb\xbf[1]", [1]),
    ],
)
def test_marks_within_texts_are_no_values_and_the_most_that_is_allowed_is_read(text, value):
    assert strict_json.loads(text) == value


def test_a_document_of_ours_may_hold_any_number_of_values():
    assert len(strict_json.loads(json.dumps([0] * 100_001), max_values=None)) == 100_001


def test_what_is_written_is_ascii_without_spaces_and_sizes_are_utf8_bytes():
    assert strict_json.dumps({"a": ["\ufffe", "画"]}) == '{"a":["\\ufffe","\\u753b"]}'
    assert strict_json.utf8_size("画") == 5
