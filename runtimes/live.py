"""The catalog of a runtime's model servers, which their agents publish: models, samplers, node classes.

It is a gzipped JSON object in the output bucket (``contract.objects.catalog_key``). Agents rewrite it every few
minutes, so the age of the object is the age of the catalog.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from contract import strict_json
from contract.field_errors import cut, suggestion
from runtimes.flux.options import ModelCard

MAX_PACKED_BYTES = 1024 * 1024
MAX_BYTES = 16 * 1024 * 1024
"""Maximum unpacked size: the API reads a catalog while a request waits."""
_MAX_LISTED = 8
_MAX_LISTED_CHARACTERS = 80


class _CatalogPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Named(_CatalogPart):
    """Something that requests refer to by name.

    Attributes:
        aliases: Other names that the server accepts for it.
    """

    name: str
    aliases: tuple[str, ...] = ()


class NodeInput(_CatalogPart):
    """An input of a node class.

    Attributes:
        type: The server's name of the type: INT, STRING, MODEL, and COMBO for a choice from a list, with ComfyUI;
            integer, string, ImageField with InvokeAI.
        choices: Index of the list to choose from, in the catalog's ``lists``.
        takes_file: Whether it also accepts the caller's own file.
    """

    type: str
    is_required: bool = False
    choices: int | None = None
    takes_file: bool = False
    default: Any = None
    min: int | float | None = None
    max: int | float | None = None


class NodeClass(_CatalogPart):
    """A node class of ComfyUI, or a node type of InvokeAI.

    Attributes:
        module: Where its code is: nodes, comfy_extras.…, custom_nodes.… with ComfyUI, its node pack with InvokeAI.
        is_output: Whether its nodes end a workflow.
        outputs: The types of what its nodes give, of ComfyUI's classes.
    """

    module: str
    is_output: bool = False
    inputs: dict[str, NodeInput] = {}
    outputs: tuple[str, ...] = ()


class InstalledModel(_CatalogPart):
    """A model of InvokeAI, by the three attributes that mean the same on every server."""

    name: str
    base: str
    type: str


Names = tuple[Named, ...]


class LiveCatalog(_CatalogPart):
    """The catalog of a runtime's servers.

    Attributes:
        models: Checkpoints, and ComfyUI's diffusion models.
        nodes: The node classes of ComfyUI or InvokeAI by name; None if the server has none, or too many to publish.
        installed: InvokeAI's models of all types; None for other servers.
        lists: Lists that node inputs choose from; many inputs share one.
        card: The model of a flux server.
    """

    version: Literal[1] = 1
    models: Names = ()
    loras: Names = ()
    vaes: Names = ()
    samplers: Names = ()
    schedulers: Names = ()
    upscalers: Names = ()
    nodes: dict[str, NodeClass] | None = None
    lists: tuple[tuple[str | int | float | bool, ...], ...] = ()
    installed: tuple[InstalledModel, ...] | None = None
    card: ModelCard | None = None

    def choices_of(self, declared: NodeInput) -> tuple[Any, ...] | None:
        """Return the choices of an input; None if it is not a choice, or if they are unknown."""
        number = declared.choices
        return None if number is None or not 0 <= number < len(self.lists) else self.lists[number]

    def can_choose(self, declared: NodeInput, value: str | float) -> bool:
        """Whether a value is among an input's choices, which must be known."""
        return value in self._sets[declared.choices or 0]

    @cached_property
    def _sets(self) -> tuple[frozenset[Any], ...]:
        return tuple(map(frozenset, self.lists))

    def pack(self) -> bytes:
        """Serialize it; equal catalogs give equal bytes. Leaves out the nodes if they are too large to read."""
        values = self.model_dump(mode="json", exclude_defaults=True, by_alias=True)
        text = strict_json.utf8({"version": self.version, **values}).encode()
        packed = gzip.compress(text, 6, mtime=0)
        if self.nodes is not None and (len(text) > MAX_BYTES or len(packed) > MAX_PACKED_BYTES):
            return self.model_copy(update={"nodes": None, "lists": ()}).pack()
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Read what ``pack`` wrote. Raises ValueError if it is something else, of a newer version, or too large."""
        reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            text = reader.decompress(packed, MAX_BYTES)
        except zlib.error as exc:
            raise ValueError("is not packed by gzip") from exc
        if reader.unconsumed_tail:
            raise ValueError(f"is larger than {MAX_BYTES} bytes")
        return cls.model_validate_json(text)


def spellings(names: Names) -> Iterator[str]:
    """Yield every name and alias."""
    for one in names:
        yield one.name
        yield from one.aliases


def there_are(names: Sequence[str], wanted: str, others: Iterable[str] = ()) -> str:
    """List the known names after an unknown one, with the nearest: "; there are a, b; did you mean b?".

    The nearest name may also be one of ``others``, which are not listed.
    """
    if not names:
        return "; there are none"
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    listed = ", ".join(cut(name, _MAX_LISTED_CHARACTERS) for name in names[:_MAX_LISTED])
    return f"; there are {listed}{more}{suggestion(wanted, (*names, *others))}"
