"""The model that a new deployment begins with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """A checkpoint that anybody can download.

    Attributes:
        filename: Its name.
        url: Where it is.
        sha256: Its checksum, in hexadecimal digits.
    """

    filename: str
    url: str
    sha256: str


# Stable Diffusion 1.5, CreativeML OpenRAIL-M. The checksum is the one that its publisher states for the LFS object.
DEFAULT_MODEL = PublishedModel(
    filename="v1-5-pruned-emaonly.safetensors",
    url="https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5/resolve/main/v1-5-pruned-emaonly.safetensors",
    sha256="6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa",
)
