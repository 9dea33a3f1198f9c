"""The image models of Amazon Bedrock: what their bodies hold, where they run and what a picture costs.

Sources: AWS's user guide (Stability AI models and Image Services) and its lifecycle page, the services' own error
messages, and price lists, all as of November 2026. Every model that draws and has not ended is Stability AI's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING, OUTPAINTING = "text-to-image", "image-to-image", "inpainting", "outpainting"
SEARCH_AND_REPLACE, SEARCH_AND_RECOLOR, ERASE = "search-and-replace", "search-and-recolor", "erase"
REMOVE_BACKGROUND, UPSCALE = "remove-background", "upscale"
CONTROL_SKETCH, CONTROL_STRUCTURE = "control-sketch", "control-structure"
STYLE_GUIDE, STYLE_TRANSFER = "style-guide", "style-transfer"
TASK_TYPES = (
    *(TEXT_TO_IMAGE, IMAGE_TO_IMAGE, INPAINTING, OUTPAINTING, SEARCH_AND_REPLACE, SEARCH_AND_RECOLOR, ERASE),
    *(REMOVE_BACKGROUND, UPSCALE, CONTROL_SKETCH, CONTROL_STRUCTURE, STYLE_GUIDE, STYLE_TRANSFER),
)
"""What a runtime of type bedrock takes; each model takes one of them, Stable Diffusion 3.5 two."""

MAX_PROMPT_CHARS = 10_000
MAX_SEED = 2**32 - 2
MIN_SIDE = 64
"""Pixels of a given picture's sides."""
MAX_BODY_BYTES = 25_000_000
"""Of a call, its pictures in base64."""
ASPECT_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
SIDES = ("left", "right", "up", "down")
PROFILE = "us."
"""What the ids of inference profiles begin with."""
PROFILE_REGIONS = ("us-east-1", "us-east-2", "us-west-2")
"""Where a profile can be called, and where it may run the call."""
MODEL_REGIONS = ("us-west-2",)
"""Where models that are called by their own ids are."""

