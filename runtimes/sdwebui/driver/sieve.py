"""Takes the pictures out of SD WebUI's JSON while it arrives: what is held of them is never the text they come as."""

import binascii
import re

import pybase64

from queue_agent.errors import ServerError
from queue_agent.media import identify

PICTURE_KINDS = ("image", "video")

_HEAD = re.compile(rb'(?:data:[^,"\\]{0,100};base64,)?([A-Za-z0-9+/]{4096})')
"""A text that begins so, and so decodes to the beginning of a picture, is a picture to its end."""


class Sieve:
    """Reads a JSON document piece by piece.

    Strings that are pictures in base64, and too long to arrive in one piece, are decoded as they come and replaced by
    short names; all else stays as it is.

    Attributes:
        text: The document so far, with names in place of pictures.
        pictures: Each picture that has ended, by its name.
    """

    def __init__(self) -> None:
        self.text = bytearray()
        self.pictures: dict[str, bytes] = {}
        self._decoded: list[bytes] | None = None
        """Of the picture that arrives; None between two."""
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            ServerError: A picture is no base64.
        """
        if self._decoded is not None:
            encoded, quote, after = piece.partition(b'"')
            self._decode(self._decoded, encoded, is_last=bool(quote))
            if not quote:
                return
            data = b"".join(self._decoded)
            name = f"<picture {len(self.pictures) + 1}: {(len(data) + 2) // 3 * 4} characters of base64>"
            self.pictures[name] = data
            self.text += name.encode()
            self._decoded = None
            piece = quote + after
        self.text += piece
        self._look()

    def _look(self) -> None:
        """See whether the document's unfinished end is a picture."""
        start = self.text.rfind(b'"') + 1
        found = _HEAD.match(self.text, start)
        # Base64 of such length can only stand in a string; behind an escaped quote it is part of a longer one.
        if found is None or start == 0 or self.text[start - 2 : start - 1] == b"\\":
            return
        if identify(pybase64.b64decode(found[1])).kind in PICTURE_KINDS:
            self._decoded = []
            self._decode(self._decoded, bytes(self.text[found.start(1) :]))
            del self.text[start:]

    def _decode(self, decoded: list[bytes], encoded: bytes, *, is_last: bool = False) -> None:
        encoded = self._rest + encoded
        whole = len(encoded) if is_last else len(encoded) // 4 * 4
        self._rest = encoded[whole:]
        try:
            decoded.append(pybase64.b64decode(encoded[:whole], validate=True))
        except binascii.Error as exc:
            raise ServerError("The model server returned a picture that is not base64.") from exc
