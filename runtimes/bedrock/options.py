"""``model`` of a runtime of type bedrock: which model it calls, and where."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from contract.field_errors import one_of, shown, suggestion
from runtimes.bedrock.families import ENDED, FAMILIES, PROFILE, PROFILE_REGIONS, BedrockFamily, family_name
from runtimes.options import ManagedOptions, Place

_MODELS = [family.model for family in FAMILIES.values()]
_UNRESOLVED = "${"
"""What CDK writes for a region that is known only when the stack is deployed."""
_OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eusc-")
"""How the regions begin of China and other partitions, whose credentials are no use elsewhere."""


class BedrockModel(ManagedOptions):
    """Which model of Amazon Bedrock a runtime of type bedrock calls, and where."""

    id: Annotated[str, Field(json_schema_extra={"enum": _MODELS})]
    """The model, or for Stability AI's Image Services the inference profile, whose id begins with `us.`. Other versions
    of the same models are taken too."""
    region: str | None = None
    """Where it is called; that may be another region than the deployment's. Default: the deployment's own."""
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    """How many calls are made at once; the account's quotas, requests a minute, should bear it."""

    @field_validator("id")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value in ENDED:
            raise ValueError(f"must be a model that still runs: {value} has ended ({ENDED[value]}); take {_MODELS[1]}")
        family = FAMILIES.get(family_name(value))
        if family is None:
            near = suggestion(value, _MODELS) or f"; there are {', '.join(_MODELS)}"
            raise ValueError(f"must be an image model of Amazon Bedrock, not {shown(value)}{near}")
        if family.has_profile and not value.startswith(PROFILE):
            raise ValueError(f"is called through an inference profile: write {PROFILE}{value}")
        if not family.has_profile and value.startswith(PROFILE):
            raise ValueError(f"has no inference profile: write {value.removeprefix(PROFILE)}")
        return value

    @field_validator("region")
    @classmethod
    def _has_the_model(cls, value: str | None, info: ValidationInfo) -> str | None:
        family = FAMILIES.get(family_name(info.data.get("id", "")))
        if value is not None and family is not None and (problem := region_problem(family, value)):
            raise ValueError(problem)
        return value

    @property
    def family(self) -> BedrockFamily:
        """What its body holds, and what it costs."""
        return FAMILIES[family_name(self.id)]

    @property
    def models(self) -> tuple[str, ...]:
        """The one that it calls."""
        return (self.id,)

    @property
    def task_types(self) -> tuple[str, ...]:
        """What its model does."""
        return tuple(self.family.bodies)

    def region_in(self, own: str | None) -> str | None:
        """Where the model is called by a deployment in its ``own`` region; None where that is unknown.

        Raises:
            ValueError: The model is not there, or cannot be called from there.
        """
        if own and own.startswith(_OTHER_PARTITIONS):
            raise ValueError(f"{self.id} cannot be called from {own}: no partition of AWS but aws has image models")
        region = self.region or own
        if region and not region.startswith(_UNRESOLVED) and (problem := region_problem(self.family, region)):
            raise ValueError(f"model.region of {self.id} {problem}")
        return region

    def resources(self, place: Place) -> list[str]:
        """The model; for a profile, the profile and the model wherever the profile may run it.

        Raises:
            ValueError: The model is not in the region.
        """
        region = self.region_in(place.region)
        arn, model = f"arn:{place.partition}:bedrock", self.id.removeprefix(PROFILE)
        if not self.family.has_profile:
            return [f"{arn}:{region}::foundation-model/{model}"]
        return [
            f"{arn}:{region}:{place.account}:inference-profile/{self.id}",
            *(f"{arn}:{one}::foundation-model/{model}" for one in PROFILE_REGIONS),
        ]


def region_problem(family: BedrockFamily, region: str) -> str | None:
    """Why a model cannot be called in a region, without a subject; None where it can."""
    if region in family.regions:
        return None
    words = f"must be {one_of(family.regions)}, not {shown(region)}"
    if not region.startswith("us-"):
        words += "; Amazon Bedrock has image models in the United States alone"
    return words
