"""Nodes for sound and film: they hand uploaded bytes through."""

from runtimes.comfyui.standin.files import SHOWN_ROOT
from runtimes.comfyui.standin.nodes.image import file_print, files, must_exist
from runtimes.comfyui.standin.registry import Context, Input, Shown, choice, link, node, text
from runtimes.comfyui.standin.values import Media

_CONTAINERS = ["auto", "mp4"]
_CODECS = ["auto", "h264"]


def _loaded(context: Context, name: str) -> Media:
    path = context.folders.input_file(name)
    if path is None:
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{SHOWN_ROOT}/input/{name}'")
    return Media(path.read_bytes(), path.suffix)


def _saved(context: Context, media: Media, prefix: str) -> dict[str, str]:
    spot = context.folders.spot("output", prefix)
    name = f"{spot.stem}_{spot.number:05}_{media.suffix}"
    (spot.folder / name).write_bytes(media.data)
    return {"filename": name, "subfolder": spot.subfolder, "type": "output"}


@node(
    "LoadAudio",
    inputs={"audio": choice(files, audio_upload=True)},
    outputs=("AUDIO",),
    category="audio",
    display="Load Audio",
    module="comfy_extras.nodes_audio",
    fingerprint=file_print("audio"),
    check={"audio": must_exist("audio")},
)
def load_audio(context: Context, audio: str) -> tuple[Media]:
    """Load an audio file, unread."""
    return (_loaded(context, audio),)


@node(
    "SaveAudio",
    inputs={"audio": link("AUDIO"), "filename_prefix": text(default="audio/ComfyUI")},
    category="audio",
    display="Save Audio (FLAC)",
    output=True,
    hidden=True,
    module="comfy_extras.nodes_audio",
)
def save_audio(context: Context, audio: Media, filename_prefix: str) -> Shown:
    """Save an audio file as it came; the real node would turn it into FLAC."""
    return Shown({"audio": [_saved(context, audio, filename_prefix)]})


@node(
    "LoadVideo",
    inputs={"file": Input(files, {"video_upload": True}, listed=True)},
    outputs=("VIDEO",),
    category="image/video",
    display="Load Video",
    module="comfy_extras.nodes_video",
    fingerprint=file_print("file"),
    check={"file": must_exist("video")},
)
def load_video(context: Context, file: str) -> tuple[Media]:
    """Load a video file, unread."""
    return (_loaded(context, file),)


@node(
    "SaveVideo",
    inputs={
        "video": link("VIDEO", "The video to save."),
        "filename_prefix": text(default="video/ComfyUI"),
        "format": Input(_CONTAINERS, {"default": "auto", "tooltip": "The format to save the video as."}, listed=True),
        "codec": Input(_CODECS, {"default": "auto", "tooltip": "The codec to use for the video."}, listed=True),
    },
    category="image/video",
    display="Save Video",
    description="Saves the input images to your ComfyUI output directory.",
    output=True,
    hidden=True,
    module="comfy_extras.nodes_video",
)
def save_video(context: Context, video: Media, filename_prefix: str, **_: str) -> Shown:
    """Save a video file as it came."""
    return Shown({"images": [_saved(context, video, filename_prefix)], "animated": [True]})
