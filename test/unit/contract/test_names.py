import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.ids import JOB_ID_PATTERN, foreign_job_id, new_job_id
from contract.objects import ResultNames, job_code, split_s3_url, tenant_label


def test_job_ids_are_uuid7_and_sort_by_time():
    first = new_job_id()
    time.sleep(0.002)
    second = new_job_id()
    assert re.fullmatch(JOB_ID_PATTERN, first)
    assert (first[14], first[19] in "89ab") == ("7", True)
    assert first < second


def test_a_foreign_message_always_has_the_same_job_which_carries_its_time():
    job = foreign_job_id(1795224073954, "m")
    assert job == foreign_job_id(1795224073954, "m") != foreign_job_id(1795224073954, "n")
    assert int(job.replace("-", "")[:12], 16) == 1795224073954


def test_results_are_named_as_the_contract_has_it():
    names = ResultNames(prefix="output", task_id="test-t2i", job="j")
    code = job_code("j")
    assert re.fullmatch("[0-9a-z]{12}", code)
    assert names.picture_key(1, "png") == f"output/test-t2i/test-t2i-{code}-1.png"
    assert names.answer_key == f"output/test-t2i/test-t2i-{code}.out"


@given(st.text())
def test_a_job_code_is_base36_for_any_job_and_a_tenants_label_fits_into_an_http_header(text):
    assert re.fullmatch("[0-9a-z]{10,}", job_code(text))
    assert re.fullmatch("[0-9a-f]+", tenant_label(text))


@pytest.mark.parametrize("wrong", ["s3://bucket", "s3://bucket/", "s3:///key", "bucket/key", ""])
def test_an_s3_link_needs_bucket_and_key(wrong):
    assert split_s3_url("s3://bucket/a/b.png") == ("bucket", "a/b.png")
    with pytest.raises(ValueError, match="s3://bucket/key"):
        split_s3_url(wrong)
