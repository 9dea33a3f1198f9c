"""Files in a request itself, as base64 or as data URLs."""

import binascii
import re
from urllib.parse import unquote_to_bytes

import pybase64

from contract.inputs import bare, is_data_url, is_link
from queue_agent.errors import InputError
from queue_agent.inputs.images import checked
from queue_agent.media import Media, identify
from queue_agent.ports import Input

MIN_CHARACTERS = 32
"""No picture is shorter."""

_PIECE_CHARS = 65_536
_FOREIGN_LINK = re.compile(r"\s*([a-z][a-z0-9+.-]+):(?://|\\\\|/)", re.IGNORECASE)
_FETCHED = frozenset({"http", "https", "s3"})
_FETCHABLE = _FETCHED | {"ftp", "ftps", "file"}
_BASE64_MARK = re.compile(r";\s*base64\s*,", re.IGNORECASE)
_IMAGE_URL = re.compile(r"\W*data:image/", re.IGNORECASE)
_MAY_BE_PATH = re.compile(r"[./\\~]")


def is_reference(text: str) -> bool:
    """Whether a text is a link, of whatever scheme, or a data URL."""
    return is_link(text) or is_data_url(text) or _FOREIGN_LINK.match(text) is not None


def read_inline(item: Input) -> Media | None:
    """Read an input that is not a link to fetch; None leaves a text to the model server.

    The server receives the bytes that are read here, encoded again: it cannot read others out of the same text.
    InputError says that it holds nothing that its field accepts, or an image of too many pixels.
    """
    text = item.text
    if is_data_url(text):
        media = identify(_data_url_bytes(bare(text)))
        if not media.data or not item.takes(media):
            if not item.is_strict and not _IMAGE_URL.match(text):
                return None
            raise InputError(f"the data URL holds no {item.wanted}")
    elif (foreign := _FOREIGN_LINK.match(text)) and (item.is_strict or foreign[1].lower() in _FETCHABLE):
        raise InputError(_foreign_problem(foreign[1]))
    else:
        media = identify(_base64_bytes(text))
        if not media.data or not item.takes(media):
            if item.is_strict and (len(text) >= MIN_CHARACTERS or _MAY_BE_PATH.search(text)):
                article = "an" if item.wanted[0] in "aeiou" else "a"
                raise InputError(f"is neither a link nor {article} {item.wanted} in base64")
            return None
    return checked(media) if media.kind == "image" else media


def _foreign_problem(scheme: str) -> str:
    if scheme.lower() in _FETCHED:
        return f"the link must begin with {scheme.lower()}://, with two slashes"
    return f"the link has the scheme {scheme[:20]}; only http, https and s3 links are fetched"


def _data_url_bytes(url: str) -> bytes:
    """The file in a data URL; one that does not declare base64 and holds no media is read as base64 all the same."""
    if mark := _BASE64_MARK.search(url):
        payload = url[mark.end() :]
        return _base64_bytes(_unescaped(payload).decode("utf-8", "replace") if "%" in payload else payload)
    _, _, payload = url.partition(",")
    data = _unescaped(payload)
    return data if identify(data).is_media else _base64_bytes(payload)


def _unescaped(text: str) -> bytes:
    """Replace ``%41`` and the like, piece by piece: as a whole it would take 70 times the text's memory."""
    data, at = bytearray(), 0
    while at < len(text):
        end = at + _PIECE_CHARS
        if end < len(text) and (escape := text.rfind("%", end - 2, end)) >= 0:
            end = escape  # do not divide one
        data += unquote_to_bytes(text[at:end])
        at = end
    return bytes(data)


def _base64_bytes(text: str) -> bytes:
    """Decode as model servers do: skip what is not in the alphabet. Empty where nothing is left."""
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass  # the fast library reads odd texts differently from the servers' library
    try:
        return binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        return b""
