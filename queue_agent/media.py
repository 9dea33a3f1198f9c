"""What bytes are, told by the bytes themselves: names and headers of links lie."""

from dataclasses import dataclass

import filetype

HEAD_BYTES = 8192
"""As many bytes from the beginning tell the type of any content."""

UNKNOWN_EXTENSION = "bin"
_UNKNOWN = (UNKNOWN_EXTENSION, "application/octet-stream")
_MEDIA_KINDS = ("image", "video", "audio")
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_VIDEO_BRANDS = frozenset(
    {b"isom", b"mp41", b"mp42", b"avc1", b"av01", b"dash", b"msdh", b"msix", b"cmfc", b"cmf2"}
    | {b"iso%d" % number for number in range(2, 10)}
)
"""Of which files of fragments name some alone, as players that stream ask for them."""
_VERSION_AT = 4
"""Between the major brand and the others."""
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
    brands = _brands(data)
    found = filetype.guess(data)
    if brands & _AVIF_BRANDS:
        extension, content_type = "avif", "image/avif"
    elif found:
        extension, content_type = found.extension, found.mime
    else:
        extension, content_type = ("mp4", "video/mp4") if brands & _VIDEO_BRANDS else _UNKNOWN
    return Media(data, _EXTENSIONS.get(extension, extension), content_type)


def _brands(data: bytes) -> set[bytes]:
    """The brands that a file of boxes (ISO/IEC 14496-12) declares, the major one and all that it is compatible with."""
    size_bytes = int.from_bytes(data[:4], "big")
    if data[4:8] not in {b"ftyp", b"styp"}:
        return set()
    declared = data[8 : min(size_bytes, HEAD_BYTES)]
    return {declared[at : at + 4] for at in range(0, len(declared), 4) if at != _VERSION_AT}
