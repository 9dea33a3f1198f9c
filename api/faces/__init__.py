"""The versions of the API: each reads its own requests and writes its own answers."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from api.faces import v1alpha1, v1alpha2
from contract.field_errors import FieldError
from contract.task import Task
from runtimes.catalog import DeployedRuntime, RuntimeCatalog


class ApiFace(Protocol):
    """What a module must define to be a version of the API."""

    def read(self, body: Any, catalog: RuntimeCatalog) -> Task:
        """Read a request; raise InvalidRequestError with all its errors."""

    def ignored(self, body: Any, task: Task, runtime: DeployedRuntime) -> Iterator[FieldError]:
        """List the keys of a valid request that nothing reads."""

    def answer(self, task: Task, output_location: str) -> dict[str, Any]:
        """The answer to an accepted task."""


FACES: Mapping[str, ApiFace] = {"v1alpha1": v1alpha1, "v1alpha2": v1alpha2}
"""By path."""
