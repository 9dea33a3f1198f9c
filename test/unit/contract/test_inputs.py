import pytest

from contract.inputs import bare, is_data_url, is_link


@pytest.mark.parametrize("scheme", ["http", "Https", "s3"])
@pytest.mark.parametrize(
    "before", ["", " ", "\n", "\t\r\n ", "\x00", "\x1f\x7f", "\u00a0\u0085", "\ufeff", "\u200b\u2003", "\u2028\u3000"]
)
@pytest.mark.parametrize("rest", ["a/b.png", "a/two words.png", "u:p@a/b", "a\\b", "a\n/b", "bücher.example/b", ""])
def test_what_begins_like_a_link_is_one_whatever_stands_before_and_after(scheme, before, rest):
    assert is_link(f"{before}{scheme}://{rest}")
    assert bare(f"{before}{scheme}://{rest}{before}") == f"{scheme}://{rest}"


@pytest.mark.parametrize(
    "text", ["", "a http://a", "httpx://a", "http:a", "ftp://a", "iVBORw0KGgo=", "see data:image/png;base64,AAAA"]
)
def test_other_texts_are_neither_links_nor_data_urls(text):
    assert not is_link(text)
    assert not is_data_url(text)


@pytest.mark.parametrize("text", ["data:image/png;base64,AAAA", " DATA:,", "\ndata:image/png;x,AAAA"])
def test_a_data_url_is_told_by_its_beginning(text):
    assert (is_data_url(text), is_link(text)) == (True, False)
