"""The server's errors, divided by what the caller does next.

FluxServerError
├── FluxSettingsError         the server does not start
├── InvalidGenerationError    422, with all field errors
├── InvalidImageError         becomes a field error
├── BodyTooLargeError         413
├── UnavailableError          503 with Retry-After
├── JobIdConflictError        409
└── PipelineError             comes from a pipeline
    ├── PipelineRefusedError  the job fails with code "refused"; during loading: the worker does not start again
    ├── PipelineMemoryError   the pictures are drawn one by one; one that fails alone gets code "out_of_memory"
    └── PipelineStoppedError  the batch is dropped: all its jobs were cancelled
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the decoder's process needs no pydantic
    from contract.field_errors import FieldError


class FluxServerError(Exception):
    """The root of the tree."""


class FluxSettingsError(FluxServerError):
    """Environment variables are missing or invalid; the message names each."""


class InvalidGenerationError(FluxServerError):
    """A request is invalid; ``field_errors`` lists every reason."""

    def __init__(self, field_errors: "list[FieldError]") -> None:
        super().__init__("; ".join(f"{error.pointer} {error.detail}" for error in field_errors))
        self.field_errors = field_errors


class InvalidImageError(FluxServerError):
    """An image of a request cannot be used; the message is a sentence without its subject."""


class BodyTooLargeError(FluxServerError):
    """The body of a request exceeds the limit."""


class UnavailableError(FluxServerError):
    """The server accepts no jobs at the moment; the message says why."""


class JobIdConflictError(FluxServerError):
    """The id belongs to a job with a different request."""


class PipelineError(FluxServerError):
    """A pipeline cannot continue."""


class PipelineRefusedError(PipelineError):
    """The model cannot do the request; the message says why and may be shown to the caller."""


class PipelineMemoryError(PipelineError):
    """The device has too little memory; the pipeline can continue with a smaller batch."""


class PipelineStoppedError(PipelineError):
    """Drawing was stopped because all jobs of the batch were cancelled."""
