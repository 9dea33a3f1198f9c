"""The model of a runtime of type flux, as config.yaml has it and as the model server reads it."""

from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from contract.field_errors import one_of, shown
from contract.models import Form, Section
from runtimes.flux.families import FAMILIES, Family
from runtimes.flux.profiles import PROFILES, RUNNABLE, Dtype, Offload, Profile, Quantization
from runtimes.options import RuntimeOptions

_SOURCE = r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$"
_REVISION = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$"
_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"

MAX_LORAS = 100
MAX_LORA_WEIGHT = 4
"""Either way; far beyond what leaves a picture."""


Source = Annotated[str, Form(_SOURCE, "a path in the model bucket or an id of the hub, of letters, digits and . _ / -")]


class Lora(Section):
    """A LoRA that is loaded beside the model, and that requests switch on by weight."""

    name: Annotated[str, Form(_NAME, "at most 63 lower-case letters, digits, hyphens and underscores")]
    """What requests call it."""
    source: Source
    """Its .safetensors file in the model bucket."""
    weight: Annotated[float, Field(ge=-MAX_LORA_WEIGHT, le=MAX_LORA_WEIGHT)] = 0
    """Its weight in requests that do not name it; 0 leaves it out."""


Loras = Annotated[tuple[Lora, ...], Field(strict=False)]
"""YAML and JSON have lists and no tuples."""


class ModelOptions(RuntimeOptions):
    """Which model a runtime of type flux serves, and how."""

    profile: Annotated[str, Field(json_schema_extra={"enum": list(RUNNABLE)})] | None = None
    """A model that the project knows, as flux-schnell. Default: the source says what it is."""
    source: Source | None = None
    """Its folder in the model bucket, or its id on the Hugging Face hub. Default: the profile's id on the hub."""
    revision: Annotated[str, Form(_REVISION, "a commit, tag or branch of the hub's repository")] | None = None
    """Commit, tag or branch on the hub; with one the model comes from there, whatever the bucket has."""
    dtype: Dtype = "bfloat16"
    """Numbers it computes with; float16 is for SDXL and Stable Diffusion 3.5, FLUX and Qwen overflow in it."""
    quantization: Quantization = "none"
    """Whether the weights of denoiser and text encoders are kept in fewer bits."""
    offload: Offload = "none"
    """What waits in main memory until it is needed: nothing, whole parts (model), or single layers (sequential)."""
    compile: bool = False
    """Whether the denoiser is compiled; the first start takes minutes, later ones read the cache."""
    loras: Annotated[Loras, Field(max_length=MAX_LORAS)] = ()
    """LoRAs that are loaded with it."""
    max_batch: Annotated[int, Field(ge=1, le=32)] = 4
    """The most pictures denoised together; memory may allow fewer."""
    batch_wait_seconds: Annotated[float, Field(ge=0, le=5)] = 0
    """How long a request may wait for others to be denoised with, while the GPU is free."""
    request_seconds: Annotated[float, Field(gt=0)] = 300
    """After so long a request by HTTP is answered 504, and its job stopped; tasks have deadlines of their own."""

    @field_validator("profile")
    @classmethod
    def _is_known(cls, value: str | None) -> str | None:
        if value is None:
            return value
        if value not in PROFILES:
            raise ValueError(f"must be {one_of(RUNNABLE)}, not {shown(value)}")
        if refusal := PROFILES[value].refusal:
            raise ValueError(f"cannot run here: {refusal}")
        return value

    @field_validator("dtype")
    @classmethod
    def _is_wide_enough(cls, value: Dtype, info: ValidationInfo) -> Dtype:
        known = PROFILES.get(info.data.get("profile") or "")
        if known and known.family and (problem := dtype_problem(known.family, value)):
            raise ValueError(problem)
        return value

    @field_validator("offload")
    @classmethod
    def _goes_with_quantization(cls, value: Offload, info: ValidationInfo) -> Offload:
        if value == "sequential" and info.data.get("quantization", "none") != "none":
            raise ValueError("sequential does not go with quantization; take model")
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.profile is None and self.source is None:
            raise ValueError("must name a profile or a source")
        names = [lora.name for lora in self.loras]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"names a LoRA twice: {', '.join(sorted(twice))}")
        return self

    @property
    def known(self) -> Profile | None:
        """The profile's row; None where only the source says what the model is."""
        return PROFILES[self.profile] if self.profile else None

    @property
    def where(self) -> str:
        """The folder or hub id that it is read from."""
        return self.source or (self.known and self.known.hub_id) or ""

    @property
    def card(self) -> "ModelCard | None":
        """What requests may hold; None where only the model's files say it."""
        return card_of(self, self.known.family) if self.known and self.known.family else None

    @property
    def task_types(self) -> tuple[str, ...] | None:
        """What its model does, where that is known."""
        return None if self.card is None else self.card.row.task_types


class ModelCard(Section):
    """What requests to a model may hold, and the defaults; the front door gets it too."""

    family: str
    """Name of its family."""
    steps: int
    """Denoising steps."""
    guidance: float
    """Guidance scale."""
    sequence_length: int | None = None
    """Tokens of the prompt that are read, and the most that may be asked for."""
    max_sequence_length: int | None = None
    """The most tokens that may be asked for."""
    loras: Loras = ()
    """Its LoRAs."""

    @property
    def row(self) -> Family:
        """The family's row."""
        return FAMILIES[self.family]


def dtype_problem(family: Family, dtype: Dtype) -> str | None:
    """Why models of a family cannot compute in numbers of a type, without a subject; None where they can."""
    if dtype != "float16" or not family.overflows_in_float16:
        return None
    return (
        f"must not be float16 for models of the family {family.name}: they overflow, and their pictures turn black; "
        "take bfloat16, or float32 where the GPU has no bfloat16"
    )


def card_of(options: ModelOptions, family: Family) -> ModelCard:
    """What requests may hold by its profile, or else by the family that was found in its files."""
    row = options.known.family if options.known and options.known.family else family
    return ModelCard(
        family=row.name,
        steps=row.steps,
        guidance=row.guidance,
        sequenceLength=row.sequence_length,
        maxSequenceLength=row.max_sequence_length,
        loras=options.loras,
    )
