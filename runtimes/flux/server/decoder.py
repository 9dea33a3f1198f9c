"""Decodes each image in a process of its own: what a file does to a decoder ends with it, and within limits.

The process is this module, too: it reads a line of JSON and the image in base64, and writes a line of JSON and pixels.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path

from PIL import Image, PngImagePlugin

from runtimes.flux.server.decoding import ImageFault, decoded, decoded_mask

MAX_CPU_SECONDS = 20
"""An image of MAX_PIXELS takes a quarter of it on a slow core."""
MAX_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
"""Of addresses; an image of MAX_PIXELS with transparency takes half."""
_MAX_SECONDS = 120
_MAX_METADATA_BYTES = 64 * 1024 * 1024
"""Of a PNG's texts and profile, unpacked; Pillow's own limit of 1 MiB refuses sound files."""
_ROOT = Path(__file__).parents[3]
_COMMAND = (sys.executable, "-B", "-m", "runtimes.flux.server.decoder")


def decode(content: str, background: str = "#ffffff") -> Image.Image:
    """Read an image as ``decoding.decoded`` does, within limits of memory and time.

    Raises:
        ImageFault: It cannot be taken; also where it takes too much of either.
    """
    return _decoded_apart(content, {"background": background})


def decode_mask(content: str) -> Image.Image:
    """Read a mask as ``decoding.decoded_mask`` does, within limits of memory and time.

    Raises:
        ImageFault: It cannot be taken; also where it takes too much of either.
    """
    return _decoded_apart(content, {"background": None})


def _decoded_apart(content: str, asked: dict[str, str | None]) -> Image.Image:
    limits = {"cpu_seconds": MAX_CPU_SECONDS, "memory_bytes": MAX_MEMORY_BYTES}
    try:
        # Without the environment: it may hold a token of the hub.
        ended = subprocess.run(  # noqa: S603 (this module)
            _COMMAND,
            input=json.dumps(asked | limits).encode() + b"\n" + content.encode(errors="replace"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            env={},
            timeout=_MAX_SECONDS,
            start_new_session=True,  # a Ctrl-C for the server is none for this process
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise _too_much() from exc
    if ended.returncode < 0:
        raise _too_much()
    ended.check_returncode()
    return _image_in(ended.stdout)


def _image_in(answer: bytes) -> Image.Image:
    end = answer.index(b"\n")
    head = json.loads(answer[:end])
    if (fault := head.get("fault")) is not None:
        raise ImageFault(fault)
    return Image.frombytes(head["mode"], tuple(head["size"]), memoryview(answer)[end + 1 :])


def _too_much() -> ImageFault:
    return ImageFault("takes too much memory or time to be unpacked; save it anew, smaller or as PNG")


def main() -> None:
    """Decode what stands on standard input. A process that is killed at its limits answers nothing."""
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = _MAX_METADATA_BYTES
    asked = json.loads(sys.stdin.buffer.readline())
    _limit(resource.RLIMIT_CPU, asked["cpu_seconds"])
    if sys.platform == "linux":  # others count what they share, or refuse
        _limit(resource.RLIMIT_AS, asked["memory_bytes"])
    answer: dict[str, object]
    pixels = b""
    try:
        content, background = sys.stdin.buffer.read().decode(), asked["background"]
        image = decoded_mask(content) if background is None else decoded(content, background)
        answer, pixels = {"mode": image.mode, "size": image.size}, image.tobytes()
    except ImageFault as exc:
        answer = {"fault": str(exc)}
    except MemoryError:
        answer = {"fault": str(_too_much())}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.write(pixels)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
