"""The deployed runtimes as door and router see them; travels to the Lambda as runtimes.json."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter

from contract import strict_json
from contract.deadlines import DEFAULT_DEADLINES, Deadlines
from contract.queues import Priority
from runtimes.flux.options import ModelCard, ModelOptions
from runtimes.live import LiveCatalog
from runtimes.options import RuntimeOptions
from runtimes.registry import RUNTIME_TYPES
from runtimes.sdwebui.checkpoints import same_checkpoint
from runtimes.spec import RuntimeSpec

DEFAULT_MAX_PIXELS = 64 * 1024 * 1024


def _unknown() -> LiveCatalog | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """A name by which clients of a dialect, such as OpenAI's, call a runtime; ``defaults`` are for its pictures."""

    dialect: str
    name: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedRuntime:
    """One runtime of config.yaml.

    Attributes:
        model_filename: The checkpoint it serves; None for a dynamic runtime and for types without checkpoints.
        dynamic_model: Whether it loads the checkpoint that a task asks for.
        max_pixels: The most that a task may have at work at once, for type sdwebui.
        has_priorities: Whether each priority has a queue of its own.
        model_names: What clients of dialects call it, besides its own name.
        options: ``model`` of config.yaml; None for types without one. It may be given as JSON.
        live: Reads what its servers have; None if that is unknown or too old.
    """

    name: str
    type: str
    model_filename: str | None = None
    dynamic_model: bool = False
    max_pixels: int = DEFAULT_MAX_PIXELS
    deadlines: Deadlines = DEFAULT_DEADLINES
    has_priorities: bool = False
    model_names: tuple[ModelName, ...] = ()
    options: Any = None
    live: Annotated[Callable[[], LiveCatalog | None], Field(exclude=True)] = field(
        default=_unknown, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        """Read the options."""
        if self.options is not None and not isinstance(self.options, RuntimeOptions):
            object.__setattr__(self, "options", self.runtime_type.read_options(self.options))

    @property
    def card(self) -> ModelCard | None:
        """What its model takes, for type flux; None where only the model's files say it."""
        return self.options.card if isinstance(self.options, ModelOptions) else None

    @property
    def runtime_type(self) -> RuntimeSpec:
        """What its type means."""
        return RUNTIME_TYPES[self.type]

    @property
    def priorities(self) -> tuple[Priority, ...]:
        """The priorities that have a queue, the most urgent first."""
        return tuple(Priority) if self.has_priorities else (Priority.NORMAL,)

    @property
    def task_types(self) -> tuple[str, ...]:
        """What API v1alpha2 accepts for it: what its model does, where that is known."""
        own = None if self.options is None else self.options.task_types
        return own or self.runtime_type.task_types


_ENTRIES = TypeAdapter(tuple[DeployedRuntime, ...])


class RuntimeCatalog:
    """All deployed runtimes, in the order of config.yaml."""

    def __init__(self, runtimes: Iterable[DeployedRuntime]) -> None:
        self._by_name = {runtime.name: runtime for runtime in runtimes}

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(_ENTRIES.validate_python(strict_json.loads(text)))

    def to_json(self) -> str:
        """Write the content of runtimes.json."""
        return strict_json.dumps(_ENTRIES.dump_python(tuple(self), by_alias=True))

    def with_live(self, read: Callable[[str], LiveCatalog | None]) -> Self:
        """The same runtimes, with a function that reads what the servers of a named runtime have."""
        return type(self)(replace(runtime, live=partial(read, runtime.name)) for runtime in self)

    def __iter__(self) -> Iterator[DeployedRuntime]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> DeployedRuntime:
        """The runtime of that name; KeyError where there is none."""
        return self._by_name[name]

    @property
    def names(self) -> list[str]:
        """Names of all runtimes."""
        return list(self._by_name)

    def find(self, name: str) -> DeployedRuntime | None:
        """The runtime of that name; None where there is none."""
        return self._by_name.get(name)

    @property
    def dynamic(self) -> list[DeployedRuntime]:
        """The runtimes that load checkpoints on request."""
        return [runtime for runtime in self if runtime.dynamic_model]

    @property
    def checkpoints(self) -> list[str]:
        """Checkpoints held by static runtimes."""
        return [runtime.model_filename for runtime in self if runtime.model_filename is not None]

    def for_checkpoint(self, checkpoint: str) -> DeployedRuntime | None:
        """The one runtime that serves a checkpoint: the static one that holds it, else the only dynamic one.

        None when no runtime, or more than one dynamic runtime, could serve it.
        """
        for runtime in self:
            if runtime.model_filename is not None and same_checkpoint(runtime.model_filename, checkpoint):
                return runtime
        return self.dynamic[0] if len(self.dynamic) == 1 else None
