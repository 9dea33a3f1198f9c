"""What bytes are, told by the bytes themselves: names and headers of links lie."""

from dataclasses import dataclass

import filetype

HEAD_BYTES = 8192
"""As many bytes from the beginning tell the type of any content."""

UNKNOWN_EXTENSION = "bin"
_UNKNOWN = (UNKNOWN_EXTENSION, "application/octet-stream")
_MEDIA_KINDS = ("image", "video", "audio")
_EXTENSIONS = {"apng": "png"}
"""An animated PNG is a PNG to every program that opens files by their names."""


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes with their type.

    Attributes:
        data: The bytes, or the first HEAD_BYTES of them.
        extension: Without a dot: png, jpg, webp, gif, mp4, …; "bin" where the type is not known.
        content_type: The MIME type.
    """

    data: bytes
    extension: str
    content_type: str

    @property
    def kind(self) -> str:
        """image, video, audio, … (the part of the MIME type before the slash)."""
        return self.content_type.partition("/")[0]

    @property
    def is_media(self) -> bool:
        """Whether it is image, video or audio."""
        return self.kind in _MEDIA_KINDS


def is_what_it_is_called(media: Media, filename: str) -> bool:
    """Whether bytes under a name like ``x.png`` are media at all; other names promise nothing."""
    extension = filename.rpartition(".")[2].lower()
    return bool(media.data) and (media.is_media or filetype.get_type(ext=extension) is None)


def identify(data: bytes) -> Media:
    """Tell the type of some bytes; HEAD_BYTES from the beginning suffice."""
    found = filetype.guess(data)
    extension, content_type = (found.extension, found.mime) if found else _UNKNOWN
    return Media(data, _EXTENSIONS.get(extension, extension), content_type)
