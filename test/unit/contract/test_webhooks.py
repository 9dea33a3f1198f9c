import pytest

from contract.webhooks import webhook_errors

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
    assert webhook_errors(url, allow_private=False) == []
    assert webhook_errors(url, allow_private=True) == []


@pytest.mark.parametrize(
    "url", [*ON_ONE_MACHINE, "https://localhost", "https://x.localhost.", "https://169.254.169.254/latest/meta-data"]
)
def test_http_and_private_hosts_are_accepted_only_where_the_configuration_allows_them(url):
    (error,) = webhook_errors(url, allow_private=False)
    assert error.pointer == "webhook.url"
    assert webhook_errors(url, allow_private=True) == []


@pytest.mark.parametrize("url", NOWHERE)
def test_what_is_no_clear_url_of_a_host_is_accepted_nowhere(url):
    assert len(webhook_errors(url, allow_private=True)) == 1


def test_all_errors_of_a_url_are_listed_under_the_pointer_that_the_caller_gives():
    errors = webhook_errors("https://user@10.0.0.1/", allow_private=False, pointer="jobs[3].webhook.url")
    assert [error.pointer for error in errors] == ["jobs[3].webhook.url"] * 2