_MEGAPIXEL = 1024 * 1024
_STYLES = (
    *("3d-model", "analog-film", "anime", "cinematic", "comic-book", "digital-art", "enhance", "fantasy-art"),
    *("isometric", "line-art", "low-poly", "modeling-compound", "neon-punk", "origami", "photographic", "pixel-art"),
    "tile-texture",
)
_VERSION = re.compile(r"-v\d+(:\d+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyField:
    """A field of a model's body.

    Attributes:
        words: What it means.
        type: Its JSON type; that of a picture, which is a link or base64, is picture.
        min: The least number, or the fewest characters of a text.
        max: The greatest number, or the most characters of a text.
        choices: All values that it takes; empty where any is.
        default: What the model takes where the field is left out; None where that is not known, or by chance.
    """

    words: str
    type: Literal["string", "number", "integer", "picture"] = "string"
    required: bool = False
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    default: Any = None


Body = Mapping[str, BodyField]


@dataclass(frozen=True, slots=True, kw_only=True)
class BedrockFamily:
    """The versions of one model.

    Attributes:
        title: Its name for people.
        model: The id of the version that is known to run.
        bodies: What its body holds, by task type.
        price_usd: Dollars for a picture.
        max_pixels: Of a given picture.
    """

    title: str
    model: str
    bodies: Mapping[str, Body]
    price_usd: float
    max_pixels: int = 9 * _MEGAPIXEL

    @property
    def name(self) -> str:
        """The id without its version and the prefix of a profile."""
        return family_name(self.model)

    @property
    def has_profile(self) -> bool:
        """Whether it is called through an inference profile."""
        return self.model.startswith(PROFILE)

    @property
    def regions(self) -> tuple[str, ...]:
        """Where it can be called."""
        return PROFILE_REGIONS if self.has_profile else MODEL_REGIONS


def family_name(model: str) -> str:
    """A model's id without its version and the prefix of a profile."""
    return _VERSION.sub("", model.removeprefix(PROFILE))


def _picture(words: str, *, required: bool = True) -> BodyField:
    return BodyField(words=words, type="picture", required=required)


def _prompt(words: str, *, required: bool = True) -> BodyField:
    return BodyField(words=words, required=required, min=int(required), max=MAX_PROMPT_CHARS)


def _share(words: str, default: float | None, least: float = 0, most: float = 1) -> BodyField:
    return BodyField(words=words, type="number", min=least, max=most, default=default)


def _format(*choices: str) -> BodyField:
    return BodyField(words="Format of the picture.", choices=choices, default="png")


_PROMPT = _prompt("What the picture shows.")
_NEGATIVE = _prompt("What it should not show.", required=False)
_SEED = BodyField(words="0 or none: random; the answer has it.", type="integer", min=0, max=MAX_SEED, default=0)
_RATIO = BodyField(words="Width to height; the model chooses the pixels.", choices=ASPECT_RATIOS, default="1:1")
_STYLE = BodyField(words="A style for the picture.", choices=_STYLES)
_ANY_FORMAT = _format("png", "jpeg", "webp")
_IMAGE = _picture("The picture to change: a link (http, https or s3) or base64.")
_GROW_MASK = BodyField(words="Pixels by which the masked area is widened.", type="integer", min=0, max=20, default=5)
_CONTROL = _share("How closely the picture follows the control picture.", 0.7)
_DRAWN = {"prompt": _PROMPT, "negative_prompt": _NEGATIVE, "seed": _SEED}
_EDITED = {"image": _IMAGE, **_DRAWN, "output_format": _ANY_FORMAT}
_STYLED = {**_EDITED, "style_preset": _STYLE}
_STABLE_IMAGE = {**_DRAWN, "aspect_ratio": _RATIO, "output_format": _format("png", "jpeg")}


def _mode(task_type: str) -> BodyField:
    return BodyField(words="The task type itself, and may be left out.", choices=(task_type,), default=task_type)


_SD35 = {
    TEXT_TO_IMAGE: {
        **_DRAWN,
        "aspect_ratio": _RATIO,
        "output_format": _ANY_FORMAT,
        "mode": _mode(TEXT_TO_IMAGE),
    },
    IMAGE_TO_IMAGE: {
        **_EDITED,
        "image": _picture("The picture to begin with: a link (http, https or s3) or base64."),
        "strength": _share("How far the result may depart from the image: 0 keeps it, 1 ignores it.", 0.7),
        "mode": _mode(IMAGE_TO_IMAGE),
    },
}
_OUTPAINT = {
    **_STYLED,
    "prompt": _prompt("What the new parts show.", required=False),
    **{
        side: BodyField(words="Pixels to add on this side; one side at least.", type="integer", min=0, max=2000)
        for side in SIDES
    },
    "creativity": _share("How freely the new parts are drawn.", 0.5),
}
_ERASE = {
    "image": _IMAGE,
    "mask": _picture("White is erased, black is kept; without one, the image's alpha channel.", required=False),
    "grow_mask": _GROW_MASK,
    "seed": _SEED,
    "output_format": _ANY_FORMAT,
}
_INPAINT = {
    **_STYLED,
    "mask": _picture("White is drawn, black is kept; without one, the image's alpha channel.", required=False),
    "grow_mask": _GROW_MASK,
}
_REPLACE = {**_STYLED, "search_prompt": _prompt("What to replace, in short."), "grow_mask": _GROW_MASK}
_RECOLOR = {**_STYLED, "select_prompt": _prompt("What to recolour, in short."), "grow_mask": _GROW_MASK}
_CONSERVATIVE = {**_EDITED, "creativity": _share("How freely details are added.", 0.35, 0.1, 0.5)}
_CREATIVE = {**_STYLED, "creativity": _share("How freely details are added.", 0.3, 0.1, 0.5)}
_SKETCH = {**_STYLED, "image": _picture("A sketch or line drawing: a link or base64."), "control_strength": _CONTROL}
_STRUCTURE = {**_STYLED, "image": _picture("Its structure is kept: a link or base64."), "control_strength": _CONTROL}
_GUIDE = {
    **_STYLED,
    "image": _picture("A picture in the style that is wanted: a link or base64."),
    "aspect_ratio": _RATIO,
    "fidelity": _share("How closely the style is matched.", 0.5),
}
_TRANSFER = {
    **{name: field for name, field in _EDITED.items() if name != "image"},
    "init_image": _picture("The picture that gets another style: a link or base64."),
    "style_image": _picture("A picture in that style: a link or base64."),
    "prompt": _prompt("What the result shows.", required=False),
    "composition_fidelity": _share("How closely the composition is kept.", 0.9),
    "style_strength": _share("How strongly the style is applied.", 1.0),
    "change_strength": _share("How far the result may depart from the picture.", 0.9, 0.1),
}


def _service(name: str, title: str, task_type: str, body: Body, price_usd: float, **more: Any) -> BedrockFamily:
    """An Image Service: one task type, called through a profile."""
    model = f"{PROFILE}stability.{name}-v1:0"
    return BedrockFamily(title=title, model=model, bodies={task_type: body}, price_usd=price_usd, **more)


_SMALL = {"max_pixels": _MEGAPIXEL}

FAMILIES: Mapping[str, BedrockFamily] = {
    row.name: row
    for row in (
        BedrockFamily(
            title="Stable Image Core",
            model="stability.stable-image-core-v1:1",
            bodies={TEXT_TO_IMAGE: _STABLE_IMAGE},
            price_usd=0.04,
        ),
        BedrockFamily(
            title="Stable Diffusion 3.5 Large",
            model="stability.sd3-5-large-v1:0",
            bodies=_SD35,
            price_usd=0.08,
        ),
        BedrockFamily(
            title="Stable Image Ultra",
            model="stability.stable-image-ultra-v1:1",
            bodies={TEXT_TO_IMAGE: _STABLE_IMAGE},
            price_usd=0.14,
        ),
        _service("stable-image-inpaint", "Inpaint", INPAINTING, _INPAINT, 0.07),
        _service("stable-outpaint", "Outpaint", OUTPAINTING, _OUTPAINT, 0.06),
        _service("stable-image-search-replace", "Search and Replace", SEARCH_AND_REPLACE, _REPLACE, 0.07),
        _service("stable-image-search-recolor", "Search and Recolor", SEARCH_AND_RECOLOR, _RECOLOR, 0.07),
        _service("stable-image-erase-object", "Erase Object", ERASE, _ERASE, 0.07),
        _service(
            "stable-image-remove-background",
            "Remove Background",
            REMOVE_BACKGROUND,
            {"image": _IMAGE, "output_format": _format("png", "webp")},
            0.07,
        ),
        _service(
            "stable-fast-upscale",
            "Fast Upscale",
            UPSCALE,
            {"image": _IMAGE, "output_format": _ANY_FORMAT},
            0.03,
            **_SMALL,
        ),
        _service("stable-conservative-upscale", "Conservative Upscale", UPSCALE, _CONSERVATIVE, 0.40),
        _service("stable-creative-upscale", "Creative Upscale", UPSCALE, _CREATIVE, 0.60, **_SMALL),
        _service("stable-image-control-sketch", "Control Sketch", CONTROL_SKETCH, _SKETCH, 0.07),
        _service("stable-image-control-structure", "Control Structure", CONTROL_STRUCTURE, _STRUCTURE, 0.07),
        _service("stable-image-style-guide", "Style Guide", STYLE_GUIDE, _GUIDE, 0.07),
        _service("stable-style-transfer", "Style Transfer", STYLE_TRANSFER, _TRANSFER, 0.08),
    )
}

ENDED: Mapping[str, str] = {
    "stability.stable-diffusion-xl": "2025-05-20",
    "stability.stable-diffusion-xl-v1": "2025-05-20",
    "stability.stable-diffusion-xl-v1:0": "2025-05-20",
    "stability.sd3-large-v1:0": "2025",
    "stability.stable-image-core-v1:0": "2025",
    "stability.stable-image-ultra-v1:0": "2025",
    "amazon.titan-image-generator-v1": "2025",
    "amazon.titan-image-generator-v2:0": "2026-06-30",
    "amazon.nova-canvas-v1:0": "2026-09-30",
}
"""When models ended whose ids are still in many texts: calls of them fail."""


def nearest_ratio(width: float, height: float) -> str:
    """The aspect ratio that is nearest to a size, both being above 0."""

    def distance(ratio: str) -> float:
        wide, high = map(int, ratio.split(":"))
        return max(width * high / (height * wide), height * wide / (width * high))

    return min(ASPECT_RATIOS, key=distance)
