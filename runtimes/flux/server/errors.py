"""What goes wrong in the server, by what is done next.

FluxServerError
├── FluxSettingsError         the server does not start
├── InvalidGenerationError    422, with all field errors
├── InvalidImageError         an image of a request cannot be used; becomes a field error
├── BodyTooLargeError         413
├── UnavailableError          503 with Retry-After
├── JobIdConflictError        409
└── PipelineError             raised by a pipeline
    ├── PipelineRefusedError  the job fails with code "refused"; while loading: the worker does not start again
    ├── PipelineMemoryError   the pictures are drawn one by one; one that is alone already fails with "out_of_memory"
    └── PipelineStoppedError  the batch is dropped: all of its jobs were cancelled
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the decoder's process needs no pydantic
    from contract.field_errors import FieldError


class FluxServerError(Exception):
    """The root of the tree."""


class FluxSettingsError(FluxServerError):
    """Environment variables are missing or wrong; the message names each."""


class InvalidGenerationError(FluxServerError):
    """A request is invalid; ``field_errors`` has every reason."""

    def __init__(self, field_errors: "list[FieldError]") -> None:
        super().__init__("; ".join(f"{error.pointer} {error.detail}" for error in field_errors))
        self.field_errors = field_errors


class InvalidImageError(FluxServerError):
    """An image of a request cannot be used; the message is a sentence without a subject."""


class BodyTooLargeError(FluxServerError):
    """The body of a request exceeds the limit."""


class UnavailableError(FluxServerError):
    """The server takes no job at the moment; the message says why."""


class JobIdConflictError(FluxServerError):
    """The id belongs to a job with another request."""


class PipelineError(FluxServerError):
    """A pipeline cannot go on."""


class PipelineRefusedError(PipelineError):
    """The model cannot do what was asked; the message says why and may be shown to the caller."""


class PipelineMemoryError(PipelineError):
    """The device's memory does not suffice; the pipeline can go on with less."""


class PipelineStoppedError(PipelineError):
    """Drawing was stopped because no job of the batch is wanted any more."""
