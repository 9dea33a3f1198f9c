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
        ("", "is not JSON"),
        ('{"a": NaN}', "holds NaN"),
        ("[-Infinity]", "holds -Infinity"),
        ("1e400", "too large"),
        ("[" * 101 + "]" * 101, "nested more than 100"),
        ("[" * 90_000, "nested more than 100"),
        ("[" * 200_000, "holds more than 100000 values"),
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


@pytest.mark.parametrize("text", ["," * 200_000, "[{" * 100_000, '\\",' * 200_000, "\\" * 200_001 + ","])
def test_marks_within_texts_are_no_values(text):
    assert strict_json.loads(json.dumps([text, 1, [text]])) == [text, 1, [text]]


def test_a_document_may_hold_a_hundred_thousand_values_and_where_it_is_ours_more():
    text = json.dumps([0] * 99_999)
    assert len(strict_json.loads(text)) == 99_999
    with pytest.raises(ValueError, match="more than 100000"):
        strict_json.loads(json.dumps([0] * 100_001))
    assert len(strict_json.loads(json.dumps([0] * 100_001), max_values=None)) == 100_001


def test_a_hundred_levels_are_not_too_deep():
    assert strict_json.loads("[" * 100 + "]" * 100)


def test_a_whole_surrogate_pair_is_one_character():
    assert strict_json.loads('"\\ud83d\\ude00"') == "😀"


def test_what_is_written_is_ascii_without_spaces():
    assert strict_json.dumps({"a": ["\ufffe", "画"]}) == '{"a":["\\ufffe","\\u753b"]}'


def test_sizes_are_utf8_bytes():
    assert strict_json.utf8_size("画") == 5


def test_a_mark_before_utf8_means_nothing():
    assert strict_json.loads(b"\xef\xbb\xbf[1]") == [1]
