"""Where a client finds the API and its key."""

import json
import stat

import pytest

from sd_on_eks import Client, NotConfigured
from sd_on_eks.connection import Connection, saved_file

URL, KEY = "https://api.example/prod", "k1"


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    """A folder without a platform, for a user who has set and saved nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SD_URL", "SD_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def run_platform(tmp_path):
    file = tmp_path / ".local" / "stack.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"FrontApiEndpoint": "http://127.0.0.1:8000/dev/", "ApiKey": "local"}))


def test_arguments_come_before_the_environment_what_was_saved_and_the_platform_of_this_folder(tmp_path, monkeypatch):
    found = []
    run_platform(tmp_path)
    found.append(Connection.find())
    Connection("https://saved.example/prod", "saved", "").save()
    found.append(Connection.find())
    monkeypatch.setenv("SD_URL", "https://env.example/prod")
    monkeypatch.setenv("SD_API_KEY", "env")
    found.append(Connection.find())
    found.append(Connection.find(URL, KEY))
    hosts = ["http://127.0.0.1:8000/dev", "https://saved.example/prod", "https://env.example/prod", URL]
    assert [(one.url, one.api_key) for one in found] == [*zip(hosts, ["local", "saved", "env", KEY], strict=True)]
    sources = [".local/stack.json", str(saved_file()), "SD_URL and SD_API_KEY", "the arguments"]
    assert [one.source for one in found] == sources


def test_a_saved_key_is_read_by_its_owner_alone_and_never_sent_to_another_url(monkeypatch):
    file = Connection(URL, KEY, "").save()
    Connection(URL, "k2", "").save()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == [file.name]
    monkeypatch.setenv("SD_URL", "https://other.example/prod")
    with pytest.raises(NotConfigured, match="SD_URL is set, but SD_API_KEY is not"):
        Client()
    monkeypatch.setenv("SD_API_KEY", "others")
    with pytest.raises(NotConfigured, match="SD_URL is set, but SD_API_KEY is not"):
        Client(URL)
    assert Client("https://other.example/prod/").connection.api_key == "others"


@pytest.mark.parametrize(
    ("url", "key", "words"),
    [
        (None, None, "Set SD_URL and SD_API_KEY"),
        ("api.example/prod", KEY, "is not a URL"),
        (URL, "k\n", "characters that no key has"),
        (None, KEY, "SD_URL is not"),
    ],
)
def test_what_is_missing_or_wrong_is_named(url, key, words):
    with pytest.raises(NotConfigured, match=words):
        Client(url, key)


def test_the_key_is_not_shown():
    assert "k1" not in repr(Connection.find(URL, KEY))
