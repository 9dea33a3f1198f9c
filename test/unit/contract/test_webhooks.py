import pytest

from contract.webhooks import url_problems

ANYWHERE = ("https://example.com", "https://a.example.com:8443/x?y=%20#z", "https://[2606:4700::1111]/", "HTTPS://a.b")
ON_ONE_MACHINE = ("http://example.com", "http://127.0.0.1:9/", "https://10.0.0.1", "http://[::1]/", "http://localhost/")
NOWHERE = (
    *(
        "",
        "example.com",
        "ftp://a.b/",
        "https://",
        "https:///path",
        "https://a.b:0",
        "https://a.b:99999",
        "https://[::",
    ),
    *("https://user@a.b/", "https://user:pass@a.b/", "https://:@a.b", "https://a.b/two words", "https://a.b/\n"),
    *("https://good.example\\@evil.example/", "https://bücher.example/", "https://a.b/\x7f", "javascript:alert(1)"),
)


@pytest.mark.parametrize("url", ANYWHERE)
def test_an_https_url_of_a_public_host_is_accepted_everywhere(url):
    assert url_problems(url, allow_private=False) == []
    assert url_problems(url, allow_private=True) == []


@pytest.mark.parametrize(
    "url", [*ON_ONE_MACHINE, "https://localhost", "https://x.localhost.", "https://169.254.169.254/latest/meta-data"]
)
def test_http_and_private_hosts_are_accepted_only_where_the_configuration_allows_them(url):
    assert len(url_problems(url, allow_private=False)) == 1
    assert url_problems(url, allow_private=True) == []


@pytest.mark.parametrize("url", NOWHERE)
def test_what_is_no_clear_url_of_a_host_is_accepted_nowhere(url):
    assert len(url_problems(url, allow_private=True)) == 1


def test_all_problems_of_a_url_are_listed():
    assert len(url_problems("https://user@10.0.0.1/", allow_private=False)) == 2
