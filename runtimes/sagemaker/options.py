"""The endpoint of a runtime of type sagemaker, as config.yaml has it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contract.models import Form, Section
from runtimes.flux.options import ModelOptions
from runtimes.options import ManagedOptions, Place, RuntimeOptions
from runtimes.sagemaker.forms import FORMS, FormName

FOLDER = "_sagemaker/"
"""Asynchronous endpoints write their results below this prefix of the output bucket."""
IMAGE = "flux"
"""The project's own image that an endpoint can serve."""
MAX_QUEUE_S = 21_600
"""The longest RequestTTLSeconds that InvokeEndpointAsync takes."""

_NAME = r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$"
_MEDIA_TYPE = r"^[\x21-\x7e][\x20-\x7e]{0,254}$"
_IMAGE = (
    r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9][a-z0-9._/-]*"
    r"(:[A-Za-z0-9_.-]+)?(@sha256:[0-9a-f]{64})?$"
)
_INSTANCE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"


class NewEndpoint(Section):
    """An endpoint that the deployment makes: it serves the project's flux image, or an image of yours."""

    instance_type: Annotated[str, Form(_INSTANCE, "an instance of SageMaker, as ml.g6.xlarge")]
    """The machine; ml.g6.xlarge (24 GiB) is enough for FLUX in 8 bits and for SDXL."""
    max_instances: Annotated[int, Field(ge=1, le=100)] = 1
    """How many run at most. An asynchronous endpoint has none while no request waits."""
    image: Annotated[str, Form(_IMAGE, "an image in ECR, as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:7")] | (
        None
    ) = None
    """URI of an image in ECR that answers GET /ping and POST /invocations on port 8080. Default: the project's flux
    image."""
    model_data: Annotated[str, Form(r"^s3://[^/]+/.+/$", "a folder, as s3://my-models/flux/")] | None = None
    """A folder whose files the container finds below /opt/ml/model. Default: none; a flux image reads the model
    from the hub."""
    environment: Annotated[dict[str, str], Field(default_factory=dict)]
    """Environment of the container."""


class SageMakerEndpoint(ManagedOptions):
    """Which endpoint a runtime of type sagemaker calls, and how."""

    endpoint: Annotated[
        str, Form(_NAME, "letters, digits and hyphens, with no hyphen at either end"), Field(max_length=63)
    ]
    """Name of the endpoint."""
    region: Annotated[str, Form(r"^[a-z]{2}(-[a-z]+)+-\d$", "a region, as us-west-2")] | None = None
    """Where the endpoint is. Default: the deployment's region."""
    mode: Literal["async", "realtime"] = "async"
    """How it is called. An asynchronous endpoint may have no instance while nothing waits; its S3OutputPath must be
    `s3://OUTPUT-BUCKET/_sagemaker/`. A real-time one answers within 60 s or not at all."""
    form: FormName = "jumpstart"
    """What its requests look like: those of Stable Diffusion by JumpStart, of the project's flux image, or any other,
    which are passed on unchecked."""
    accept: Annotated[str, Form(_MEDIA_TYPE, "a media type, as image/png")] | None = None
    """What the endpoint is asked to answer. Default: `application/json;jpeg` for jumpstart, else `application/json`."""
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 8
    """How many jobs may be with the endpoint at once."""
    queue_seconds: Annotated[int, Field(ge=60, le=MAX_QUEUE_S)] = 3600
    """(async) How long a request may wait for an instance before it fails. A cold endpoint needs several minutes."""
    flux: ModelOptions | None = None
    """(form flux) The model that the endpoint serves."""
    make: NewEndpoint | None = None
    """The endpoint is made by the deployment. Default: it exists already."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.flux is not None and self.form != "flux":
            raise ValueError("has a flux model, which goes with form: flux alone")
        if self.make is not None and self.make.image is None and self.flux is None:
            raise ValueError("must have form: flux and a flux model if make names no image")
        if self.make is not None and self.region is not None:
            raise ValueError("must not name a region with make: the endpoint is made where the deployment is")
        return self

    @property
    def task_types(self) -> tuple[str, ...]:
        """What its form allows, and its model, where that is known."""
        return (self.flux and self.flux.task_types) or FORMS[self.form].task_types

    @property
    def folder(self) -> str | None:
        """Where calls and results of an asynchronous endpoint are."""
        return FOLDER if self.mode == "async" else None

    @property
    def image(self) -> str | None:
        """The flux image, for an endpoint that is made of it."""
        return IMAGE if self.make is not None and self.make.image is None else None

    def resources(self, place: Place) -> list[str]:
        """The endpoint's ARN, whose name is in lower case (AWS's service authorization reference)."""
        region = self.region or place.region
        return [f"arn:{place.partition}:sagemaker:{region}:{place.account}:endpoint/{self.endpoint.lower()}"]


def form_of(options: RuntimeOptions | None) -> FormName:
    """The form of an endpoint's requests; any where the endpoint is unknown."""
    return options.form if isinstance(options, SageMakerEndpoint) else "other"
