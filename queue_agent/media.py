"""Identifies media by their bytes: names and headers of links cannot be trusted."""

import mimetypes
import re
import struct
from dataclasses import dataclass
from functools import cache

import filetype

from contract.image_headers import READERS, BrokenHeader, extent_of

HEAD_BYTES = 8192
"""So many bytes from the beginning identify any type."""


_UNKNOWN = ("bin", "application/octet-stream")
_MEDIA_KINDS = ("image", "video", "audio")
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_VIDEO_BRANDS = frozenset(
    {b"isom", b"mp41", b"mp42", b"avc1", b"av01", b"dash", b"msdh", b"msix", b"cmfc", b"cmf2", b"XAVC"}
    | {b"iso%d" % number for number in range(2, 10)}
)
"""Fragmented files may declare only some of them."""
_VERSION_AT = 4
"""Between the major brand and the others."""
_EXTENSIONS = {"apng": "png"}
"""An animated PNG is a PNG to every program that opens files by their names."""
_REGISTERED = {
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "ico": "image/vnd.microsoft.icon",
    "m4v": "video/mp4",
    "mkv": "video/matroska",
    "otf": "font/otf",
    "ttf": "font/ttf",
    "wav": "audio/wav",
    "woff": "font/woff",
    "woff2": "font/woff2",
}
"""Types by the names of IANA or browsers, where the library has other names."""
_BY_NAME = {
    "exr": "image/x-exr",
    "fbx": "application/octet-stream",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "hdr": "image/vnd.radiance",
    "html": "text/plain",  # as a page it might run scripts where it is opened
    "htm": "text/plain",
    "js": "text/plain",
    "jxl": "image/jxl",
    "log": "text/plain",
    "md": "text/markdown",
    "mjs": "text/plain",
    "obj": "model/obj",
    "srt": "application/x-subrip",
    "stl": "model/stl",
    "toml": "application/toml",
    "usdz": "model/vnd.usdz+zip",
    "xhtml": "text/plain",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
_SAME_FORMAT = {
    "aiff": {"aif": "audio/aiff", "aifc": "audio/aiff"},
    "midi": {"mid": "audio/midi"},
    "mkv": {"mka": "audio/matroska"},
    "mp4": {"3gp": "video/3gpp", "m4a": "audio/mp4", "m4v": "video/mp4"},
    "ogg": {"oga": "audio/ogg", "ogv": "video/ogg", "opus": "audio/ogg", "spx": "audio/ogg"},
    "webm": {"weba": "audio/webm"},
    "wmv": {"asf": "video/x-ms-asf", "wma": "audio/x-ms-wma"},
}
"""Types that share their bytes' signature and differ by name, such as sound and film, by what the bytes identify."""
_BOX = re.compile(rb"[a-z]{4}")
_BOX_TYPE_AT = 4
"""A box of 256 bytes begins like an icon, which has its number of pictures there."""
_BIG_TIFF = re.compile(rb"II\+\0|MM\0\+")
_BOXES = re.compile(rb".{4}(?:ftyp|styp|moov|mdat|free|skip|wide|pnot|uuid)", re.DOTALL)
_FRAMES = re.compile(rb"\xff[\xe0-\xff]")
_OTHER_FORMS = {
    **dict.fromkeys(("tif", "tiff"), _BIG_TIFF),
    **dict.fromkeys(("mov", "mp4", "m4v", "m4a", "3gp"), _BOXES),
    **dict.fromkeys(("mp3", "aac"), _FRAMES),
    **dict.fromkeys(("mpg", "mpeg"), re.compile(rb"\x00\x00\x01")),
}
"""How files with these extensions may also begin: with boxes in any order, or frames of any layer."""
_FIXED_SIZES = {"png": struct.Struct(">16xII"), "gif": struct.Struct("<6xHH")}
"""Where the size stands in formats whose other headers may be long, as those of a PNG with a workflow in it."""
_ENDING = re.compile(r"\.([A-Za-z0-9]{1,16})$")


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes, or the first HEAD_BYTES of them, with their MIME type.

    The extension has no dot: png, jpg, webp, gif, mp4, …; "bin" where neither bytes nor name identify it.
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
    """Whether bytes under a name of media, such as ``x.png``, are media at all; other names always fit."""
    return media.is_media or not _promises_media(_extension_of(filename))


def named_media(data: bytes, filename: str) -> Media | None:
    """Identify by their name media in a form that the format allows and the library does not know; None for others."""
    extension = _extension_of(filename)
    form = _OTHER_FORMS.get(extension)
    if form is None or form.match(data) is None or _guess(data) != _UNKNOWN:
        return None
    return Media(data, extension, _REGISTERED.get(extension) or _type_of(extension) or _UNKNOWN[1])


def identify(data: bytes, filename: str | None = None) -> Media:
    """Identify the type of some bytes, of which the first HEAD_BYTES suffice.

    Everything that is not image, video or audio by its bytes is identified by its name, if one is given.
    """
    extension, content_type = _guess(data)
    media = Media(data, _EXTENSIONS.get(extension, extension), _REGISTERED.get(extension, content_type))
    named = "" if filename is None else _extension_of(filename)
    if same := _SAME_FORMAT.get(extension, {}).get(named):
        return Media(data, named, same)
    if media.is_media or not named or _promises_media(named):
        return media
    return Media(data, named, _REGISTERED.get(named) or _type_of(named) or media.content_type)


def picture_size(media: Media) -> tuple[int, int] | None:
    """Width and height of an image in pixels, from the first HEAD_BYTES of it; None where they do not say."""
    if fixed := _FIXED_SIZES.get(media.extension):
        width, height = fixed.unpack_from(media.data.ljust(fixed.size, b"\0"))
        return (width, height) if width and height else None
    if media.extension not in READERS:
        return None
    try:
        extent = extent_of(media.data, media.extension)
    except BrokenHeader:
        return None
    return extent.width, extent.height


def _extension_of(filename: str) -> str:
    ending = _ENDING.search(filename)
    return ending[1].lower() if ending else ""


@cache
def _type_of(extension: str) -> str | None:
    return _BY_NAME.get(extension) or mimetypes.MimeTypes().guess_type(f"x.{extension}")[0]


def _promises_media(extension: str) -> bool:
    """Whether files with such names can be identified as image, video or audio by their bytes."""
    known = filetype.get_type(ext=extension) or filetype.get_type(mime=_type_of(extension) or "")
    return known is not None and known.mime.partition("/")[0] in _MEDIA_KINDS


def _guess(data: bytes) -> tuple[str, str]:
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "avif", "image/avif"
    found = filetype.guess(data)
    if found and not (found.extension == "ico" and _BOX.match(data, _BOX_TYPE_AT)):
        return found.extension, found.mime
    return ("mp4", "video/mp4") if brands & _VIDEO_BRANDS else _UNKNOWN


def _brands(data: bytes) -> set[bytes]:
    """The brands that a file of boxes (ISO/IEC 14496-12) declares: the major one and the compatible ones."""
    size_bytes = int.from_bytes(data[:4], "big")
    if data[4:8] not in {b"ftyp", b"styp"}:
        return set()
    declared = data[8 : min(size_bytes, HEAD_BYTES)]
    return {declared[at : at + 4] for at in range(0, len(declared), 4) if at != _VERSION_AT}
