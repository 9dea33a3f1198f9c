"""Models by name: where they come from, what they need, and how their defaults differ from their family's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from runtimes.flux.families import FAMILIES, Family

Dtype = Literal["bfloat16", "float16", "float32"]
Quantization = Literal["none", "8bit", "4bit"]
Offload = Literal["none", "model", "sequential"]

_BYTES_A_NUMBER: Mapping[Dtype, float] = {"bfloat16": 2.0, "float16": 2.0, "float32": 4.0}
_BYTES_A_QUANTIZED_PARAMETER: Mapping[str, float] = {"8bit": 1.03, "4bit": 0.56}
"""In bitsandbytes' LLM.int8 and NF4, their scales included, whatever is computed with."""
_STREAMED_PARAMETERS = 1e9
"""Of the layers that are on the GPU at a time under sequential offload."""
_GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A model that the project knows.

    Attributes:
        family: Its family, with defaults of its own; None for a model that this server cannot run.
        hub_id: Its repository on the Hugging Face hub; None where there is none.
        gated: Whether the hub wants an accepted licence and a token, or a copy of one's own.
        denoiser_parameters: Of its transformer or UNet.
        encoder_parameters: Of its text encoders, each.
        working_gb: GPU memory beside the weights for one picture of the default size in 16 bit, an estimate.
        refusal: Why it cannot run here, and what to take instead; None where it can.
    """

    name: str
    family: Family | None
    hub_id: str | None
    gated: bool = False
    denoiser_parameters: float = 0
    encoder_parameters: tuple[float, ...] = ()
    working_gb: float = 0
    refusal: str | None = None
    summary: str

    def weights_gb(self, quantization: Quantization, dtype: Dtype = "bfloat16") -> float:
        """Size of all weights; quantization takes the denoiser and the text encoders."""
        return sum(self._parameters) * _bytes_a_parameter(quantization, dtype) / _GB

    def gpu_gb(self, quantization: Quantization, offload: Offload, dtype: Dtype = "bfloat16") -> float:
        """GPU memory that it needs for one picture of the default size, an estimate."""
        everything, largest = sum(self._parameters), max(self._parameters)
        present = {"none": everything, "model": largest, "sequential": _STREAMED_PARAMETERS}[offload]
        working_gb = self.working_gb * _BYTES_A_NUMBER[dtype] / _BYTES_A_NUMBER["bfloat16"]
        return present * _bytes_a_parameter(quantization, dtype) / _GB + working_gb

    @property
    def _parameters(self) -> tuple[float, ...]:
        return self.denoiser_parameters, *self.encoder_parameters


def _bytes_a_parameter(quantization: Quantization, dtype: Dtype) -> float:
    return _BYTES_A_QUANTIZED_PARAMETER.get(quantization, _BYTES_A_NUMBER[dtype])


_T5_XXL, _CLIP_L, _CLIP_G, _QWEN_VL = 4.76e9, 0.12e9, 0.69e9, 8.29e9
_GOOGLE = "Nano Banana is Google's hosted Gemini image model; its weights are not published, so no GPU runs it."

_FLUX = Profile(
    name="flux-dev",
    family=FAMILIES["flux"],
    hub_id="black-forest-labs/FLUX.1-dev",
    gated=True,
    denoiser_parameters=11.9e9,
    encoder_parameters=(_T5_XXL, _CLIP_L),
    working_gb=2,
    summary="text to image of higher quality; its licence is not commercial",
)

PROFILES: Mapping[str, Profile] = {
    row.name: row
    for row in (
        replace(
            _FLUX,
            name="flux-schnell",
            family=replace(FAMILIES["flux"], steps=4, guidance=0, sequence_length=256, max_sequence_length=256),
            hub_id="black-forest-labs/FLUX.1-schnell",
            summary="text to image in four steps; icons, previews, volume",
        ),
        _FLUX,
        replace(
            _FLUX,
            name="flux-fill",
            family=FAMILIES["flux-fill"],
            hub_id="black-forest-labs/FLUX.1-Fill-dev",
            working_gb=4,
            summary="retouching and restoration inside a mask",
        ),
        replace(
            _FLUX,
            name="flux-kontext",
            family=FAMILIES["flux-kontext"],
            hub_id="black-forest-labs/FLUX.1-Kontext-dev",
            working_gb=4,
            summary="edits by instruction, in several steps that keep what they do not name",
        ),
        Profile(
            name="qwen-image-edit",
            family=FAMILIES["qwen-image-edit"],
            hub_id="Qwen/Qwen-Image-Edit-2509",
            denoiser_parameters=20.4e9,
            encoder_parameters=(_QWEN_VL,),
            working_gb=5,
            summary="edits by instruction from one to three images; writes text well",
        ),
        Profile(
            name="sdxl",
            family=FAMILIES["sdxl"],
            hub_id="stabilityai/stable-diffusion-xl-base-1.0",
            denoiser_parameters=2.57e9,
            encoder_parameters=(_CLIP_L, _CLIP_G),
            working_gb=4,
            summary="text to image on small GPUs; many LoRAs",
        ),
        Profile(
            name="sd3.5-large",
            family=FAMILIES["sd3"],
            hub_id="stabilityai/stable-diffusion-3.5-large",
            gated=True,
            denoiser_parameters=8.06e9,
            encoder_parameters=(_T5_XXL, _CLIP_L, _CLIP_G),
            working_gb=4,
            summary="text to image; photographs",
        ),
        Profile(
            name="umo",
            family=None,
            hub_id="bytedance-research/UMO",
            refusal=(
                "UMO keeps several persons' identities from reference images, by LoRAs for UNO and OmniGen2, whose "
                "pipelines diffusers does not have; for one to three references take qwen-image-edit, for repairs "
                "inside a mask flux-fill."
            ),
            summary="consistent persons from several references; not inpainting",
        ),
        Profile(
            name="nano-banana",
            family=None,
            hub_id=None,
            refusal=f"{_GOOGLE} For small GPUs take qwen-image-edit with quantization 4bit.",
            summary="hosted by Google; no model to run",
        ),
    )
}

RUNNABLE = tuple(name for name, profile in PROFILES.items() if profile.refusal is None)
"""Names of those that this server runs."""
