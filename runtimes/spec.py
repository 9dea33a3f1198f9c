"""What the other parts must know of a runtime type. Each type's folder has a ``spec.py`` that says it."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from runtimes.options import RuntimeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A model server in a pod with a GPU, beside the agent.

    Attributes:
        port: Where the server listens inside its pod.
        health_path: A cheap GET that answers 200 once the server takes jobs.
        default_url: The agent's API_BASE_URL when none is set.
        not_found_hint: What it means that a server answers 404 to its health path.
    """

    port: int
    health_path: str
    default_url: str
    not_found_hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """A service of AWS that runs the jobs elsewhere: no port, no image and no GPU of ours.

    Attributes:
        service: Its name in botocore, as bedrock-runtime.
        actions: The IAM actions that the agent needs, on the resources that ``ManagedOptions`` names.
    """

    service: str
    actions: tuple[str, ...]

    @property
    def endpoint_variable(self) -> str:
        """The environment variable that leads clients of the service to another URL (botocore's own)."""
        return f"AWS_ENDPOINT_URL_{self.service.upper().replace('-', '_')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSpec:
    """A runtime type. Dotted paths (``module:name``) are imported only where they are used.

    Attributes:
        name: The noun used everywhere: config.yaml, chart values, image, folder.
        folder: The type's folder: ``image/Dockerfile`` is its image, ``samples/`` its sample requests by API version,
            and ``samples/first.json`` a small first task, as {"tasktype": …, "content": …}.
        hosting: Where its jobs run.
        task_types: What API v1alpha2 accepts for it.
        v1alpha1_task_types: What API v1alpha1 accepts for it; empty where that API does not reach it.
        driver: The class of the agent's driver, a ``queue_agent.ports.Executor`` with ``from_settings``.
        checks: The API's check of a task's content: (content, task type, DeployedRuntime, path) → FieldErrors. None
            leaves all to the model server. It may ask the DeployedRuntime what its servers have (``live``), which can
            take a moment.
        schema: The JSON schema of a task's content: (task type, DeployedRuntime) → schema, with an example unless
            ``samples/first.json`` is one.
        warnings: The same for what the model server would ignore: the caller is warned.
        loads_checkpoint: Whether a runtime of this type serves one checkpoint, or switches on request
            (``modelFilename`` and ``dynamicModel`` in config.yaml).
        copies_models: Whether its server finds models that come after its start, so that a pod may copy them meanwhile.
        takes_workflows: Whether its content is a workflow of ComfyUI, so that the API also takes the name of one.
        options: The class of ``model`` in config.yaml, a ``RuntimeOptions``; a managed type's is a ``ManagedOptions``.
            None for types whose runtimes have no ``model``.
        model_example: Such a ``model``, for messages.
        content: Turns a ``runtimes.pictures.PictureRequest`` into a task of this type: (request, DeployedRuntime) →
            (task type, content). None where nothing but the content itself says what to draw.
        takes_references: Whether ``content`` reads the request's ``references``.
    """

    name: str
    folder: Path
    hosting: Pod | Managed
    task_types: tuple[str, ...]
    v1alpha1_task_types: tuple[str, ...] = ()
    driver: str
    checks: str | None = None
    warnings: str | None = None
    schema: str | None = None
    loads_checkpoint: bool = False
    copies_models: bool = False
    takes_workflows: bool = False
    options: str | None = None
    model_example: str = ""
    content: str | None = None
    takes_references: bool = False

    @property
    def has_model_options(self) -> bool:
        """Whether its runtimes have a ``model`` in config.yaml."""
        return self.options is not None

    def read_options(self, model: Any) -> RuntimeOptions:
        """Read ``model`` of a runtime; pydantic's ValidationError names its errors. The type must have options."""
        return cast("RuntimeOptions", load(cast("str", self.options)).model_validate(model))

    @property
    def is_managed(self) -> bool:
        """Whether a service of AWS runs its jobs."""
        return isinstance(self.hosting, Managed)

    @property
    def pod(self) -> Pod:
        """Its pod.

        Raises:
            TypeError: It has none: its jobs run in a managed service.
        """
        if not isinstance(self.hosting, Pod):
            raise TypeError(f"Runtime type {self.name} has no pod: its jobs run in a managed service.")
        return self.hosting

    def first_sample(self) -> tuple[str, dict[str, Any]]:
        """Read the task type and the content of ``samples/first.json``."""
        sample = json.loads((self.folder / "samples" / "first.json").read_text(encoding="utf-8"))
        return sample["tasktype"], sample["content"]


def load(dotted_path: str) -> Any:
    """Import what a dotted path (``module:name``) names."""
    module, _, name = dotted_path.partition(":")
    return getattr(importlib.import_module(module), name)
