"""Models as clients of other APIs know them: by a name that leads to a runtime, or to a workflow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.errors import RequestError
from api.operations.workflows import StoredWorkflow, Workflows
from contract.field_errors import one_of, suggestion
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

OWNER = "sd-on-eks"
"""Stands before the slash where clients want names of two parts, and nothing in config.yaml gives one."""
_MAX_NAMED = 20
"""Names in one error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What draws pictures under a name.

    Attributes:
        defaults: Parameters of its pictures that a request need not have.
        workflow: What the runtime runs; None where the runtime itself draws from a prompt.
    """

    name: str
    runtime: DeployedRuntime
    defaults: Mapping[str, Any] = field(default_factory=dict)
    workflow: StoredWorkflow | None = None


class UnknownModelError(RequestError):
    """Nothing draws pictures under the name that a client sends."""

    def __init__(self, name: str, known: list[str]) -> None:
        choices = one_of(known[:_MAX_NAMED]) or "none"
        message = f"There is no model {name[:100]!r} here; there are {choices}{suggestion(name, known)}"
        super().__init__(404, "model_not_found", message.removesuffix("?") + ("?" if message.endswith("?") else "."))


class ModelNames:
    """Finds models: those of config.yaml, runtimes by their own names, and a tenant's named workflows."""

    def __init__(self, catalog: RuntimeCatalog, workflows: Callable[[], Workflows]) -> None:
        self._catalog = catalog
        self._workflows = workflows

    def names(self, dialect: str, tenant: str) -> list[str]:
        """The names of all models for clients of a dialect, those of config.yaml first."""
        own = [*self._named(dialect), *(one.name for one in self._catalog if one.runtime_type.content is not None)]
        if self._runs_workflows is not None:
            own += [one.name for one in self._workflows().names(tenant)[0]]
        return list(dict.fromkeys(own))

    def find(self, dialect: str, name: str, tenant: str) -> Model:
        """The model of a name.

        Raises:
            UnknownModelError: There is none.
        """
        if (model := self.known(dialect, name, tenant)) is None:
            raise UnknownModelError(name, self.names(dialect, tenant))
        return model

    def known(self, dialect: str, name: str, tenant: str) -> Model | None:
        """The model of a name; None where there is none. Runtimes and workflows may be given with OWNER."""
        if (model := self._named(dialect).get(name)) is not None:
            return model
        name = name.removeprefix(f"{OWNER}/")
        if (runtime := self._catalog.find(name)) is not None:
            return Model(name=name, runtime=runtime)
        if (runtime := self._runs_workflows) is not None:
            try:
                return Model(name=name, runtime=runtime, workflow=self._workflows().get(tenant, name))
            except RequestError:
                pass
        return None

    def for_workflows(self, dialect: str, name: str = "") -> DeployedRuntime:
        """The runtime that runs the workflows of a dialect's clients: of a name, or else the first there is.

        Raises:
            RequestError: There is none, or the name's runtime takes no workflows (404).
        """
        models = self._named(dialect)
        found = models[name].runtime if name in models else self._catalog.find(name)
        if not name:
            found = next((one.runtime for one in models.values()), self._runs_workflows)
        if found is None or not found.runtime_type.takes_workflows:
            known = [*models, *(one.name for one in self._catalog if one.runtime_type.takes_workflows)]
            raise UnknownModelError(name, list(dict.fromkeys(known)))
        return found

    @property
    def _runs_workflows(self) -> DeployedRuntime | None:
        return next((one for one in self._catalog if one.runtime_type.takes_workflows), None)

    def _named(self, dialect: str) -> dict[str, Model]:
        return {
            one.name: Model(name=one.name, runtime=runtime, defaults=one.defaults)
            for runtime in self._catalog
            for one in runtime.model_names
            if one.dialect == dialect
        }
