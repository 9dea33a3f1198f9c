from pathlib import Path

import pytest

from local.api_key import KeyFileError, stored_key


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "api-key"
    key = stored_key(file)
    assert len(key) >= 20
    assert stored_key(file) == key
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_key_of_ones_own_is_taken_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("my-own-key\r\n")
    assert stored_key(file) == "my-own-key"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"one\ntwo", "schlüssel".encode(), b"\xff\xfe"])
def test_a_file_without_a_key_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mine"
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match="mine holds no API key"):
        stored_key(file)
    assert file.read_bytes() == content
