"""What the hub's twin has, and what it was asked."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

LARGE = (".safetensors", ".bin", ".ckpt", ".onnx", ".msgpack")
"""What repositories of models keep as LFS (their .gitattributes)."""


@dataclass
class Repository:
    """A model on the hub.

    Attributes:
        files: By their paths.
        gated: Whether its files, which everybody may list, need a token.
        broken: What is wrong with a large file's next downloads, by its path, one entry for each.
    """

    files: dict[str, bytes]
    gated: bool = False
    broken: dict[str, list["Break"]] = field(default_factory=dict)

    @cached_property
    def commit(self) -> str:
        """The commit that its branch is at."""
        digest = hashlib.sha1()
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + b"\0" + content)
        return digest.hexdigest()


@dataclass(frozen=True)
class Break:
    """A download that ends too early.

    Attributes:
        after: So many bytes.
        silent: Whether what came passes for the whole file, as from a proxy that cut it; else the connection breaks.
    """

    after: int
    silent: bool = False


@dataclass(frozen=True)
class Asked:
    """A request, as it came; ``host`` is ``hub`` or ``storage``."""

    host: str
    method: str
    path: str
    authorization: str | None
    byte_range: str | None
